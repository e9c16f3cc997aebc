"""Scores of groups of items with intervals, and the gain of one model over another on the same items.

Intervals are percentile bootstraps over items: within each group items are drawn anew. Two models have the
same draws (paired). The overall score is the plain mean of the groups. Items count as independent; what
varies between training runs is not in these intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.bootstrap import interval, redrawn
from openflan.evaluation.score_saved import judge_all, read_saved
from openflan.evaluation.statistics import normalized
from openflan.randomness import combine

Items: TypeAlias = Mapping[tuple[str, int], bool]
"""Right or wrong, by task and index."""


def right_items(generations: Path, benchmark: Benchmark) -> dict[tuple[str, int], bool]:
    """The questions that were answered right; of several samples the majority counts."""
    return {
        question: question_score.correct
        for question, (_, question_score) in judge_all(read_saved(generations, benchmark)).items()
    }


def group_scores(items: Items, benchmark: Benchmark, groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """`{"overall": X, "groups": {name: X}}` with X = normalized, ci95, accuracy, chance (percent) and n;
    `groups` maps a name to its tasks."""
    columns = {name: _column(items, tasks) for name, tasks in groups.items()}
    chances = {name: _chance(items, benchmark, tasks) for name, tasks in groups.items()}
    drawn = {
        name: normalized_array(_resampled(column, name), chances[name]) for name, column in columns.items()
    }
    scores = {
        name: _score(float(100 * column.mean()), chances[name], len(column), drawn[name])
        for name, column in columns.items()
    }
    overall = {
        "normalized": float(np.mean([score["normalized"] for score in scores.values()])),
        "ci95": list(interval(np.mean(list(drawn.values()), axis=0))),
        "accuracy": float(np.mean([score["accuracy"] for score in scores.values()])),
        "chance": float(np.mean(list(chances.values()))),
        "n": sum(score["n"] for score in scores.values()),
    }
    return {"overall": overall, "groups": scores}


def gain(
    before: Items, after: Items, benchmark: Benchmark, groups: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """`{"normalized", "ci95"}`: the mean over groups of the difference, after minus before, on the same
    items."""
    differences = []
    for name, tasks in groups.items():
        chance = _chance(before, benchmark, tasks)
        old, new = (_resampled(_column(items, tasks), name) for items in (before, after))
        differences.append(normalized_array(new, chance) - normalized_array(old, chance))
    point = np.mean(
        [
            normalized(100 * _column(after, tasks).mean(), _chance(after, benchmark, tasks))
            for tasks in groups.values()
        ]
    ) - np.mean(
        [
            normalized(100 * _column(before, tasks).mean(), _chance(before, benchmark, tasks))
            for tasks in groups.values()
        ]
    )
    return {"normalized": float(point), "ci95": list(interval(np.mean(differences, axis=0)))}


def normalized_array(accuracies: NDArray[np.float64], chance: float) -> NDArray[np.float64]:
    return 100 * (accuracies - chance) / (100 - chance)


def _column(items: Items, tasks: Sequence[str]) -> NDArray[np.float64]:
    return np.array([right for (task, _), right in sorted(items.items()) if task in tasks], dtype=np.float64)


def _chance(items: Items, benchmark: Benchmark, tasks: Sequence[str]) -> float:
    return float(np.mean([benchmark.tasks[task].chance for task, _ in items if task in tasks]))


def _resampled(column: NDArray[np.float64], group: str) -> NDArray[np.float64]:
    """Accuracies in percent (DRAWS,) of redrawn items; the draws depend on the group and its size alone, so
    that models are paired."""
    return 100 * redrawn(column, combine("bootstrap", group, len(column))) / len(column)


def _score(accuracy: float, chance: float, n: int, drawn: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "normalized": normalized(accuracy, chance),
        "ci95": list(interval(drawn)),
        "accuracy": accuracy,
        "chance": chance,
        "n": n,
    }
