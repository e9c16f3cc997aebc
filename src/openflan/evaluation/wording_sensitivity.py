"""How much a score depends on the wording: the same questions, asked once with each wording of their task.

Mean, standard deviation over the wordings, the worst and the best one. The difference between the two is
paired: only questions that were asked with every wording count, and the bootstrap draws questions, each with
its answers under all wordings. As the two were picked for being the worst and the best, the interval is that
of all pairs of wordings at once (Bonferroni), so that it leaves out 0 by chance in one task of twenty at
most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from openflan.evaluation.statistics import QuestionScore
from openflan.randomness import combine

DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class WordingSensitivity:
    """A task's score by wording, in percent of its own measure, over the `n` questions that were asked with
    every wording.

    `deviation` is the standard deviation over the wordings. `difference` is the worst minus the best, and
    `ci95` its interval, corrected for the number of pairs.
    """

    wordings: Mapping[str, float]
    n: int
    mean: float
    deviation: float
    worst: str
    best: str
    difference: float
    ci95: tuple[float, float]

    @property
    def shown(self) -> bool:
        """True if the interval leaves out 0: the wording matters."""
        return not self.ci95[0] <= 0 <= self.ci95[1]


def wording_sensitivity(
    scores: Mapping[tuple[str, int], QuestionScore], wordings: Mapping[str, tuple[str, str]], seed: int = 0
) -> dict[str, WordingSensitivity]:
    """By task the effect of its wordings. `scores` are by (task with its wording, index); `wordings` gives
    for each task with its wording the task and the wording. Tasks with one wording are left out, and tasks
    none of whose questions was asked with every wording."""
    by_task: dict[str, dict[str, dict[int, float]]] = {}
    for (key, index), score in scores.items():
        if key in wordings:
            task, wording = wordings[key]
            by_task.setdefault(task, {}).setdefault(wording, {})[index] = score.value
    results = {}
    for task, values in by_task.items():
        indices = sorted(set.intersection(*(set(of_wording) for of_wording in values.values())))
        if len(values) > 1 and indices:
            table = {name: [of_wording[index] for index in indices] for name, of_wording in values.items()}
            results[task] = _sensitivity(table, combine(seed, "wordings", task))
    return results


def _sensitivity(values: Mapping[str, list[float]], seed: int) -> WordingSensitivity:
    """Of at least two wordings with the values of the same questions."""
    names = list(values)
    table_WN = np.array([values[name] for name in names])
    num_wordings, n = table_WN.shape
    means_W = 100 * table_WN.mean(axis=1)
    worst, best = int(means_W.argmin()), int(means_W.argmax())
    pairs = num_wordings * (num_wordings - 1) / 2
    differences, counts = np.unique(table_WN[worst] - table_WN[best], return_counts=True)
    weights_DP = np.random.default_rng(seed).multinomial(n, counts / n, size=DRAWS)
    drawn_D = 100 * (weights_DP @ differences) / n
    low, high = np.percentile(drawn_D, [2.5 / pairs, 100 - 2.5 / pairs])
    return WordingSensitivity(
        wordings={name: float(mean) for name, mean in zip(names, means_W, strict=True)},
        n=n,
        mean=float(means_W.mean()),
        deviation=float(means_W.std(ddof=1)),
        worst=names[worst],
        best=names[best],
        difference=float(means_W[worst] - means_W[best]),
        ci95=(float(low), float(high)),
    )
