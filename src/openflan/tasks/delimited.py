"""The rows of a CSV or TSV file as records, by index.

The first line names the columns. A cell may be quoted, and then hold separators, doubled quotes and line
breaks. Cells are texts as they stand in the file (`3.0` stays `3.0`); an empty cell, and one that says NaN or
infinity, is a missing value. Some TSV files have no quoting, and a quote in them is a character like any
other: a TSV file whose quotes do not match is read so. Separators of a `.csv` file may also be semicolons or
tabs.

A table without a header has the columns of a chain-of-thought file: question, answer, rationale.
"""

from __future__ import annotations

import csv
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from openflan.errors import InputError
from openflan.json_files import LONGEST_LINE
from openflan.tasks.cot_files import FIELDS
from openflan.tasks.digest import joined
from openflan.tasks.lines import Lines
from openflan.tasks.records import Record
from openflan.tasks.row_files import kind_of

_NO_VALUES = frozenset(
    {
        "",
        *(
            sign + text
            for text in ("nan", "NaN", "inf", "Inf", "Infinity", "infinity")
            for sign in ("", "-", "+")
        ),
    }
)
"""Cells without a value."""

_MARKS = {",": "comma", ";": "semicolon", "\t": "tab"}
"""The separators of cells."""


class Delimited:
    """The rows of a CSV or TSV file, which may be compressed, as records; a record lacks the columns whose
    cell is missing. Blank lines are no rows.

    `columns` are the names in the header, in their order; of a name that occurs twice neither column is read.
    `has_header` is false for a table of three columns whose first line has no known name of a field.
    """

    def __init__(self, path: Path, known: Collection[str], *, header: bool | None = None) -> None:
        """`known` are the names of fields that a header is recognised by; `header` says whether there is one
        instead. Raises InputError for a file that is missing, empty, UTF-16, or has no rows, and for the
        first row that cannot be read, with file and line."""
        self._lines = Lines(path)
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
        is_tsv = kind_of(path) == "tsv"
        # Blank lines before the header, as spreadsheets leave them, are passed over.
        self._head = next((number for number, line in enumerate(self._lines) if line.strip()), 0)
        first = self._lines[self._head]
        self._delimiter = "\t" if is_tsv else _delimiter(first)
        self._is_quoted = True
        names = [cell.strip() for cell in self._first_cells(first)]
        folded = {name.lower() for name in names}
        self.has_header = (
            header if header is not None else len(names) != len(FIELDS) or bool(folded & set(known))
        )
        if not self.has_header:
            # The public form has no quoting and writes line breaks as backslash n; so do its likes.
            self._is_quoted, names = not is_tsv, [*FIELDS]
        if twice := next((name for name in names if name in known and names.count(name) > 1), None):
            raise InputError(
                f"{self._lines.place(self._head)}: the header names `{twice}` twice; rename one of them"
            )
        self._names = names
        self._escaped = is_tsv and not self.has_header
        self.columns = [name for name in names if name and names.count(name) == 1]
        try:
            self._index()
        except _BadQuotes as error:
            if not is_tsv:
                raise InputError(str(error)) from None
            self._is_quoted = False
            self._index()
        if len(self) == 0:
            raise InputError(f"{path}: a header and no rows; expected one example a row")

    def _first_cells(self, first: str) -> list[str]:
        try:
            return next(csv.reader([first], delimiter=self._delimiter, strict=True), [])
        except csv.Error:
            return first.split(self._delimiter)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < self._length:
            raise IndexError(index)
        first = self._line(index)
        end = self._line(index + 1) if index + 1 < self._length else len(self._lines)
        cells = next(cells for _, cells in self._rows(map(self._lines.__getitem__, range(first, end)), first))
        return self._record(cells, index)

    def __iter__(self) -> Iterator[Record]:
        first = self._first_row
        for index, (_, cells) in enumerate(self._rows(_from(self._lines, first), first)):
            yield self._record(cells, index)

    def place(self, index: int) -> str:
        """`file:line` of a row's first line, counted from 1, for messages."""
        return self._lines.place(self._line(index))

    def digest(self) -> bytes | None:
        return joined(
            repr((self._names, self._delimiter, self._is_quoted, self._escaped)), [self._lines.digest()]
        )

    @property
    def _first_row(self) -> int:
        """The line behind the header."""
        return self._head + self.has_header

    def _index(self) -> None:
        """Finds where the rows begin. The line of a row is its number plus the lines before it that begin
        none; only the rows behind which such lines stand are kept."""
        first = self._first_row
        self._moved_at, self._moved_by = array("Q"), array("Q")
        number = 0
        for number, (line, _) in enumerate(self._rows(_from(self._lines, first), first), 1):
            shift = line - (number - 1)
            if shift != (self._moved_by[-1] if self._moved_by else first):
                self._moved_at.append(number - 1)
                self._moved_by.append(shift)
        self._length = number

    def _line(self, index: int) -> int:
        moved = bisect_right(self._moved_at, index)
        return index + (self._moved_by[moved - 1] if moved else self._first_row)

    def _rows(self, lines: Iterable[str], first: int) -> Iterator[tuple[int, Sequence[str]]]:
        """Number of the first line, and the cells, of every row in some lines, of which the first has the
        number `first`."""
        if not self._is_quoted:
            for number, line in enumerate(lines, first):
                if line:
                    yield number, line.split(self._delimiter)
            return
        reader = csv.reader((f"{line}\n" for line in lines), delimiter=self._delimiter, strict=True)
        while True:
            number = first + reader.line_num
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _BadQuotes(
                    f"{self._lines.place(number)}: quotes that do not match ({error}); put a cell with "
                    "quotes or "
                    "line breaks in quotes, and double the quotes in it"
                ) from None
            if cells:
                yield number, cells

    def _record(self, cells: Sequence[str], index: int) -> Record:
        if len(cells) != len(self._names):
            raise InputError(
                f"{self.place(index)}: {len(cells)} cell{'s' * (len(cells) != 1)}, expected "
                f"{len(self._names)} "
                f"({', '.join(self._names)[:120]}); separate cells with one "
                f"{_MARKS[self._delimiter]}"
                f"{', and put a cell that holds one in quotes' if self._is_quoted else ''}"
            )
        if self._escaped:
            # As in the public release, of which one item has its line breaks escaped twice.
            cells = [cell.replace("\\\\n", "\n").replace("\\n", "\n").strip() for cell in cells]
        by_name = dict(zip(self._names, cells, strict=True))
        return {name: by_name[name] for name in self.columns if by_name[name] not in _NO_VALUES}


class _BadQuotes(ValueError):
    """Quotes of a file do not match."""


def _from(lines: Lines, first: int) -> Iterator[str]:
    iterator = iter(lines)
    for _ in range(first):
        next(iterator, None)
    return chain(iterator)


def _delimiter(first: str) -> str:
    """The separator of a `.csv` file, by its first line: the comma, unless only another one splits the
    line."""
    widths = {mark: len(next(csv.reader([first], delimiter=mark), [])) for mark in _MARKS}
    return "," if widths[","] > 1 else max(widths, key=lambda mark: widths[mark])
