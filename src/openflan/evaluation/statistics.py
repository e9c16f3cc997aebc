"""From right and wrong to numbers with their uncertainty. All in percent, unrounded.

Normalised score: 100 (x - chance) / (100 - chance), negative below chance, one task at a time (the rule that
reproduces the paper's averages). Averages are plain means over tasks, never over questions. The interval of a
task is Wilson's: unlike mean +- 1.96 errors it stays inside 0..100 and is not empty at 0 of n. The interval
of an average combines those of its tasks (Zou and Donner 2008: the reaches of independent parts add in
squares), which keeps both virtues. Questions that share a passage, or are one question in several languages,
are no independent evidence: where questions have clusters, standard errors are those of the clusters (Liang
and Zeger 1986) and intervals widen by the same factor, but never shrink. A task whose measure is graded
(ROUGE-L) has Wilson's interval of that measure, which is wider than need be: right or wrong varies the most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.959963984540054
ACCURACY = "accuracy"


@dataclass(frozen=True, slots=True)
class QuestionScore:
    """One question: was an answer found, is it right, and why its generations ended (`others` are those after
    the first sample).

    `agreement` is the share of samples that gave the answer. `metrics` are in 0..1, by name; `metric` is the
    task's own, ACCURACY or one of them. `cluster` names what the question shares with others.
    """

    extracted: bool
    correct: bool
    finish: str = "eos"
    others: tuple[str, ...] = ()
    agreement: float = 1.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    cluster: str | None = None
    metric: str = ACCURACY

    @property
    def value(self) -> float:
        """The value of the question by the task's own measure, in 0..1."""
        return float(self.correct) if self.metric == ACCURACY else self.metrics[self.metric]


@dataclass(frozen=True, slots=True)
class TaskScore:
    """Percentages, but `n` (questions), `samples` (the most of a question), `too_long` (prompts that did not
    fit: counted as wrong) and `truncated` (generations cut by max_tokens) are counts; `truncation` is the
    share of all generations that were cut.

    `value` is the task's own measure, named by `metric`; `stderr`, `ci95` and `normalized` are its. What an
    old file does not say is None.
    """

    accuracy: float
    n: int
    value: float | None = None
    metric: str = ACCURACY
    stderr: float | None = None
    ci95: tuple[float, float] | None = None
    extracted: float | None = None
    too_long: int = 0
    truncated: int = 0
    truncation: float | None = None
    chance: float | None = None
    normalized: float | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    samples: int = 1
    agreement: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Every field under its name, metrics under `metrics`."""
        return asdict(self)

    def as_json(self) -> dict[str, object]:
        """The form that `openflan score --json` prints: metrics beside the accuracy under their names;
        `metric` only if it is not accuracy, `samples` and `agreement` only for several samples."""
        hidden = ("metric", "value", "ci95", "metrics", "samples", "agreement")
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in hidden}
        own: dict[str, object] = {} if self.metric == ACCURACY else {"metric": self.metric}
        several = {"samples": self.samples, "agreement": self.agreement} if self.samples > 1 else {}
        return (
            plain
            | {"ci95": None if self.ci95 is None else list(self.ci95)}
            | own
            | several
            | dict(self.metrics)
        )


@dataclass(frozen=True, slots=True)
class AverageScore:
    """A plain mean over tasks in percent, and its uncertainty; `n` counts questions, `clusters` what is
    independent among them."""

    value: float
    stderr: float
    ci95: tuple[float, float]
    n: int
    clusters: int

    def as_json(self) -> dict[str, object]:
        return {"stderr": self.stderr, "ci95": list(self.ci95), "n": self.n, "clusters": self.clusters}


def task_score(scores: Sequence[QuestionScore], chance: float) -> TaskScore:
    """The score of at least one question; `chance` in percent, below 100."""
    n = len(scores)
    values_N = np.array([one.value for one in scores])
    value = float(100 * values_N.mean())
    stderr, inflation, _ = _spread({"": scores})
    finishes = [finish for one in scores for finish in (one.finish, *one.others)]
    truncated = finishes.count("length")
    return TaskScore(
        metric=scores[0].metric,
        value=value,
        accuracy=100 * sum(one.correct for one in scores) / n,
        stderr=stderr,
        ci95=wilson(float(values_N.sum()) / inflation, n / inflation),
        extracted=100 * sum(one.extracted for one in scores) / n,
        n=n,
        too_long=sum(one.finish == "too-long" for one in scores),
        truncated=truncated,
        truncation=100 * truncated / len(finishes),
        chance=chance,
        normalized=normalized(value, chance),
        metrics={name: 100 * fmean(one.metrics[name] for one in scores) for name in scores[0].metrics},
        samples=max(1 + len(one.others) for one in scores),
        agreement=100 * fmean(one.agreement for one in scores),
    )


def average_score(tasks: Mapping[str, Sequence[QuestionScore]]) -> AverageScore:
    """The mean over at least one task, each with at least one question."""
    shares_T = np.array([fmean(one.value for one in judged) for judged in tasks.values()])
    n_T = np.array([len(judged) for judged in tasks.values()])
    stderr, inflation, clusters = _spread(tasks)
    low_T, high_T = wilson_intervals(shares_T * n_T, n_T)
    value = float(100 * shares_T.mean())
    down, up = (
        math.sqrt(inflation * float(((100 * shares_T - ends_T) ** 2).sum())) / len(tasks)
        for ends_T in (low_T, high_T)
    )
    return AverageScore(
        value, stderr, (max(0.0, value - down), min(100.0, value + up)), int(n_T.sum()), clusters
    )


def normalized(accuracy: float, chance: float) -> float:
    """0 at chance, 100 when all is right; both arguments in percent. Where chance is 100 there is nothing to
    gain: 0."""
    return 100 * (accuracy - chance) / (100 - chance) if chance < 100 else 0.0


def wilson(right: float, n: float) -> tuple[float, float]:
    """The 95 % score interval of a share, in percent (Wilson 1927); both may be fractions, as an effective
    number of questions is."""
    low, high = wilson_intervals(right, n)
    return float(low), float(high)


def wilson_intervals(right_T: ArrayLike, n_T: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends of the 95 % score intervals of shares (Wilson 1927), in percent.

    Both arguments have the shape (T,), and so have both results.
    """
    right, n = np.asarray(right_T, dtype=np.float64), np.asarray(n_T, dtype=np.float64)
    share, spread = right / n, Z95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    reach = Z95 * np.sqrt(np.maximum(0.0, share * (1 - share)) / n + spread / (4 * n)) / (1 + spread)
    # Rounding may leave the ends a hair outside of what is possible.
    return np.where(share <= 0, 0.0, 100 * (centre - reach)), np.where(
        share >= 1, 100.0, 100 * (centre + reach)
    )


def mean_over(tasks: Iterable[str], values: Mapping[str, float | None]) -> float | None:
    """The plain mean over those `tasks` that have a value; None if none has."""
    present = [value for task in tasks if (value := values.get(task)) is not None]
    return fmean(present) if present else None


def _spread(tasks: Mapping[str, Sequence[QuestionScore]]) -> tuple[float, float, int]:
    """Standard error of the mean over tasks in percent, by how much clusters raise its square (at least 1),
    and the number of clusters.

    A question's part in the mean is its deviation from its task over (tasks x questions of the task); parts
    of one cluster are added before they are squared. A question without a cluster is one of its own.
    """
    parts: dict[str | tuple[str, int], float] = {}
    alone = 0.0
    for task, scores in tasks.items():
        mean = fmean(one.value for one in scores)
        for index, score in enumerate(scores):
            part = (score.value - mean) / (len(tasks) * len(scores))
            key = (task, index) if score.cluster is None else score.cluster
            parts[key] = parts.get(key, 0.0) + part
            alone += part * part
    together = math.fsum(part * part for part in parts.values())
    # Where all are right, or none, nothing tells how alike the questions of a cluster are: they then count as
    # one.
    inflation = max(1.0, together / alone) if alone else sum(map(len, tasks.values())) / len(parts)
    return 100 * math.sqrt(together), inflation, len(parts)
