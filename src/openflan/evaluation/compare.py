"""Two models on the same questions, and one model against printed figures. Pure functions.

Two models: the difference is computed task by task, over the questions that both have answered. Its interval
is a paired bootstrap over questions within each task: both models have the same draws. The mean over tasks
has the mean of the tasks' draws. Questions of one cluster (a passage, a source question in several languages)
are drawn together. The value of a draw depends only on how often each pattern of a cluster's results was
drawn. Patterns are therefore drawn from a multinomial instead of questions: the distribution is the same, in
a fraction of time and memory. McNemar's test is exact, and takes questions as independent. A model is called
higher only where the interval leaves out 0 and McNemar's p is below 0.05: on a handful of questions the
bootstrap alone is too sure. Verdicts are one at a time: of twenty tasks without any difference one is
expected to show one.

Printed figures come without their questions. They are compared with the interval of our own score, widened by
the rounding of print, if that interval is narrow enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openflan.errors import InputError
from openflan.evaluation.paper import ROUNDING, PaperFigures
from openflan.evaluation.score_record import EvaluationScore
from openflan.evaluation.statistics import QuestionScore
from openflan.randomness import combine

DRAWS = 10_000
_CELLS = 1 << 20
"""Numbers of a chunk of draws: 8 MB."""

SIGNIFICANT = 0.05
NO_DIFFERENCE = "no difference shown"
TOO_WIDE = "interval too wide to say"
AGREES = "agrees with the paper"
AGREES_AS_CHANCE = "agrees with the paper, and with chance"
WIDEST = 5.0
"""Half the width, in percentage points, of the widest interval with which a printed figure is compared."""


@dataclass(frozen=True, slots=True)
class Difference:
    """B minus A in percent points on `n` common questions; `only_a` and `only_b` count those that one alone
    has right (scores higher, where the measure is graded), `p` is McNemar's. `verdict` names the model that
    is higher."""

    n: int
    a: float
    b: float
    difference: float
    ci95: tuple[float, float]
    only_a: int
    only_b: int
    p: float
    verdict: str

    def as_json(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value
            for name in self.__slots__
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """By task and by average, both over common questions; `unmatched` counts questions that A alone and B
    alone has answered."""

    tasks: Mapping[str, Difference]
    averages: Mapping[str, Difference]
    unmatched: tuple[int, int]

    def as_json(self) -> dict[str, Any]:
        parts = {
            kind: {name: one.as_json() for name, one in values.items()}
            for kind, values in (("averages", self.averages), ("tasks", self.tasks))
        }
        return {**parts, "unmatched": dict(zip("ab", self.unmatched, strict=True))}


def compare_models(
    a: Mapping[tuple[str, int], QuestionScore],
    b: Mapping[tuple[str, int], QuestionScore],
    averages: Mapping[str, Sequence[str]],
    *,
    names: tuple[str, str] = ("a", "b"),
    seed: int = 0,
) -> Comparison:
    """Compares what two models made of questions, given by (task, index), the second minus the first;
    `averages` names means and their tasks, `names` are the models' in verdicts.

    Raises InputError if no question is common.
    """
    common: dict[str, list[int]] = {}
    for task, index in a:
        if (task, index) in b:
            common.setdefault(task, []).append(index)
    if not common:
        raise InputError(
            "the two have no question in common: compare models that were evaluated on the same tasks"
        )
    drawn = _bootstrap(a, b, common, seed)
    values = {
        task: np.array([(a[task, index].value, b[task, index].value) for index in indices])
        for task, indices in common.items()
    }
    tasks = {task: _difference([values[task]], drawn[task], names) for task in common}
    means = {}
    for name, over in averages.items():
        if present := [task for task in over if task in common]:
            means[name] = _difference(
                [values[task] for task in present], np.mean([drawn[task] for task in present], axis=0), names
            )
    shared = sum(map(len, common.values()))
    return Comparison(tasks, means, (len(a) - shared, len(b) - shared))


def mcnemar(only_a: ArrayLike, only_b: ArrayLike) -> NDArray[np.float64]:
    """The exact two-sided p of as uneven a split of the questions that one model alone has right; arrays of
    whole numbers (T,)."""
    first_T, second_T = (
        np.atleast_1d(np.asarray(only_a, dtype=np.int64)),
        np.atleast_1d(np.asarray(only_b, dtype=np.int64)),
    )
    total_T, fewer_T = first_T + second_T, np.minimum(first_T, second_T)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total_T.max(initial=0) + 1)))])
    counts_C = np.arange(fewer_T.max(initial=0) + 1)
    inside_TC = counts_C <= fewer_T[:, None]
    safe_TC = np.where(inside_TC, counts_C, 0)
    log_TC = (
        log_factorial[total_T][:, None]
        - log_factorial[safe_TC]
        - log_factorial[total_T[:, None] - safe_TC]
        - total_T[:, None] * np.log(2.0)
    )
    p_T: NDArray[np.float64] = np.minimum(1.0, 2 * np.where(inside_TC, np.exp(log_TC), 0.0).sum(axis=1))
    return p_T


def against_paper(score: EvaluationScore, figures: PaperFigures) -> dict[str, Any]:
    """A score beside printed figures: `{"averages", "tasks", "partial", "samples"}`.

    A mean or task has ours, ci95, paper, difference (ours minus theirs), n and verdict. Of MMLU on its test
    split the printed mean is that of Tables 1 and 4. A mean is compared only where all of its tasks were
    scored. A verdict needs an interval of at most WIDEST points to both sides: a wider one holds about any
    figure, and the verdict says so. Where an interval holds the paper's figure and that of guessing as well,
    the verdict says this too.
    """
    tasks = {
        task: {
            **_beside(
                task_score.accuracy, task_score.ci95, figures.tasks[task], task_score.n, task_score.chance
            ),
            "n": task_score.n,
            "computed": task in figures.computed,
        }
        for task, task_score in score.tasks.items()
        if task in figures.tasks and task_score.ci95 is not None
    }
    printed = {name: value for name, value in figures.averages.items() if name != "test"}
    if score.key.split == "test":
        printed = {"average": figures.averages["test"]} if "test" in figures.averages else {}
    chances = [task.chance for task in score.tasks.values() if task.chance is not None]
    chance = fmean(chances) if chances else None
    averages = {}
    for name, value in printed.items():
        ours, interval = score.averages.get(name), score.intervals.get(name)
        if ours is not None and interval and not score.partial:
            beside = _beside(ours, interval.ci95, value, interval.n, chance if name == "average" else None)
            averages[name] = {**beside, "n": interval.n}
    return {
        "averages": averages,
        "tasks": tasks,
        "partial": score.partial,
        "samples": score.key.decoding.samples,
    }


def _beside(
    ours: float, ci95: tuple[float, float], paper: float, n: int, chance: float | None
) -> dict[str, Any]:
    low, high = ci95
    if (high - low) / 2 > WIDEST:
        verdict = f"{TOO_WIDE} (n = {n:,})"
    elif low - ROUNDING <= paper <= high + ROUNDING:
        verdict = AGREES if chance is None or not low <= chance <= high else AGREES_AS_CHANCE
    else:
        verdict = "above the paper" if ours > paper else "below the paper"
    return {"ours": ours, "ci95": [low, high], "paper": paper, "difference": ours - paper, "verdict": verdict}


def _difference(
    values_T: Sequence[NDArray[np.float64]], drawn: NDArray[np.float64], names: tuple[str, str]
) -> Difference:
    """The mean over tasks, each an array (questions, 2); discordant questions are pooled."""
    a, b = (float(100 * np.mean([values[:, place].mean() for values in values_T])) for place in (0, 1))
    only_a, only_b = (
        sum(int((values[:, higher] > values[:, lower]).sum()) for values in values_T)
        for higher, lower in ((0, 1), (1, 0))
    )
    low, high = (float(end) for end in np.nanpercentile(drawn, [2.5, 97.5]))
    p = float(mcnemar(only_a, only_b)[0])
    verdict = NO_DIFFERENCE if low <= 0 <= high or p >= SIGNIFICANT else f"{names[low > 0]} is higher"
    return Difference(sum(map(len, values_T)), a, b, b - a, (low, high), only_a, only_b, p, verdict)


def _bootstrap(
    a: Mapping[tuple[str, int], QuestionScore],
    b: Mapping[tuple[str, int], QuestionScore],
    common: Mapping[str, Sequence[int]],
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Drawn differences in percent points (DRAWS,) by task; tasks that share clusters are drawn together."""
    sums: dict[str, dict[str | int, list[float]]] = {}
    for task, indices in common.items():
        of_task = sums.setdefault(task, {})
        for index in indices:
            cluster = a[task, index].cluster
            cell = of_task.setdefault(index if cluster is None else cluster, [0, 0])
            cell[0] += b[task, index].value - a[task, index].value
            cell[1] += 1
    drawn: dict[str, NDArray[np.float64]] = {}
    for tasks in _strata(
        {task: {cluster for cluster in of_task if isinstance(cluster, str)} for task, of_task in sums.items()}
    ):
        clusters = list(dict.fromkeys(cluster for task in tasks for cluster in sums[task]))
        table_CT2 = np.array(
            [[sums[task].get(cluster, (0, 0)) for task in tasks] for cluster in clusters], dtype=np.float64
        )
        patterns_PX, times_P = np.unique(table_CT2.reshape(len(clusters), -1), axis=0, return_counts=True)
        drawn |= dict(
            zip(
                tasks,
                _redrawn(
                    patterns_PX.reshape(-1, len(tasks), 2), times_P, combine(seed, "paired-bootstrap", *tasks)
                ),
                strict=True,
            )
        )
    return drawn


def _redrawn(patterns_PT2: NDArray[np.float64], times_P: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Means of redrawn clusters in percent points (tasks, DRAWS), from the sum and number of each pattern's
    questions."""
    generator, total = np.random.default_rng(seed), int(times_P.sum())
    chunk = max(1, _CELLS // len(times_P))
    parts = []
    for start in range(0, DRAWS, chunk):
        weights_DP = generator.multinomial(total, times_P / total, size=min(chunk, DRAWS - start))
        sums_DT, counts_DT = weights_DP @ patterns_PT2[:, :, 0], weights_DP @ patterns_PT2[:, :, 1]
        # A task may have no question in a draw where its clusters are few among those of other tasks; such a
        # draw says nothing of it.
        parts.append(np.where(counts_DT > 0, 100 * sums_DT / np.maximum(counts_DT, 1), np.nan))
    return np.concatenate(parts).T


def _strata(clusters: Mapping[str, set[str]]) -> Iterable[list[str]]:
    """Tasks in groups: those of one group share clusters, directly or through others."""
    groups: list[tuple[list[str], set[str]]] = []
    for task, names in clusters.items():
        joined = [group for group in groups if group[1] & names]
        groups = [group for group in groups if not group[1] & names]
        groups.append(
            (
                [*(one for group in joined for one in group[0]), task],
                names.union(*(group[1] for group in joined)),
            )
        )
    return [tasks for tasks, _ in groups]
