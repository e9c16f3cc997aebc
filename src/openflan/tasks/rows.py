"""Converts a source's records to a task's rows, and checks all of them once when a task is opened.

Two policies. A user's own file is refused at the first bad row, and for empty answers with their number,
because its owner can mend it. A public copy of many million rows cannot be mended by its reader: see
`public`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from openflan.errors import InputError
from openflan.tasks.digest import digest_of, function_digest, joined
from openflan.tasks.records import Record, Records, watched
from openflan.tasks.task import Row, Rows

K = TypeVar("K", bound=Hashable)


class BadRow(ValueError):
    """The error of one record; the caller adds file and line."""


class EmptyTarget(BadRow):
    """A record with nothing to learn from; the argument is the name of its empty field."""

    @property
    def wrong(self) -> str:
        return f"empty `{self.args[0]}`"

    def __str__(self) -> str:
        return f"{self.wrong}; there is nothing to learn from it, remove the row"


class MissingTarget(EmptyTarget):
    """A record whose target is not there, or null or no number; the argument is the name of the field."""

    @property
    def wrong(self) -> str:
        return f"missing `{self.args[0]}` (absent, null, NaN or infinite)"


Convert: TypeAlias = Callable[[Record], Row]
"""A pure function that raises BadRow."""


class ConvertedRows:
    """Records as rows."""

    def __init__(self, records: Records, convert: Convert) -> None:
        self._records = records
        self._convert = convert

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Row:
        return _converted(self._records[index], self._convert, self._records, index)

    def place(self, index: int) -> str:
        """File and line or row of a row."""
        return self._records.place(index)

    def digest(self) -> bytes | None:
        return joined("converted", [digest_of(self._records), function_digest(self._convert)])


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """Rows of which every one was converted once; `fields` are those that any of them has, `lacking` names
    each field that some rows lack, with the place of the first such row."""

    rows: Rows
    fields: frozenset[str]
    lacking: tuple[tuple[str, str], ...]


def checked_rows(records: Records, convert: Convert) -> CheckedRows:
    """The rows, whose order does not matter for what fields they have.

    Raises InputError naming file and line for a record that cannot be converted, and for empty and missing
    answers, counted.
    """
    first_without: dict[str, int] = {}
    fields: set[str] = set()
    first: int | None = None
    before: frozenset[str] = frozenset()
    empty: list[tuple[int, EmptyTarget]] = []
    for index, record in enumerate(watched(records)):
        try:
            row = _checked(record, convert, records, index)
        except EmptyTarget as error:
            empty.append((index, error))
            continue
        if row.keys() == before:
            continue
        before = frozenset(row)
        for name in before - fields:
            if first is not None:
                first_without.setdefault(name, first)
        for name in fields - before:
            first_without.setdefault(name, index)
        fields |= before
        first = index if first is None else first
    if empty:
        index, first_empty = empty[0]
        others = (
            f"{first_empty.wrong}, as in {len(empty) - 1:,} more of {len(records):,} rows; there is "
            "nothing to learn from them, remove them"
        )
        raise InputError(f"{records.place(index)}: {first_empty if len(empty) == 1 else others}")
    lacking = tuple((name, records.place(index)) for name, index in sorted(first_without.items()))
    return CheckedRows(ConvertedRows(records, convert), frozenset(fields), lacking)


def place_of(rows: Rows, index: int, name: str) -> str:
    """File and line of a row where its source knows them, else the task's `name` and the row's number."""
    place = getattr(rows, "place", None)
    return f"{name} row {index}" if place is None else str(place(index))


def listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _converted(record: Record, convert: Convert, records: Records, index: int) -> Row:
    try:
        return convert(record)
    except EmptyTarget:
        raise
    except BadRow as error:
        raise InputError(f"{records.place(index)}: {error}") from None


def _checked(record: Record, convert: Convert, records: Records, index: int) -> Row:
    """Converted, and with texts that can be written: JSON may escape one half of a surrogate pair."""
    row = _converted(record, convert, records, index)
    for name, value in row.items():
        for text in [value] if isinstance(value, str) else value:
            if not text.isascii() and (
                half := next((letter for letter in text if "\ud800" <= letter <= "\udfff"), None)
            ):
                raise InputError(
                    f"{records.place(index)}: `{name}` holds half a character ({half!a}), which no "
                    "tokenizer can read; mend the text"
                )
    return row
