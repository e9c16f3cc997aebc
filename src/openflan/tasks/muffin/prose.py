"""Texts out of raw records, for the data sets whose answers are written rather than chosen.

An empty text, or an absent one, is not a broken record: public collections hold a few of them, and there is
nothing to learn from such a row, so it is left out and counted. A value of another kind means that the
columns are not those of the named copy, and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openflan.tasks.muffin.dataset import Raw
from openflan.tasks.task import Row


def text(raw: Raw, column: str) -> str:
    """The column's text without outer white space, with plain line ends; empty if the cell is. Raises
    ValueError if it holds something else."""
    return clean(raw[column], column)


def clean(value: Any, column: str) -> str:
    """Clean a value that lies deeper in a record, as `text` does for a field; `column` names it."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"`{column}` holds {type(value).__name__}, not a text")
    return value.replace("\r\n", "\n").strip()


def items(value: Any, column: str) -> Sequence[Any]:
    """A list, whatever kind of sequence its library made of it. Raises ValueError for anything else."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise ValueError(f"`{column}` holds {type(value).__name__}, not a list")
    return value


def texts(value: Any, column: str) -> list[str]:
    return [clean(item, column) for item in items(value, column)]


def complete(**fields: str) -> Row | None:
    """The row with these fields, or None if one of them is empty."""
    return fields if all(fields.values()) else None
