"""Adapters in the commands that evaluate, compare, report and run studies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openflan.api.evaluate import evaluate, evaluate_all
from openflan.api.finetune import finetune, recipe_from_rows
from openflan.api.options import EvaluateOptions, LoadOptions
from openflan.api.scores import compare, score
from openflan.errors import InputError
from openflan.reports.gather import gather
from openflan.reports.tables import all_tables
from openflan.run_folder import Run, find_run, read_jsonl
from openflan.studies.cells import Cell
from openflan.studies.identity import training_key
from openflan.studies.run_cell import Job, work
from openflan.studies.study_schema import Ask

pytest.importorskip("peft", reason="the extra `lora` is not installed")
pytestmark = [
    pytest.mark.extra,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # peft asks transformers by a name that it renames.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
]

TINY = "embedded:microflan-tiny"
KEYS = [
    "training.steps=3",
    "training.batch_size=2",
    "training.learning_rate=0.01",
    "packing.inputs=48",
    "packing.targets=24",
    "checkpoints.every=3",
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    pairs = [(f"say {number} twice", f"{number} {number}") for number in range(40)]
    lines = [json.dumps({"inputs": first, "targets": second}) for first, second in pairs]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "asked.jsonl").write_text("\n".join(lines[:4]) + "\n")
    (folder / "twice.yaml").write_text(
        'name: twice\ndata: asked.jsonl\nprompt: "{inputs}"\ntarget: targets\nmax_tokens: 8\n'
    )
    return folder / "rows.jsonl"


@pytest.fixture(scope="module")
def run(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of an adapter, exported in float32, so that the merged model is what the adapter gives."""
    trained = Run(tmp_path_factory.mktemp("adapted") / "first")
    adapter = ["model.adapter.rank=4", "model.export_dtype=float32"]
    finetune(recipe_from_rows(rows, TINY, overrides=[*KEYS, *adapter]), trained)
    return trained


def test_the_run_of_an_adapter_is_evaluated_compared_and_reported(run: Run, rows: Path) -> None:
    benchmark = rows.parent / "twice.yaml"
    for checkpoint in ("base", "3", None):
        evaluate(run.folder, str(benchmark), EvaluateOptions(load=LoadOptions(checkpoint=checkpoint)))
    saved = {path.name: path for path in run.generations.glob("*.jsonl")}
    assert {name.partition("-twice")[0] for name in saved} == {"base", "step-3", "final"}
    texts = {
        name.partition("-twice")[0]: [line["generation"] for line in read_jsonl(path)]
        for name, path in saved.items()
    }
    assert texts["final"] == texts["step-3"] != texts["base"]
    compared = compare(f"{run.folder}:step-3", f"{run.folder}:final", [benchmark]).to_json()
    assert compared["benchmarks"][0]["tasks"]["twice"]["difference"] == 0.0
    final = next(path for name, path in saved.items() if name.startswith("final"))
    assert score(str(benchmark), final).key.benchmark == "twice"
    titles = [table.title for table in all_tables(gather(run))]
    assert any("twice" in title for title in titles), titles


def test_the_adapters_of_two_runs_are_not_evaluated_into_one_folder(
    run: Run, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are called `adapter`; so are the models of two runs, and their checkpoints."""
    monkeypatch.chdir(tmp_path)
    second = Run(tmp_path / "second")
    finetune(recipe_from_rows(rows, TINY, overrides=[*KEYS, "model.adapter.rank=2", "seed=1"]), second)
    benchmark = str(rows.parent / "twice.yaml")
    folders = {}
    for model in (run.adapter, second.adapter, second.model, second.checkpoints / "step-3"):
        evaluated = evaluate_all(model, benchmark, EvaluateOptions())
        folders[evaluated.run.folder] = model
        assert evaluated.scores[0].tasks["twice"].n == 4
    assert sorted(map(str, folders)) == [
        "runs/first-adapter",
        "runs/second-adapter",
        "runs/second-model",
        "runs/second-step-3",
    ]
    # The folder of a model is no run, and the message says what to name instead.
    for look in (lambda: compare(str(run.adapter), "runs/second-adapter"), lambda: find_run(run.adapter)):
        with pytest.raises(InputError, match=r"openflan evaluate .*adapter`, and name the folder that"):
            look()


@pytest.mark.slow
def test_a_study_trains_adapters_and_takes_one_as_base(run: Run, rows: Path, tmp_path: Path) -> None:
    ask = Ask(benchmark=str(rows.parent / "twice.yaml"))
    keys = {}
    for name, base, extra in (
        ("adapter", TINY, ["model.adapter.rank=4"]),
        ("full", TINY, []),
        ("from-adapter", str(run.adapter), []),
    ):
        recipe = recipe_from_rows(rows, base, overrides=[*KEYS, *extra])
        cell = Cell(name, {"trained": name}, None, 0, recipe)
        keys[name] = training_key(cell)
        job = Job(cell, name, keys[name], tmp_path, {"twice": ask}, {"twice": "a"}, None)
        line = work(job)
        assert line["steps"] == 3
        assert line["loss"] > 0
        assert job.run.adapter.is_dir() == (name == "adapter")
    assert len(set(keys.values())) == 3
