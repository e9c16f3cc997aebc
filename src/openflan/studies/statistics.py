"""Scores of cells as sums over questions, and two intervals for anything made of them.

A score is 100 (right - chance) / (100 - chance) for a question, averaged over a task's questions and then
over tasks: a sum of shares, one a question. Differences of cells are then sums of shares too, and both
intervals hold for any of them: over seeds, Student's t over the values of the seeds (paired, as a difference
is taken within each seed): what varies between training runs; over items, a percentile bootstrap of the mean
over seeds, questions redrawn within each task, all cells under the same draws (paired): what varies between
questions. Neither contains the other. Questions count as independent, also where they share a passage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.bootstrap import DRAWS, interval, redrawn
from openflan.randomness import combine
from openflan.studies.evaluations import Layout

Interval: TypeAlias = tuple[float, float]
Column: TypeAlias = Mapping[tuple[str, str], NDArray[np.float64]]
"""By benchmark and task, each question's share of a score; not a number where a question was not asked."""

_T975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
"""The 97.5th percentile of Student's t, for 1 to 10 degrees of freedom."""
_Z975 = 1.959964


def column(values: Sequence[float], layout: Layout, group: str) -> Column:
    """The shares of a cell's answers to an evaluation, `values` in 0..1 in the layout's order, in the
    normalized score of a group of tasks."""
    group_tasks, start, shares_by_task = layout.groups[group], 0, {}
    for task, size in layout.sizes.items():
        if task in group_tasks:
            of_task = np.array(values[start : start + size], dtype=np.float64)
            chance = layout.chances[task]
            num_questions = np.count_nonzero(~np.isnan(of_task))
            shares_by_task[layout.benchmark, task] = (
                (100 * of_task - chance) / (100 - chance) * 100 / (num_questions * len(group_tasks))
            )
        start += size
    return shares_by_task


def weighted(columns: Iterable[tuple[float, Column]]) -> Column:
    """A sum of columns; a question that only some of them asked has the shares of those."""
    total: dict[tuple[str, str], NDArray[np.float64]] = {}
    for weight, column_shares in columns:
        for key, shares in column_shares.items():
            before = total.get(key)
            total[key] = weight * shares if before is None else _added(before, weight * shares)
    return total


def mean(columns: Sequence[Column]) -> Column:
    return weighted((1 / len(columns), one) for one in columns)


def score(column: Column) -> float:
    return float(sum(np.nansum(shares) for shares in column.values()))


def over_seeds(values: Sequence[float]) -> Interval | None:
    """Student's 95 % interval of the mean of independent values; None of fewer than two."""
    if len(values) < 2:
        return None
    reach = t975(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values) - reach, fmean(values) + reach


def t975(degrees: int) -> float:
    """Tabulated up to 10 degrees of freedom, beyond by Cornish and Fisher's expansion, which is then right to
    three decimals."""
    if degrees <= len(_T975):
        return _T975[degrees - 1]
    z, v = _Z975, degrees
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def over_items(columns: Mapping[str, Column]) -> dict[str, Interval]:
    """Bootstrap intervals of scores by name; draws depend on task and number of questions alone, so all
    columns share them."""
    names = list(columns)
    drawn_DK = np.zeros((DRAWS, len(names)))
    for key in sorted({key for one in columns.values() for key in one}):
        column_indices = [column_index for column_index, name in enumerate(names) if key in columns[name]]
        size = max(len(columns[names[column_index]][key]) for column_index in column_indices)
        shares_NK = np.full((size, len(column_indices)), np.nan)
        for local_index, column_index in enumerate(column_indices):
            shares = columns[names[column_index]][key]
            shares_NK[: len(shares), local_index] = shares
        kept_NK = np.nan_to_num(shares_NK[~np.isnan(shares_NK).all(axis=1)])
        drawn_DK[:, column_indices] += redrawn(kept_NK, combine("study", *key, len(kept_NK)))
    return {name: interval(drawn_DK[:, column_index]) for column_index, name in enumerate(names)}


def _added(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    size = max(len(first), len(second))
    both = np.full((2, size), np.nan)
    both[0, : len(first)], both[1, : len(second)] = first, second
    return np.where(np.isnan(both).all(axis=0), np.nan, np.nansum(both, axis=0))
