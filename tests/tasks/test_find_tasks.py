"""Finding tasks: selection by pattern, and the layout of a file or folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from reader_files import GOOD, File, document, refusal

from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Row, Task, select


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file below the test's folder and gives its path."""

    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# Selection


@pytest.mark.parametrize(
    "pattern",
    [
        "task1530_scitail1.1_sentence_generation",
        "niv2/task1530_scitail1.1_sentence_generation",
        "task1530_scitail1",
        "niv2/task1530_scitail1",
    ],
)
def test_a_natural_instruction_is_found_by_its_files_name_and_by_the_lists(pattern: str) -> None:
    """The public list has such names up to their first dot."""
    tasks = dict.fromkeys(["niv2/task1530_scitail1", "niv2/task1529_scitail1", "niv2/task1637_doqa2"], 0)
    assert list(select(tasks, [pattern])) == ["niv2/task1530_scitail1"]


class NoRows:
    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Row:
        raise IndexError(index)


def catalogue(*names: str) -> dict[str, Task]:
    return {name: Task(name, NoRows(), frozenset(), name, "none") for name in names}


TASKS = catalogue("cot/gsm8k", "cot/creak", "mine/gsm8k", "mine/quiz_1")


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["cot/*"], ["cot/gsm8k", "cot/creak"]),
        (["mine/quiz_1", "cot/creak"], ["cot/creak", "mine/quiz_1"]),
        (["*/gsm8k"], ["cot/gsm8k", "mine/gsm8k"]),
        (["creak"], ["cot/creak"]),
        (["mine/quiz_[0-9]", "mine/*"], ["mine/gsm8k", "mine/quiz_1"]),
        (["*"], list(TASKS)),
    ],
)
def test_patterns_select_in_the_catalogues_order(patterns: Sequence[str], names: list[str]) -> None:
    assert list(select(TASKS, patterns)) == names


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("cot/gsm8", "no task matches `cot/gsm8`; did you mean `cot/gsm8k`?"),
        ("creek", "no task matches `creek`; did you mean `creak`?"),
        ("Creak", "did you mean `creak`?"),
        ("zzz*", "no task matches `zzz*`; there are 4: cot/gsm8k, cot/creak"),
        ("gsm8k", "`gsm8k` is not unique: write one of cot/gsm8k, mine/gsm8k"),
    ],
)
def test_a_pattern_that_selects_nothing_definite_is_refused(pattern: str, message: str) -> None:
    assert message in refusal(lambda: select(TASKS, ["cot/creak", pattern]))


def test_a_long_catalogue_is_not_listed_in_full() -> None:
    assert refusal(lambda: select(catalogue(*(f"a/t{number}" for number in range(50))), ["zzz*"])).endswith(
        "there are 50: a/t0, a/t1, a/t2, a/t3, a/t4, ..."
    )


@pytest.mark.parametrize("name", ["gsm8k", "Cot/gsm8k", "cot/", "/gsm8k", "cot/a b", "cot/a/b", "cot/a\n"])
def test_a_task_has_a_proper_name(name: str) -> None:
    assert "cannot name a task: use submixture/name" in refusal(lambda: catalogue(name))


# Layouts


def test_the_layout_of_a_file_or_folder_tells_its_reader(file: File, tmp_path: Path) -> None:
    tsv = file("a/gsm8k_train.tsv", GOOD)
    task = file("b/task1_x.json", json.dumps(document()))
    own = file("c/own.jsonl", '{"inputs": "a", "targets": "b"}\n')
    file("d/tasks/task2_y.json", json.dumps(document()))
    for data in (tsv, tsv.parent):
        assert list(open_submixture("cot", data)) == ["cot/gsm8k"]
    for data in (task, task.parent):
        assert list(open_submixture("niv2", data)) == ["niv2/task1_x"]
    assert list(open_submixture("mine", tmp_path / "d")) == ["mine/task2_y"]
    for data in (own, own.parent):
        assert list(open_submixture("cot", data)) == ["cot/own"]


def test_patterns_select_within_a_source(file: File, tmp_path: Path) -> None:
    file("gsm8k_train.tsv", GOOD)
    file("aqua_train.tsv", GOOD)
    assert list(open_submixture("cot", tmp_path, ["aqua"])) == ["cot/aqua"]
    assert "did you mean `cot/aqua`?" in refusal(lambda: open_submixture("cot", tmp_path, ["cot/aqa"]))


def test_chain_of_thought_files_need_the_submixture_they_name(file: File) -> None:
    """Their tasks are called cot/..., so another submixture's rates and styles would not find them."""
    path = file("gsm8k_train.tsv", GOOD)
    for data in (path, path.parent):
        message = refusal(partial(open_submixture, "reasoning", data))
        assert message == (
            f"{data}: chain-of-thought files (*_train.tsv) belong to the submixture `cot`, found under "
            "`reasoning`; rename the submixture"
        )


@pytest.mark.parametrize("data", [Path("missing"), Path("missing.tsv"), Path("missing.jsonl")])
def test_missing_data_is_named_with_its_submixture(tmp_path: Path, data: Path) -> None:
    assert (
        refusal(lambda: open_submixture("mine", tmp_path / data))
        == f"{tmp_path / data}: no such file or folder (the data of submixture `mine`)"
    )


def test_an_unknown_layout_is_refused(file: File, tmp_path: Path) -> None:
    assert "unknown layout; expected *_train.tsv, task*.json, " in refusal(
        lambda: open_submixture("mine", file("rows.csv", "a,b\n"))
    )
    assert "unknown layout" in refusal(lambda: open_submixture("mine", tmp_path))


def test_a_folder_of_several_layouts_is_refused_rather_than_read_in_part(file: File, tmp_path: Path) -> None:
    file("gsm8k_train.tsv", GOOD)
    file("own.jsonl", '{"inputs": "a", "targets": "b"}\n')
    assert "holds *_train.tsv and *.jsonl; put each kind into a folder" in refusal(
        lambda: open_submixture("cot", tmp_path)
    )


def test_only_the_embedded_world_needs_no_data() -> None:
    tasks = open_submixture("microflan", None)
    assert tasks
    assert all(task.submixture == "microflan" for task in tasks.values())
    some = list(tasks)[3]
    assert list(open_submixture("microflan", None, [some])) == [some]
    assert (
        "submixture `cot` needs `data:` (a file or folder, or "
        "hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]); only microflan"
    ) in refusal(lambda: open_submixture("cot", None))
