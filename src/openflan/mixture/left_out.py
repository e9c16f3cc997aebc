"""Public data that is left out because it cannot be used: one line before training, counts for the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from openflan.tasks.task import Task

LONGEST_REASON = 160
"""The most characters of the reason for leaving out a task."""

MOST_NAMED = 3
"""The number of tasks that the line names."""


def rows_by_reason(tasks: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return how many rows are left out of all tasks, by reason, the most frequent first. `tasks` has the
    counts of each task."""
    together = Counter[str]()
    for counts in tasks:
        together.update(counts)
    return dict(together.most_common())


def left_out_line(tasks: Mapping[str, Task], unusable: Mapping[str, str]) -> str | None:
    """Return one line about the rows of `tasks` that are left out, and about the tasks that cannot be used,
    each with its reason. Returns None if everything can be used."""
    parts = []
    counts = {name: task.refused for name, task in tasks.items() if task.refused}
    if counts:
        rows = sum(len(task.rows) + task.refused for task in tasks.values())
        reasons = ", ".join(
            f"{reason}: {number:,}"
            for reason, number in rows_by_reason(task.left_out for task in tasks.values()).items()
        )
        names = ", ".join(f"{name} ({number:,})" for name, number in Counter(counts).most_common(MOST_NAMED))
        more = f" and {len(counts) - MOST_NAMED:,} more" if len(counts) > MOST_NAMED else ""
        parts.append(f"{sum(counts.values()):,} of {rows:,} rows left out ({reasons}) of {names}{more}")
    if unusable:
        names = "; ".join(f"{name} ({_short(why)})" for name, why in [*unusable.items()][:MOST_NAMED])
        more = f"; and {len(unusable) - MOST_NAMED:,} more" if len(unusable) > MOST_NAMED else ""
        parts.append(f"{len(unusable):,} task{'' if len(unusable) == 1 else 's'} left out: {names}{more}")
    return "; ".join(parts) or None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 3]}..."
