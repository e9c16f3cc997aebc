"""A user's own rows in a mixture: how a recipe says they are to be read, and what is said of them before
training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openflan.errors import InputError
from openflan.recipe.schema import Submixture
from openflan.tasks.formats.reading import Reading, make_reading
from openflan.tasks.task import Task

MOST_LINES = 10
"""Tasks of own rows that are named one by one; more are counted."""


def reading_of(name: str, submixture: Submixture) -> Reading:
    """How the rows of the submixture called `name` are to be read, by its keys `format` and `columns`. Raises
    InputError that names the key."""
    try:
        return make_reading(submixture.format, submixture.columns)
    except InputError as error:
        raise InputError(f"mixture.submixtures.{name}: {error}") from None


def own_data_lines(own_data: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each task of own rows: `mine/quiz: 12 rows, format alpaca (instruction, input, output)`, and
    one for what is special about its format. `own_data` is what `own_data_described` returns."""
    lines = []
    for own in own_data[:MOST_LINES]:
        rows = f"{own['rows']:,} row{'' if own['rows'] == 1 else 's'}"
        splits = f"; other splits, not trained on: {', '.join(own['splits'])}" if own["splits"] else ""
        lines.append(f"{own['task']}: {rows}, format {own['format']}{splits}")
        if own["notice"]:
            lines.append(f"{own['task']}: {own['notice']}")
    if len(own_data) > MOST_LINES:
        lines.append(f"and {len(own_data) - MOST_LINES:,} more tasks of own rows")
    return lines


def own_data_described(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """What is read of each task of own rows: its rows, its format, and the other splits that are there, as
    JSON values for the ledger."""
    return [
        {
            "task": task.name,
            "rows": len(task.rows),
            "format": task.form,
            "notice": task.notice,
            "splits": sorted(task.splits),
        }
        for task in tasks
        if task.form is not None
    ]
