"""Checkpoints of a run, scored as they come."""

from pathlib import Path

import pytest
from commands import openflan

from openflan.api.watch import new_checkpoints, watch_run
from openflan.errors import InputError
from openflan.evaluation.score_record import EvaluationScore, ScoreKey
from openflan.run_folder import Run
from openflan.training.best_checkpoint import best_step


def checkpoint(run: Run, step: int) -> None:
    (run.checkpoints / f"step-{step}").mkdir(parents=True)
    (run.checkpoints / f"step-{step}" / "state.json").write_text("{}")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "recipe.yaml").write_text("name: run\n")
    return Run(tmp_path)


def test_checkpoints_come_once_each_in_order_and_the_model_at_last(run: Run) -> None:
    checkpoint(run, 20)
    checkpoint(run, 4)
    (run.checkpoints / "step-30").mkdir()  # not finished
    events = [lambda: checkpoint(run, 40), lambda: None, lambda: run.model.mkdir()]
    assert list(new_checkpoints(run, lambda seconds: events.pop(0)())) == ["4", "20", "40", "last"]


def test_the_best_is_recorded_and_a_removed_checkpoint_passed_over(
    run: Run,
) -> None:
    for step in (1, 2, 3):
        checkpoint(run, step)
    run.model.mkdir()
    averages, asked = {"1": 10.0, "3": 30.0}, list[str]()

    def evaluate(step: str) -> list[EvaluationScore]:
        asked.append(step)
        if step == "2":
            (run.checkpoints / "step-2" / "state.json").unlink()
            (run.checkpoints / "step-2").rmdir()
            raise InputError("no checkpoint 2")
        return [EvaluationScore(ScoreKey(f"step-{step}", "bbh", "cot"), {"average": averages.get(step)})]

    notices = list[str]()
    watch_run(run, evaluate, notices.append)
    assert asked == ["1", "2", "3", "last"]
    assert best_step(run.checkpoints) == 3
    assert notices == ["no checkpoint 2; it was removed meanwhile"]


def test_a_checkpoint_that_cannot_be_evaluated_stops_the_watch(run: Run) -> None:
    checkpoint(run, 1)

    def evaluate(step: str) -> list[EvaluationScore]:
        raise InputError("its weights are damaged")

    with pytest.raises(InputError, match="damaged"):
        watch_run(run, evaluate)


@pytest.mark.parametrize("option", [["--checkpoint", "4"], ["--json"]])
def test_options_for_one_checkpoint_are_refused(run: Run, option: list[str]) -> None:
    done = openflan("evaluate", run.folder, "--benchmark", "microflan", "--watch", *option)
    assert done.returncode == 2
    assert f"leave out {option[0]}" in done.stderr


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        watch_run(Run(tmp_path / "none"), lambda step: [])
