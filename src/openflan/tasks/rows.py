"""From a source's records to a task's rows: convert, and check them all once when a task is opened.

Two policies. A user's own file is refused at the first bad row, and for empty answers with their number, because its owner can mend it. A public
copy of many million rows cannot be mended by its reader: rows without targets are left out there and counted.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from openflan.errors import InputError
from openflan.tasks.digest import digest_of, function_digest, joined
from openflan.tasks.records import Chosen, Record, Records, watched
from openflan.tasks.task import Row, Rows

K = TypeVar("K", bound=Hashable)


class BadRow(ValueError):
    """What is wrong with one record; the caller adds file and line."""


class EmptyTarget(BadRow):
    """A record with nothing to learn from; the argument is the name of its empty field."""

    def __str__(self) -> str:
        return f"empty `{self.args[0]}`; there is nothing to learn from it, remove the row"


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

    def digest(self) -> bytes | None:
        return joined("converted", [digest_of(self._records), function_digest(self._convert)])


@dataclass(slots=True)
class Group:
    """Records of one source that belong together; `fields` are those that each has, `refused` counts those left out."""

    positions: array[int] = field(default_factory=lambda: array("I"))
    fields: frozenset[str] = frozenset()
    refused: int = 0

    def rows(self, records: Records, convert: Convert) -> Rows:
        return ConvertedRows(Chosen(records, self.positions), convert)


def checked_rows(records: Records, convert: Convert) -> tuple[Rows, frozenset[str]]:
    """The rows and the fields that they all have.

    Raises InputError naming file and line for a record that cannot be converted or lacks a field of the first one, and for empty answers, counted.
    """
    fields: frozenset[str] | None = None
    empty: list[tuple[int, str]] = []
    for index, record in enumerate(watched(records)):
        try:
            row = _checked(record, convert, records, index)
        except EmptyTarget as error:
            empty.append((index, str(error.args[0])))
            continue
        if fields is None:
            fields = frozenset(row)
        elif missing := fields - row.keys():
            raise InputError(f"{records.place(index)}: lacks {listed(missing)}, which the first row has; {index:,} rows before it are fine")
    if empty:
        index, name = empty[0]
        others = f", as in {len(empty) - 1:,} more of {len(records):,} rows; there is nothing to learn from them, remove them"
        raise InputError(f"{records.place(index)}: {EmptyTarget(name) if len(empty) == 1 else f'empty `{name}`{others}'}")
    return ConvertedRows(records, convert), fields or frozenset()


def grouped(records: Records, convert: Convert, key: Callable[[Record], K], unwanted: Callable[[Row], bool] | None = None) -> dict[K, Group]:
    """The records by `key`, in one pass; those with empty targets and the `unwanted` are left out and counted.

    Raises InputError naming file and line for any other record that cannot be converted.
    """
    groups: dict[K, Group] = {}
    for index, record in enumerate(watched(records)):
        try:
            name = key(record)
        except BadRow as error:
            raise InputError(f"{records.place(index)}: {error}") from None
        group = groups.get(name)
        if group is None:
            group = groups[name] = Group()
        try:
            row = _checked(record, convert, records, index)
        except EmptyTarget:
            group.refused += 1
            continue
        if unwanted is not None and unwanted(row):
            group.refused += 1
            continue
        if not group.positions:
            group.fields = frozenset(row)
        elif group.fields - row.keys():
            group.fields &= row.keys()
        group.positions.append(index)
    return groups


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
            if not text.isascii() and (half := next((letter for letter in text if "\ud800" <= letter <= "\udfff"), None)):
                raise InputError(f"{records.place(index)}: `{name}` holds half a character ({half!a}), which no tokenizer can read; mend the text")
    return row
