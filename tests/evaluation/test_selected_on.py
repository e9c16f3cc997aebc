"""Scores on benchmarks that also chose the checkpoint are marked wherever they are printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from openflan.api.watch import watch_run
from openflan.cli.score import headline
from openflan.evaluation.comparison import comparison
from openflan.evaluation.printed_score import printed
from openflan.evaluation.score_record import EvaluationScore, Interval, ScoreKey, read_scores
from openflan.evaluation.selected_on import is_selected_on, mark_scores
from openflan.reports.gather import gather
from openflan.reports.tables import all_tables
from openflan.run_folder import Run, write_json
from openflan.training.best_checkpoint import name_best


def _score(model: str, benchmark: str, average: float, **changes: object) -> EvaluationScore:
    key = ScoreKey(model, benchmark, "direct")
    intervals = {"average": Interval((0.0, 100.0), 4)}
    return EvaluationScore(key, {"average": average}, intervals=intervals, **changes)  # type: ignore[arg-type]


def _store(run: Run, scores: Sequence[EvaluationScore]) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    write_json(run.scores, {"scores": [score.to_json() for score in scores]})


@pytest.mark.parametrize(
    ("benchmark", "split", "model", "expected"),
    [
        ("bbh", "", "step-2", True),
        ("bbh", "", "step-2@short", True),
        ("bbh", "", "step-1", False),
        ("bbh", "", "step-1@short", False),
        ("bbh", "", "final", False),
        ("mgsm", "", "step-2", True),
        ("mine-quiz", "", "step-2", True),
        ("mmlu", "", "step-2", False),
        ("mmlu", "test", "step-2", True),
        ("bbh", "other", "step-2", False),
    ],
)
def test_only_the_chosen_checkpoint_on_what_chose_it(
    benchmark: str, split: str, model: str, expected: bool, tmp_path: Path
) -> None:
    run = Run(tmp_path)
    run.checkpoints.mkdir()
    name_best(run.checkpoints, 2, "mean", 50.0, ["bbh", "mgsm:cot", "mine/quiz", "mmlu test"])
    assert is_selected_on(run, ScoreKey(model, benchmark, "cot", split)) is expected


def test_a_watch_marks_the_best_and_unmarks_what_was_the_best_before(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "recipe.yaml").write_text("name: run\n")
    for step in (1, 2, 3):
        (run.checkpoints / f"step-{step}").mkdir(parents=True)
        (run.checkpoints / f"step-{step}" / "state.json").write_text("{}")
    run.model.mkdir()
    averages = {"step-1": 10.0, "step-2": 30.0, "step-3": 20.0, "final": 20.0}
    stored: list[EvaluationScore] = [_score("step-2", "mmlu", 5.0)]
    marked_after_first: list[bool] = []

    def evaluate(step: str) -> list[EvaluationScore]:
        if step == "2":
            marked_after_first.append(
                any(score.selected_on for score in read_scores(run.scores) if score.key.model == "step-1")
            )
        label = "final" if step == "last" else f"step-{step}"
        new = [_score(label, "bbh", averages[label])]
        _store(run, [*(read_scores(run.scores) or stored), *new])
        return new

    watch_run(run, evaluate)
    assert marked_after_first == [True]
    marked = {(one.key.model, one.key.benchmark) for one in read_scores(run.scores) if one.selected_on}
    assert marked == {("step-2", "bbh")}


def test_the_mark_stands_in_record_terminal_report_and_comparison(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.checkpoints.mkdir()
    name_best(run.checkpoints, 2, "bbh", 50.0)
    _store(run, [_score("step-2", "bbh", 50.0), _score("base", "bbh", 40.0)])
    mark_scores(run)
    scores = {score.key.model: score for score in read_scores(run.scores)}
    assert printed(scores["step-2"])["selected_on"] is True
    assert "selected_on" not in printed(scores["base"])
    assert headline(scores["step-2"]).endswith("(selected on)")
    assert not headline(scores["base"]).endswith("(selected on)")
    tables = {table.name: table for table in all_tables(gather(run))}
    assert [row[1] for row in tables["results"].rows] == ["bbh direct (selected on)", "bbh direct"]
    assert "step-2 on bbh direct" in tables["checkpoints"].note
    line = {"task": "snarks", "index": 0, "generation": "(A)", "target": "(A)"}
    for label in ("base", "step-2"):
        path = run.generations / f"{label}-bbh-direct.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(line) + "\n")
    (both,) = comparison(f"{tmp_path}:base", f"{tmp_path}:step-2")["benchmarks"]
    assert both["selected_on"] == ["b"]
    (with_paper,) = comparison(f"{tmp_path}:step-2", "paper:flan-t5-base")["benchmarks"]
    assert with_paper["selected_on"] == ["a"]
    (unmarked,) = comparison(f"{tmp_path}:base", "paper:flan-t5-base")["benchmarks"]
    assert "selected_on" not in unmarked


@pytest.mark.parametrize(
    "content", ["[]", '{"step": 2}', '{"step": 2, "benchmarks": 3}', '{"benchmarks": ["bbh"]}']
)
def test_an_old_or_odd_record_marks_nothing(content: str, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.checkpoints.mkdir()
    (run.checkpoints / "best.json").write_text(content)
    assert not is_selected_on(run, ScoreKey("step-2", "bbh", "cot"))
