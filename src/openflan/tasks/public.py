"""The rows of public data: what cannot be used is left out, and counted by reason.

A user's own file is refused at its first bad row, because its owner can mend it (`rows`). A public collection
of millions of rows cannot be mended by its reader, and a handful of bad ones is no reason to do without the
others. Price: columns that changed show as rows left out, in one line before training, and as an error only
where no row of a task is left.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn, TypeVar

from openflan.errors import InputError
from openflan.tasks.records import Record, Records, SelectedRecords, watched
from openflan.tasks.rows import BadRow, Convert, ConvertedRows, EmptyTarget
from openflan.tasks.task import NotUsable, Opener, Row, Rows, Task

K = TypeVar("K", bound=Hashable)

UNREADABLE, NOT_UTF8, HALF_CHARACTER = "not readable", "not UTF-8", "half a character"
OTHERS = "other reasons"
MOST_REASONS = 20
"""Reasons that are counted by themselves; a message may hold what is wrong with one row only."""


class Unusable(BadRow):
    """A row that is left out: the message says what is wrong with it, `reason` what it is counted as."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Excluded:
    """What is left out of a task: the number of rows by reason, and the location and error of the first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: str = ""

    def add(self, location: str, error: Exception) -> None:
        """Counts a row; `location` is its file and row."""
        reason = reason_of(error)
        self.counts[reason if reason in self.counts or len(self.counts) < MOST_REASONS else OTHERS] += 1
        if not self.first:
            message = str(error)
            self.first = message if message.startswith(location) else f"{location}: {message}"

    def __str__(self) -> str:
        """`empty targets: 3, not UTF-8: 1`."""
        return ", ".join(f"{reason}: {count:,}" for reason, count in self.counts.most_common())

    def raise_unusable(self) -> NoReturn:
        """Raises the error of a task without any usable row."""
        raise NotUsable(f"{self.first}; none of its {self.counts.total():,} rows can be used ({self})")


@dataclass(slots=True)
class PublicGroup:
    """The records of one source that belong to a task.

    `fields` are those that each of its rows has, `partial` those that some have, each with the number of the
    first record without it. `labels` counts the rows by what `usable` was asked to count them by.
    """

    positions: array[int] = field(default_factory=lambda: array("I"))
    fields: frozenset[str] = frozenset()
    partial: dict[str, int] = field(default_factory=dict)
    labels: Counter[str | None] = field(default_factory=Counter)
    excluded: Excluded = field(default_factory=Excluded)

    def rows(self, records: Records, convert: Convert) -> Rows:
        """The rows that can be used. Raises NotUsable if there is none."""
        if not self.positions:
            self.excluded.raise_unusable()
        return ConvertedRows(SelectedRecords(records, self.positions), convert)

    def _add(self, index: int, row: Row) -> None:
        if not self.positions:
            self.fields = frozenset(row)
        elif row.keys() != self.fields:
            first = self.positions[0]
            for name in self.fields - row.keys():
                self.partial.setdefault(name, index)
            for name in row.keys() - self.fields:
                self.partial.setdefault(name, first)
            self.fields &= row.keys()
        self.positions.append(index)


def public(opener: Opener) -> Opener:
    """An opener of a public task: what it raises as InputError, for broken data or a data set that is gone,
    it raises as NotUsable, so that the other tasks of the collection go on."""
    return partial(_opened, opener)


def _opened(opener: Opener) -> Task:
    try:
        return opener()
    except NotUsable:
        raise
    except InputError as error:
        raise NotUsable(str(error)) from None


def reason_of(error: Exception) -> str:
    """The reason under which rows with such an error are counted together."""
    if isinstance(error, Unusable):
        return error.reason
    if isinstance(error, EmptyTarget):
        return f"empty {error.args[0]}"
    if isinstance(error, UnicodeDecodeError):
        return NOT_UTF8
    if isinstance(error, KeyError):
        return f"lacks `{error.args[0]}`"
    message = str(error)
    if isinstance(error, InputError):
        for known in (NOT_UTF8, "not valid JSON", HALF_CHARACTER):
            if known in message:
                return known
        return UNREADABLE
    if column := re.match(r"(?:lacks )?`[^`\n]{1,40}`", message):
        return column[0] if message.startswith("lacks") else f"{column[0]} not as expected"
    return "not as expected"


def usable(
    records: Records,
    convert: Convert,
    key: Callable[[Record], K],
    unwanted: Callable[[Row], Unusable | None] = lambda row: None,
    label: Callable[[Row], str | None] | None = None,
) -> dict[K, PublicGroup]:
    """The records by `key`, in one pass. What cannot be read or converted is left out and counted, and what
    is `unwanted`, which says why. `label`: what to count the rows of a group by.

    A row of unknown `key` counts as one of the first group. Raises InputError, with the first row's fault, if
    no row has a key, and for a source that cannot be read any more.
    """
    groups: dict[K, PublicGroup] = {}
    keyless = Excluded()
    for index, record, error in each(records):
        if error is None:
            try:
                group = groups.setdefault(key(record), PublicGroup())
            except BadRow as bad:
                error = bad
        if error is not None:
            keyless.add(records.place(index), error)
            continue
        try:
            row = encodable(convert(record))
        except BadRow as bad:
            group.excluded.add(records.place(index), bad)
            continue
        if refusal := unwanted(row):
            group.excluded.add(records.place(index), refusal)
            continue
        group._add(index, row)
        if label is not None:
            group.labels[label(row)] += 1
    if not groups:
        raise InputError(f"{keyless.first}; none of {keyless.counts.total():,} rows can be used ({keyless})")
    first = next(iter(groups.values()))
    first.excluded.counts.update(keyless.counts)
    first.excluded.first = first.excluded.first or keyless.first
    return groups


def each(records: Records) -> Iterator[tuple[int, Record, Exception | None]]:
    """Number, record and error of every record, in order; a record is empty where there is an error.

    Raises InputError for an error that is no single record's, such as a file that was removed.
    """
    index = 0
    iterator = iter(watched(records))
    while True:
        try:
            record = next(iterator)
        except StopIteration:
            return
        except (
            InputError,
            UnicodeDecodeError,
        ):  # an iterator ends with its error: the rest is read by number
            yield from _one_by_one(records, index)
            return
        yield index, record, None
        index += 1


def _one_by_one(records: Records, start: int) -> Iterator[tuple[int, Record, Exception | None]]:
    for index in range(start, len(records)):
        try:
            yield index, records[index], None
        except InputError as error:
            if not str(error).startswith(records.place(index)):
                raise
            yield index, {}, error
        except UnicodeDecodeError as error:
            yield index, {}, error


def encodable(row: Row) -> Row:
    """The row itself. Raises Unusable for half a character, which JSON may escape and no tokenizer can
    read."""
    for name, value in row.items():
        for text in [value] if isinstance(value, str) else value:
            if not text.isascii() and (
                half := next((letter for letter in text if "\ud800" <= letter <= "\udfff"), None)
            ):
                raise Unusable(
                    f"`{name}` holds half a character ({half!a}), which no tokenizer can read", HALF_CHARACTER
                )
    return row
