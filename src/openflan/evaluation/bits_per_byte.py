"""Bits per byte of the right answer: how many bits a model needs for each UTF-8 byte of it, after the prompt.

Lower is better. It moves long before accuracy does, so that it tells small models apart that all answer at
chance. The number of bytes is that of the answer without the white space before it; the probability is that
of the whole text, white space included. Of several right answers the first counts.

It is read from saved lines that hold the right answer's log-probability: those of `--bits-per-byte`, which
score the right answer alone, and those of `--likelihood`, which score all options.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from openflan.evaluation.benchmark import Target
from openflan.evaluation.generations import Generation
from openflan.evaluation.statistics import Z95, QuestionScore

BITS_PER_BYTE = "bits_per_byte"
GOLD = "gold"
"""The decoding that scores the right answer alone."""


@dataclass(frozen=True, slots=True)
class BitsPerByte:
    """A mean over questions, or over the tasks' means, in bits per byte, with its 95 % interval; `n` counts
    questions."""

    value: float
    stderr: float
    ci95: tuple[float, float]
    n: int


@dataclass(frozen=True, slots=True)
class GoldLikelihood:
    """Bits per byte of the right answers by mean (`average` first) and by task."""

    averages: Mapping[str, BitsPerByte]
    tasks: Mapping[str, BitsPerByte]


def gold_text(prompt: str, target: Target) -> str:
    """The text whose probability is asked for: the first right answer, after one space unless the prompt ends
    in white space."""
    answer = target if isinstance(target, str) else target[0]
    return answer if prompt[-1:].isspace() else f" {answer}"


def bits_per_byte(generation: Generation) -> float | None:
    """Of one line; None if it does not hold the right answer's log-probability, or the answer is empty."""
    scored = generation.option_likelihoods
    target = generation.target if isinstance(generation.target, str) else generation.target[0]
    if scored is None or not target.strip():
        return None
    for option, value in zip(scored.options, scored.log_probabilities, strict=True):
        if option.strip() == target.strip():
            return -value / math.log(2) / len(target.strip().encode())
    return None


def gold_likelihood(
    questions: Mapping[tuple[str, int], Sequence[Generation]], averages: Mapping[str, Sequence[str]]
) -> GoldLikelihood | None:
    """Bits per byte of the questions by (task, index); None if no line holds the right answer's
    log-probability. A mean is over those of its tasks that have any."""
    by_task: dict[str, list[float]] = {}
    for (task, _), lines in questions.items():
        value = bits_per_byte(lines[0])
        if value is not None:
            by_task.setdefault(task, []).append(value)
    if not by_task:
        return None
    tasks = {task: _mean(values) for task, values in by_task.items()}
    means = {
        name: _over_tasks([tasks[task] for task in over if task in tasks])
        for name, over in averages.items()
        if any(task in tasks for task in over)
    }
    return GoldLikelihood(means, tasks)


def gold_questions(
    questions: Mapping[tuple[str, int], Sequence[Generation]],
) -> dict[tuple[str, int], QuestionScore]:
    """Every question with its bits per byte as the value that is compared, so that a difference of two models
    is in bits per byte. A higher value is worse."""
    values = {key: bits_per_byte(lines[0]) for key, lines in questions.items()}
    return {
        # Comparisons show a hundred times the value, as that of other measures is a share.
        key: QuestionScore(False, False, metrics={BITS_PER_BYTE: value / 100}, metric=BITS_PER_BYTE)
        for key, value in values.items()
        if value is not None
    }


def _mean(values: Sequence[float]) -> BitsPerByte:
    mean, n = fmean(values), len(values)
    variance = sum((value - mean) ** 2 for value in values) / (n - 1) if n > 1 else 0.0
    return _around(mean, math.sqrt(variance / n), n)


def _over_tasks(tasks: Sequence[BitsPerByte]) -> BitsPerByte:
    """The plain mean over tasks; their errors are independent."""
    stderr = math.sqrt(sum(task.stderr**2 for task in tasks)) / len(tasks)
    return _around(fmean(task.value for task in tasks), stderr, sum(task.n for task in tasks))


def _around(value: float, stderr: float, n: int) -> BitsPerByte:
    return BitsPerByte(value, stderr, (max(0.0, value - Z95 * stderr), value + Z95 * stderr), n)
