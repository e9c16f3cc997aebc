"""From right and wrong to numbers with their uncertainty. All in percent, unrounded.

Normalised score: 100 (x - chance) / (100 - chance), negative below chance, one task at a time (the rule that reproduces the paper's averages).
Averages are plain means over tasks, never over questions. The interval is Wilson's: unlike mean +- 1.96 errors it stays inside 0..100 and is not
empty at 0 of n.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Judged:
    """One question: was an answer found, is it right, and why the generation ended."""

    extracted: bool
    correct: bool
    finish: str = "eos"


@dataclass(frozen=True, slots=True)
class TaskScore:
    """Percentages, but `n`, `too_long` (prompts that did not fit: counted as wrong) and `truncated` (generations cut by max_tokens) are counts."""

    accuracy: float
    stderr: float
    ci95: tuple[float, float]
    extracted: float
    n: int
    too_long: int
    truncated: int
    chance: float
    normalized: float

    def as_json(self) -> dict[str, object]:
        return {name: list(value) if isinstance(value := getattr(self, name), tuple) else value for name in self.__slots__}


def task_score(judged: Sequence[Judged], chance: float) -> TaskScore:
    """The score of at least one question; `chance` in percent, below 100."""
    n = len(judged)
    right = sum(one.correct for one in judged)
    accuracy = 100 * right / n
    return TaskScore(
        accuracy=accuracy,
        stderr=100 * math.sqrt(right / n * (1 - right / n) / n),
        ci95=wilson(right, n),
        extracted=100 * sum(one.extracted for one in judged) / n,
        n=n,
        too_long=sum(one.finish == "too-long" for one in judged),
        truncated=sum(one.finish == "length" for one in judged),
        chance=chance,
        normalized=normalized(accuracy, chance),
    )


def normalized(accuracy: float, chance: float) -> float:
    """0 at chance, 100 when all is right; both arguments in percent. Where chance is 100 there is nothing to gain: 0."""
    return 100 * (accuracy - chance) / (100 - chance) if chance < 100 else 0.0


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share, in percent (Wilson 1927)."""
    share, spread = right / n, Z95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    reach = Z95 * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # Rounding may leave the ends a hair outside of what is possible.
    return 0.0 if right == 0 else 100 * (centre - reach), 100.0 if right == n else 100 * (centre + reach)


def mean_over(tasks: Iterable[str], values: Mapping[str, float]) -> float | None:
    """The plain mean over those `tasks` that have a value; None if none has."""
    present = [values[task] for task in tasks if task in values]
    return fmean(present) if present else None
