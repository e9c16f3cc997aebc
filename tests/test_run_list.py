"""`openflan runs`: what is in a folder of runs, how far it is, and how good."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.evaluation.score_record import EvaluationScore, ScoreKey
from openflan.lock import is_held, locked
from openflan.run_folder import Run
from openflan.run_list import list_runs

sys.path.append(str(Path(__file__).parent / "cli"))
from commands import openflan


def _run(folder: Path, steps: int = 10, *, checkpoints: tuple[int, ...] = (), logged: int = 0) -> Run:
    run = Run(folder)
    folder.mkdir(parents=True)
    run.recipe.write_text(f"training:\n  steps: {steps}\n")
    for step in checkpoints:
        state = run.checkpoints / f"step-{step}" / "state.json"
        state.parent.mkdir(parents=True)
        state.write_text("{}")
    if logged:
        lines = [json.dumps({"step": step, "loss": 1.0}) for step in range(1, logged + 1)]
        run.metrics.write_text("\n".join(lines) + '\n{"step": 99')  # torn by a kill
    return run


def _scores(run: Run, *averages: tuple[str, str, float, bool]) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    scores = [
        EvaluationScore(ScoreKey(model, benchmark, "direct"), {"average": average}, partial=partial)
        for model, benchmark, average, partial in averages
    ]
    run.scores.write_text(json.dumps({"scores": [score.to_json() for score in scores]}))


def test_runs_are_listed_with_state_step_best_score_and_sizes(tmp_path: Path) -> None:
    finished = _run(tmp_path / "a", checkpoints=(5, 10), logged=10)
    finished.model.mkdir()
    (finished.model / "weights").write_bytes(b"x" * 1_234)
    averages = [("base", "bbh", 40.0, False), ("final", "bbh", 30.0, False), ("final", "mmlu", 90.0, True)]
    _scores(finished, *averages)
    _run(tmp_path / "b", checkpoints=(5,), logged=7)
    _run(tmp_path / "studies" / "c", logged=3)
    _run(tmp_path / "d")
    _scores(Run(tmp_path / "e"), ("final", "gsm8k", 1.5, True))
    (tmp_path / "f").mkdir()
    _run(tmp_path / "a" / "while-training" / "inner")  # a part of its run
    listed = {run.folder.relative_to(tmp_path).as_posix(): run for run in list_runs(tmp_path)}
    assert {name: (run.state, run.step, run.steps) for name, run in listed.items()} == {
        "a": ("finished", 10, 10),
        "b": ("stopped at step 5", 7, 10),
        "studies/c": ("stopped at step 0", 3, 10),
        "d": ("not started", 0, 10),
        "e": ("evaluated", None, None),
    }
    best = listed["a"].best
    assert best is not None
    assert (best.model, best.benchmark, best.average, best.partial) == ("base", "bbh direct", 40.0, False)
    assert listed["a"].model_size == 1_234
    assert listed["a"].size > 1_234 + listed["a"].checkpoints_size
    assert listed["e"].best is not None
    assert listed["e"].best.partial


def test_a_run_is_running_while_its_lock_is_held(tmp_path: Path) -> None:
    run = _run(tmp_path / "a", checkpoints=(5,), logged=7)
    before = sorted(tmp_path.rglob("*"))
    assert [one.state for one in list_runs(tmp_path)] == ["stopped at step 5"]
    assert sorted(tmp_path.rglob("*")) == before  # looking changes nothing
    lock = run.locks / "training"
    assert not is_held(lock)
    with locked(lock):
        assert is_held(lock)
        assert [(one.state, one.step) for one in list_runs(run.folder)] == [("running", 7)]
    assert not is_held(lock)
    assert [one.state for one in list_runs(tmp_path)] == ["stopped at step 5"]
    with locked(run.locks / "generations/final-bbh-direct.jsonl"):
        assert [one.state for one in list_runs(tmp_path)] == ["being evaluated"]


@pytest.mark.parametrize(("name", "text"), [("scores.json", "{"), ("recipe.yaml", "a: [")])
def test_a_damaged_file_does_not_hide_other_runs(name: str, text: str, tmp_path: Path) -> None:
    _run(tmp_path / "a")
    _run(tmp_path / "b")
    (tmp_path / "a" / name).write_text(text)
    first, second = list_runs(tmp_path)
    assert first.state == f"damaged: {tmp_path / 'a' / name}"
    assert second.state == "not started"


def test_the_command_prints_a_table_or_json(tmp_path: Path) -> None:
    _run(tmp_path / "a", checkpoints=(5,), logged=7)
    done = openflan("runs", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "stopped at step 5 of 10" in " ".join(done.stdout.split())
    (value,) = json.loads(openflan("runs", tmp_path, "--json").stdout)
    assert (value["state"], value["step"], value["best"]) == ("stopped at step 5", 7, None)
    (tmp_path / "empty").mkdir()
    assert json.loads(openflan("runs", tmp_path / "empty", "--json").stdout) == []
    refused = openflan("runs", tmp_path / "absent")
    assert (refused.returncode, "no such folder" in refused.stderr) == (2, True)
    with pytest.raises(InputError):
        list_runs(tmp_path / "absent")
