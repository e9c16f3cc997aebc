"""Scores as tables: every model's averages with their uncertainty, the paper's averages over the suite, the
last model task by task. Pure.

The table of before and after answers whether finetuning helped; these answer how good each figure is: on how
many questions, within which interval, how often no answer was found and how often a generation was truncated.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from openflan.evaluation.averages import averages_of_scores, relative_error_reduction
from openflan.evaluation.bits_per_byte import GOLD
from openflan.evaluation.score_record import SELECTED_ON, EvaluationScore
from openflan.reports.gather import Gathered
from openflan.reports.table import Cell, Table

MEASURES = ("n", "%", "95% from", "95% to", "normalized", "extracted %", "truncated %")
"""Columns of a score. `extracted` is the share of questions in which an answer was found, `truncated` the
share of generations that end at the token limit."""


def results(gathered: Gathered) -> Table | None:
    """One row a model, benchmark and mode: its headline average."""
    if not gathered.scores:
        return None
    answered = [score for score in gathered.scores if score.key.decoding.likelihood != GOLD]
    if not answered:
        return None
    rows = tuple(
        (score.key.model, score.marked, score.key.decoding.samples, *_measures(score)) for score in answered
    )
    notes = ["Normalized: chance is 0, all right is 100, each task by itself."]
    if any(score.selected_on for score in answered):
        notes.append(
            f"({SELECTED_ON}): the benchmark also chose the checkpoint, so that the score is too high for a "
            "held-out one."
        )
    if partial := [f"{score.key.model} on {score.named}" for score in gathered.scores if score.partial]:
        notes.append(f"Only some of the questions were evaluated: {', '.join(partial)}.")
    if any(score.key.decoding.samples > 1 for score in gathered.scores):
        notes.append("Several samples of a question are decided by majority.")
    if shortened := sum(score.prompts_shortened for score in gathered.scores):
        notes.append(f"{shortened:,} prompts lost exemplars because they did not fit the model.")
    return Table("results", "Results", ("model", "benchmark", "samples", *MEASURES), rows, " ".join(notes))


def bits_per_byte(gathered: Gathered) -> Table | None:
    """One row a model, benchmark and mode: the bits per byte of the right answers, where they were
    computed."""
    rows = tuple(
        (score.key.model, score.marked, average.n, average.value, *average.ci95)
        for score in gathered.scores
        if score.gold and (average := score.gold.averages.get("average"))
    )
    columns = ("model", "benchmark", "n", "bits per byte", "95% from", "95% to")
    note = "Bits that the model needs for each byte of the right answer; lower is better."
    return Table("bits per byte", "Bits per byte of the right answer", columns, rows, note) if rows else None


def wordings(gathered: Gathered) -> Table | None:
    """One row a model and task that was asked with all wordings: the mean over them, their spread, and the
    worst and the best one."""
    rows = tuple(
        (
            score.key.model,
            task,
            effect.n,
            len(effect.wordings),
            effect.mean,
            effect.deviation,
            effect.worst,
            effect.wordings[effect.worst],
            effect.best,
            effect.wordings[effect.best],
            *effect.ci95,
        )
        for score in gathered.scores
        for task, effect in score.wordings.items()
    )
    columns = ("model", "task", "n", "wordings", "mean %", "deviation", "worst", "worst %", "best", "best %")
    note = (
        "The interval is that of worst minus best, paired over questions, for all pairs of wordings at once."
    )
    return Table("wordings", "Wordings", (*columns, "95% from", "95% to"), rows, note) if rows else None


def suite(gathered: Gathered) -> Table | None:
    """The paper's averages of each model that has all their components, and by how much the error shrank from
    the base."""
    averages_by_model = {
        model: _suite(gathered.scores, model)
        for model in dict.fromkeys(score.key.model for score in gathered.scores)
    }
    if not any(value is not None for averages in averages_by_model.values() for value in averages.values()):
        return None
    rows: list[tuple[Cell, ...]] = []
    for model, averages in averages_by_model.items():
        base, normalized = (
            averages_by_model.get("base", {}).get("normalized average"),
            averages["normalized average"],
        )
        gain = (
            relative_error_reduction(base, normalized)
            if base is not None and normalized is not None and model != "base" and base < 100
            else None
        )
        rows.append((model, *averages.values(), gain))
    columns = ("model", *next(iter(averages_by_model.values())), "error reduction %")
    note = (
        "Means over benchmarks as in the paper's Table 5 and Figure 5; error reduction from base to "
        "model as in its appendix A.3."
    )
    return Table("suite", "Averages over the suite", columns, tuple(rows), note)


def by_task(gathered: Gathered) -> list[Table]:
    """One table a benchmark: the final model task by task, or the last that was evaluated."""
    last: dict[str, EvaluationScore] = {}
    for score in gathered.scores:
        if score.key.model == "final" or last.get(score.named, score).key.model != "final":
            last[score.named] = score
    tables = []
    for name, score in last.items():
        if any(task.extracted is not None for task in score.tasks.values()):
            rows = tuple(
                (
                    task,
                    task_score.n,
                    task_score.accuracy,
                    *(task_score.ci95 or (None, None)),
                    task_score.normalized,
                    task_score.extracted,
                    task_score.truncation,
                )
                for task, task_score in score.tasks.items()
            )
            curve = ", ".join(f"{k}: {value:.2f}" for k, value in score.curve.items() if value is not None)
            note = f"Accuracy by number of samples: {curve}." if curve else ""
            tables.append(
                Table(
                    f"{name} by task", f"{name}, {score.key.model}: by task", ("task", *MEASURES), rows, note
                )
            )
    return tables


def _measures(score: EvaluationScore) -> tuple[Cell, ...]:
    average, interval = score.average, score.intervals.get("average")
    low, high = interval.ci95 if interval else (None, None)
    n = interval.n if interval else sum(task.n for task in score.tasks.values())
    extracted, cut = (
        _mean([getattr(task, name) for task in score.tasks.values()]) for name in ("extracted", "truncation")
    )
    return (n, average, low, high, score.normalized, extracted, cut)


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return fmean(present) if present else None


def _suite(scores: Sequence[EvaluationScore], model: str) -> dict[str, float | None]:
    """Only greedy answers to all questions of the usual split, with the usual exemplars, count."""
    return averages_of_scores(score for score in scores if score.key.model == model)
