"""Which files a name such as `runs/x:step-200` stands for."""

import json
from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.evaluation.groups import right_items
from openflan.evaluation.saved_models import benchmark_of, saved_model


def _write(folder: Path, name: str, **more: object) -> Path:
    path = folder / "generations" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"task": "snarks", "index": 0, "generation": "(A)", "target": "(A)", **more}) + "\n"
    )
    return path


@pytest.mark.parametrize(
    ("labels", "most_trained"),
    [
        (["base", "final", "step-900"], "final"),
        (["base", "step-90", "step-800"], "step-800"),
        (["random-init", "base"], "base"),
        (["base", "mine"], "mine"),
    ],
)
def test_without_a_label_the_most_trained_model_is_meant(
    tmp_path: Path, labels: list[str], most_trained: str
) -> None:
    for label in labels:
        _write(tmp_path, f"{label}-bbh-direct.jsonl")
    (saved_file,) = saved_model(str(tmp_path)).files.values()
    assert saved_file.path.name == f"{most_trained}-bbh-direct.jsonl"
    for label in labels:
        (named,) = saved_model(f"{tmp_path}:{label}").files.values()
        assert named.path.name == f"{label}-bbh-direct.jsonl"


def test_splits_samples_and_strangers_are_told_apart(tmp_path: Path) -> None:
    _write(tmp_path, "final-mmlu-direct.jsonl", task="anatomy", benchmark="mmlu", mode="direct")
    _write(tmp_path, "test/final-mmlu-direct.jsonl", task="anatomy", benchmark="mmlu", mode="direct")
    _write(tmp_path, "final-bbh-cot-40.jsonl")
    _write(tmp_path, "final-own-direct.jsonl", benchmark="own", mode="direct")
    _write(tmp_path, "final-odd-direct.jsonl")
    saved = saved_model(f"{tmp_path}:final")
    assert set(saved.files) == {"mmlu-direct", "mmlu-direct-test", "bbh-cot-40", "own-direct"}
    assert benchmark_of([saved.files["mmlu-direct-test"]]).split == "test"
    assert sum(task.size for task in benchmark_of([saved.files["mmlu-direct"]]).tasks.values()) == 1531
    assert [path.name for path in saved.unknown] == ["final-odd-direct.jsonl"]


def test_a_name_that_says_another_benchmark_than_the_lines(tmp_path: Path) -> None:
    """Lines decide: a file called bbh whose lines are of mgsm is mgsm's."""
    path = _write(tmp_path, "x-bbh-cot.jsonl", task="de", benchmark="mgsm", mode="cot")
    (saved_file,) = saved_model(str(path)).files.values()
    assert (saved_file.benchmark, saved_file.mode, saved_file.component) == ("mgsm", "cot", "mgsm-cot")


def test_a_colon_in_a_folder_s_name(tmp_path: Path) -> None:
    _write(tmp_path / "a:b", "final-bbh-direct.jsonl")
    assert list(saved_model(f"{tmp_path}/a:b").files) == ["bbh-direct"]
    assert list(saved_model(f"{tmp_path}/a:b:final").files) == ["bbh-direct"]
    with pytest.raises(InputError, match="did you mean `final`"):
        saved_model(f"{tmp_path}/a:b:finals")


def test_right_items_are_those_of_the_majority(tmp_path: Path) -> None:
    path = _write(tmp_path, "final-bbh-direct.jsonl")
    lines = [
        {"task": "snarks", "index": 1, "sample": sample, "generation": text, "target": "(A)"}
        for sample, text in enumerate(["(B)", "(A)", "(A)"])
    ]
    path.write_text(path.read_text() + "".join(json.dumps(line) + "\n" for line in lines))
    (saved_file,) = saved_model(str(path)).files.values()
    assert right_items(path, benchmark_of([saved_file])) == {("snarks", 0): True, ("snarks", 1): True}
