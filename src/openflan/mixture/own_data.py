"""A user's own rows in a mixture: how a recipe says they are to be read, and what is said of them before
training."""

from __future__ import annotations

from collections.abc import Iterable
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


def own_data_lines(tasks: Iterable[Task]) -> list[str]:
    """A line for each task of own rows: `mine/quiz: 12 rows, format alpaca (instruction, input, output)`, and
    one for what is special about its format."""
    own = [task for task in tasks if task.form is not None]
    lines = []
    for task in own[:MOST_LINES]:
        lines.append(own_data_line(task))
        if task.notice:
            lines.append(f"{task.name}: {task.notice}")
    if len(own) > MOST_LINES:
        lines.append(f"and {len(own) - MOST_LINES:,} more tasks of own rows")
    return lines


def own_data_line(task: Task) -> str:
    """What is read of a task of own rows: their number, their format, and the other splits that are there."""
    count = len(task.rows)
    splits = f"; other splits, not trained on: {', '.join(sorted(task.splits))}" if task.splits else ""
    return f"{task.name}: {count:,} row{'' if count == 1 else 's'}, format {task.form}{splits}"


def own_data_described(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """The same for the ledger, as JSON values."""
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
