"""The tables of a report about the mixture, and the counts of what was truncated or dropped. Pure."""

from __future__ import annotations

from openflan.reports.gather import Gathered
from openflan.reports.table import Cell, Table


def submixtures(gathered: Gathered) -> Table | None:
    """Return what the mixture gives each submixture, or None without a ledger."""
    if gathered.ledger is None:
        return None
    rows = tuple(
        (submixture.submixture, submixture.tasks, submixture.rows, 100 * submixture.share)
        for submixture in gathered.ledger.submixtures
    )
    return Table(
        "submixtures",
        f"Submixtures of {gathered.ledger.examples:,} examples",
        ("submixture", "tasks", "rows", "share %"),
        rows,
    )


def tasks(gathered: Gathered) -> Table | None:
    """Return what the mixture gives each task, or None without a ledger."""
    if gathered.ledger is None:
        return None
    rows = tuple(
        (task.task, task.category, task.rows, task.cap, 100 * task.share, task.epochs)
        for task in gathered.ledger.tasks
    )
    note = "In one epoch, every row of the task is seen once."
    return Table(
        "tasks",
        f"Mixture: {len(rows):,} tasks",
        ("task", "category", "rows", "cap", "share %", "epochs"),
        rows,
        note,
    )


def formats(gathered: Gathered) -> Table | None:
    """Return how often each format occurs in the examples that the ledger measured."""
    if gathered.ledger is None:
        return None
    measured = gathered.ledger.measured
    rows = tuple(
        (name, count, 100 * count / measured.examples if measured.examples else None)
        for name, count in measured.formats.items()
    )
    return Table(
        "formats",
        f"Formats of the first {measured.examples:,} examples",
        ("format", "examples", "share %"),
        rows,
    )


def counts(gathered: Gathered) -> Table | None:
    """Return how much was truncated, pruned, dropped or did not fit, in training and in evaluation; zeros
    too."""
    rows: list[tuple[Cell, ...]] = []
    if gathered.ledger:
        measured = gathered.ledger.measured
        # Exemplars are counted one by one; everything else counts examples.
        rows += [
            ("training, as measured", name, count, None if "exemplars" in name else measured.examples)
            for name, count in measured.counts.items()
            if name != "examples"
        ]
    for score in gathered.scores:
        source = f"{score.named}, {score.key.model}"
        questions = sum(task.n for task in score.tasks.values())
        rows.append(
            (
                source,
                "prompts too long, counted as wrong",
                sum(task.too_long for task in score.tasks.values()),
                questions,
            )
        )
        generated = sum(task.n * task.samples for task in score.tasks.values())
        rows.append(
            (
                source,
                "generations truncated at the token limit",
                sum(task.truncated for task in score.tasks.values()),
                generated,
            )
        )
    return (
        Table("counts", "Truncated, dropped or too long", ("where", "what", "count", "of"), tuple(rows))
        if rows
        else None
    )
