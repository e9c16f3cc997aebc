"""How good each figure is: intervals, rates, suite averages and self-consistency in a run's report."""

from pathlib import Path
from typing import Any

import pytest
from made_up_run import generation, parse, score, write_run

from openflan.evaluation.averages import COMPONENTS
from openflan.reports import tables
from openflan.reports.gather import gather
from openflan.reports.html import render
from openflan.reports.results import by_task, results, suite


def _rows(table: tables.Table | None) -> list[dict[str, Any]]:
    assert table is not None
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def _scored(model: str, component: str, normalized: float, **changes: Any) -> dict[str, Any]:
    benchmark, mode = component.split("-")
    interval = {"stderr": 1.0, "ci95": [40.0, 50.0], "n": 70, "clusters": 70}
    made = score(
        model,
        {"snarks": 45.0, "en": 80.0},
        n=60,
        benchmark=benchmark,
        mode=mode,
        normalized=normalized,
        average=45.0,
    )
    for task in made["tasks"].values():
        task |= {"extracted": 90.0, "truncation": 4.0, "normalized": 26.0}
    return {**made, "intervals": {"average": interval}, "samples": 1, "split": "", **changes}


def test_results_show_interval_and_rates(tmp_path: Path) -> None:
    gathered = gather(
        write_run(
            tmp_path / "run",
            scores=[_scored("base", "bbh-cot", 20.0), _scored("final", "bbh-cot", 30.0, partial=True)],
        )
    )
    table = results(gathered)
    first, second = _rows(table)
    assert first == {
        "model": "base", "benchmark": "bbh cot", "samples": 1, "n": 70, "%": 45.0,
        "95% from": 40.0, "95% to": 50.0, "normalized": 20.0,
        "extracted %": 90.0, "truncated %": 4.0,
    }  # fmt: skip
    assert second["model"] == "final"
    assert table is not None
    assert "some of the questions were evaluated: final on bbh cot." in table.note
    (task_table,) = by_task(gathered)
    assert (task_table.title, _rows(task_table)[0]["95% from"]) == ("bbh cot, final: by task", 39.0)


def test_scores_of_before_are_shown_without_what_they_lack(tmp_path: Path) -> None:
    old = score("final", {"snarks": 60.0})
    for task in old["tasks"].values():
        del task["extracted"]
    gathered = gather(write_run(tmp_path / "run", scores=[old]))
    (row,) = _rows(results(gathered))
    assert (row["%"], row["95% from"], row["extracted %"]) == (60.0, None, None)
    assert by_task(gathered) == []
    assert suite(gathered) is None


def test_suite_averages_need_all_components(tmp_path: Path) -> None:
    base = [_scored("base", component, 10.0) for component in COMPONENTS]
    final = [_scored("final", component, 28.0) for component in COMPONENTS]
    (first, second) = _rows(suite(gather(write_run(tmp_path / "all", scores=[*base, *final]))))
    assert (first["normalized average"], first["error reduction %"]) == (10.0, None)
    assert (second["normalized average"], second["CoT average"], second["non-CoT average"]) == (
        28.0,
        28.0,
        28.0,
    )
    assert second["error reduction %"] == pytest.approx(20.0)
    without = [one for one in final if (one["benchmark"], one["mode"]) != ("mgsm", "cot")]
    (row,) = _rows(suite(gather(write_run(tmp_path / "some", scores=without))))
    assert (row["normalized average"], row["CoT average"], row["non-CoT average"]) == (None, None, 28.0)
    partial = [{**one, "partial": True} for one in final]
    assert suite(gather(write_run(tmp_path / "partial", scores=partial))) is None
    other_split = [{**one, "split": "test"} if one["benchmark"] == "mmlu" else one for one in without]
    assert suite(gather(write_run(tmp_path / "split", scores=other_split))) is None


def test_samples_and_splits_stand_beside_the_usual_score(tmp_path: Path) -> None:
    """Accuracy by number of samples is shown, and neither a mean nor a count of a score is taken for an
    average over tasks."""
    curve = {"1": 41.0, "2": 42.5, "40": 48.0}
    sampled = _scored(
        "final",
        "bbh-cot",
        30.0,
        samples=40,
        curve=curve,
        agreement=70.0,
        missing=0,
        duplicates=0,
        exemplars=3.0,
        prompts_shortened=5,
    )
    gathered = gather(
        write_run(
            tmp_path / "run",
            scores=[
                _scored("final", "bbh-cot", 25.0),
                sampled,
                _scored("final", "mmlu-direct", 1.0, split="test"),
            ],
        )
    )
    assert [(row["benchmark"], row["samples"]) for row in _rows(results(gathered))] == [
        ("bbh cot", 1),
        ("bbh cot 40 samples", 40),
        ("mmlu direct test", 1),
    ]
    table = results(gathered)
    assert table is not None
    assert "5 prompts lost exemplars" in table.note
    assert by_task(gathered)[1].note == "Accuracy by number of samples: 1: 41.00, 2: 42.50, 40: 48.00."
    assert all(set(one.averages) == {"average"} for one in gathered.scores)
    assert [headline.mode for headline in tables.headlines(gathered)] == [
        "cot",
        "cot 40 samples",
        "direct test",
    ]
    page = parse(render(gathered))
    assert page.faults == []
    text = " ".join(page.text)
    assert "Scores and their uncertainty" in text
    assert "--split test" in text
    assert "--samples 40" in text


def test_generations_without_an_answer_are_shown(tmp_path: Path) -> None:
    """Five at most, of the model that is shown elsewhere too; answered, unknown and never generated ones are
    not among them."""
    lines = [
        generation("snarks", index, f"I wonder {index} <b>." if index % 2 else "So the answer is (A).", "(A)")
        for index in range(20)
    ]
    lines += [
        generation("snarks", 20, "", "(A)", finish="too-long"),
        generation("odd", 0, "nothing", "x", benchmark="somebody's"),
    ]
    base = [generation("snarks", 0, "Base wonders.", "(A)")]
    gathered = gather(write_run(tmp_path / "run", generations={"final-bbh-cot": lines, "base-bbh-cot": base}))
    assert len(gathered.unanswered) == 5
    assert all(one.generation.startswith("I wonder") and one.model == "final" for one in gathered.unanswered)
    page = parse(render(gathered))
    assert "Where no answer was found" in page.text
    assert f"I wonder {gathered.unanswered[0].index} <b>." in page.pre
    answered = gather(write_run(tmp_path / "fine", generations={"final-bbh-cot": lines[::2]}))
    assert answered.unanswered == ()
    assert "Where no answer was found" not in parse(render(answered)).text
