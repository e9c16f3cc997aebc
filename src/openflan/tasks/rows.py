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

    @property
    def remedy(self) -> str:
        """What to do about several such records."""
        return "there is nothing to learn from them, remove them"

    def __str__(self) -> str:
        return f"{self.wrong}; there is nothing to learn from it, remove the row"


class MissingTarget(EmptyTarget):
    """A record whose target is not there, or null or no number; the argument is the name of the field."""

    @property
    def wrong(self) -> str:
        return f"missing `{self.args[0]}` (absent, null, NaN or infinite)"


class MissingField(EmptyTarget):
    """A record without a field that every row needs; the argument is the name of the field."""

    @property
    def wrong(self) -> str:
        return f"missing `{self.args[0]}` (absent or null)"

    @property
    def remedy(self) -> str:
        return "give the rows one, or remove them"

    def __str__(self) -> str:
        return f"{self.wrong}; give the row one, or remove it"


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


class FieldTally:
    """The fields of rows that come one after the other: those that any row has, and which rows lack some."""

    def __init__(self) -> None:
        self.fields: set[str] = set()
        self._first: int | None = None
        self._first_without: dict[str, int] = {}
        self._before: frozenset[str] = frozenset()

    def add(self, index: int, row: Row) -> None:
        """Takes a row and its number."""
        if row.keys() == self._before:
            return
        self._before = frozenset(row)
        for name in self._before - self.fields:
            if self._first is not None:
                self._first_without.setdefault(name, self._first)
        for name in self.fields - self._before:
            self._first_without.setdefault(name, index)
        self.fields |= self._before
        self._first = index if self._first is None else self._first

    def checked(self, rows: Rows, records: Records) -> CheckedRows:
        """The rows with what was seen of them; `records` say where a row stands."""
        lacking = tuple((name, records.place(index)) for name, index in sorted(self._first_without.items()))
        return CheckedRows(rows, frozenset(self.fields), lacking)


def checked_rows(
    records: Records, convert: Convert, seen: Callable[[Record], None] = lambda record: None
) -> CheckedRows:
    """The rows, whose order does not matter for what fields they have. `seen` is called with each record.

    Raises InputError naming file and line for a record that cannot be converted, and for empty and missing
    fields that a row needs, counted.
    """
    tally = FieldTally()
    empty: list[tuple[int, EmptyTarget]] = []
    for index, record in enumerate(watched(records)):
        seen(record)
        try:
            tally.add(index, _checked(record, convert, records, index))
        except EmptyTarget as error:
            empty.append((index, error))
    if empty:
        index, first_empty = empty[0]
        count = f"{first_empty.wrong}, as in {len(empty) - 1:,} more of {len(records):,} rows"
        others = f"{count}; {first_empty.remedy}"
        raise InputError(f"{records.place(index)}: {first_empty if len(empty) == 1 else others}")
    return tally.checked(ConvertedRows(records, convert), records)


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
