"""Rated completions: rows `prompt`, `completion` and `label`; those with true are learned, false are not."""

from __future__ import annotations

from array import array
from typing import Any

from openflan.errors import InputError
from openflan.tasks.formats.reading import renamed
from openflan.tasks.formats.values import short
from openflan.tasks.records import Record, Records, SelectedRecords
from openflan.tasks.rows import BadRow

LABEL = "label"
NOT_LEARNED = "label false"
"""The reason for rows that are left out."""


def truth_of(value: Any) -> bool | None:
    """True or false, also as the text that tables write; None for any other value."""
    if isinstance(value, bool):
        return value
    if type(value) is str and len(value) < 6:
        return {"true": True, "false": False}.get(value.strip().lower())
    return None


def checked_label(record: Record) -> None:
    """Raises BadRow for a record whose label is neither true nor false."""
    if truth_of(record.get(LABEL)) is None:
        raise BadRow(
            f"`{LABEL}` is {short(record.get(LABEL))}, and true or false in other rows; write one of "
            "them, or give `--format prompt-completion`, which ignores the labels"
        )


def rated_true(source: Records, columns: str) -> tuple[Records, dict[str, int]]:
    """The records that are not labelled false, and how many are, by reason. `columns` renames fields first.

    Raises InputError if all are.
    """
    kept = array(
        "Q",
        (
            index
            for index, record in enumerate(source)
            if truth_of((renamed(record, columns) if columns else record).get(LABEL)) is not False
        ),
    )
    left_out = len(source) - len(kept)
    if not left_out:
        return source, {}
    if not kept:
        raise InputError(
            f"{source.place(0)}: `{LABEL}` is false in all {left_out:,} rows, so nothing is to be learned; "
            "give `--format prompt-completion` to learn every completion"
        )
    return SelectedRecords(source, kept), {NOT_LEARNED: left_out}
