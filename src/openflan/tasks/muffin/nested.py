"""Lists and structs in raw records, for the row functions of question answering.

There are two kinds of bad record. A value of the wrong type or a label that does not exist means that the
columns are not what they were: that is a ValueError, which names the column. A blank text is a flaw of one
record among many that no reader can mend: such a record is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from openflan.tasks.muffin.dataset import Raw
from openflan.tasks.muffin.labels import text
from openflan.tasks.task import Row


def struct(raw: Raw, column: str) -> Raw:
    """A column that holds named values; raises ValueError if it does not."""
    value = raw.get(column)
    if not isinstance(value, Mapping):
        raise ValueError(f"`{column}` is of type {type(value).__name__}, expected a struct of named values")
    return value


def texts(raw: Raw, column: str) -> list[str]:
    """A list of texts, each without outer white space; raises ValueError if it is none."""
    value = raw.get(column)
    if (
        not isinstance(value, Sequence)
        or not all(isinstance(item, str) for item in value)
        or isinstance(value, str)
    ):
        raise ValueError(f"`{column}` is of type {type(value).__name__}, expected a list of texts")
    return [item.strip() for item in value]


def keyed(raw: Raw, column: str, key_column: str) -> tuple[list[str], str] | None:
    """The texts of `{text: [...], label: [...]}` and the one whose label is the key; None without a key.
    Raises ValueError if no label is the key."""
    options, labels, key = (
        texts(struct(raw, column), "text"),
        texts(struct(raw, column), "label"),
        text(raw, key_column),
    )
    if len(options) != len(labels):
        raise ValueError(
            f"`{column}` has {len(options)} texts and {len(labels)} labels, expected as many of each"
        )
    if not key:
        return None
    if key not in labels:
        raise ValueError(f"`{key_column}` is `{key}`, expected one of {', '.join(labels)}")
    return options, options[labels.index(key)]


def filled(row: Row) -> Row | None:
    """The row, or None if any of its texts is blank."""
    blank = any(not value if isinstance(value, str) else not all(value) for value in row.values())
    return None if blank else row


def numbered(items: Sequence[str]) -> str:
    """One line an item, numbered from 1."""
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))
