"""The tables of a report about training: speed, loss, and what was measured along the way. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from openflan.reports.gather import Gathered, Step
from openflan.reports.table import Cell, Table

LOSSES = 10
"""Rows of the loss table."""


def training(gathered: Gathered) -> Table | None:
    """Return the loss at the start and the end, the speed and the packing efficiency; None without steps."""
    steps = gathered.metrics
    if not steps:
        return None
    tenth, seconds = max(1, len(steps) // 10), sum(step.seconds for step in steps)
    tokens = sum(step.tokens for step in steps)
    first, last = (fmean(step.loss for step in part) for part in (steps[:tenth], steps[-tenth:]))
    rows: tuple[tuple[str, Cell], ...] = (
        ("steps", steps[-1].step),
        ("examples", sum(step.examples for step in steps)),
        ("tokens", tokens),
        (
            "loss, first tenth of the steps (nats per target token)",
            first,
        ),
        (
            "loss, last tenth of the steps (nats per target token)",
            last,
        ),
        ("tokens per second", tokens / seconds if seconds else None),
        ("packing efficiency, %", 100 * fmean(step.fill for step in steps)),
        (
            "time spent waiting for data, %",
            100 * sum(step.waiting_seconds for step in steps) / seconds if seconds else None,
        ),
    )
    return Table("training", "Training", ("measure", "value"), rows)


def loss(gathered: Gathered) -> Table | None:
    """Return the loss at evenly spaced steps, and its running mean there; None without steps."""
    steps = gathered.metrics
    if not steps:
        return None
    over, last = window(steps), len(steps) - 1
    means = running_mean([step.loss for step in steps], over)
    indices = sorted({round(index * last / (LOSSES - 1)) for index in range(LOSSES)})
    rows = tuple((steps[index].step, steps[index].loss, means[index]) for index in indices)
    note = "" if over == 1 else f"The mean is that of the last {over} steps."
    return Table("loss", "Loss in nats per target token", ("step", "loss", "running mean"), rows, note)


def watched(gathered: Gathered) -> Table | None:
    """Return validation loss and held-out scores by step, as measured during training; None if nothing
    was."""
    measured = [step for step in gathered.metrics if step.validation_loss is not None or step.scores]
    if not measured:
        return None
    names = list(dict.fromkeys(name for step in measured for name in step.scores))
    rows = tuple(
        (step.step, step.validation_loss, *(step.scores.get(name) for name in names)) for step in measured
    )
    return Table(
        "watched", "During training", ("step", "validation loss", *(f"{name} %" for name in names)), rows
    )


def window(steps: Sequence[Step]) -> int:
    """Return the number of steps of a running mean: a fiftieth of all steps, at least one."""
    return max(1, len(steps) // 50)


def running_mean(values: Sequence[float], over: int) -> list[float]:
    """Return the mean of each value and the `over` - 1 values before it (fewer at the start)."""
    means, total = [], 0.0
    for index, value in enumerate(values):
        total += value - (values[index - over] if index >= over else 0.0)
        means.append(total / min(index + 1, over))
    return means
