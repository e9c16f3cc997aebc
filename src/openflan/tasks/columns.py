"""The rows of one or more tables (Parquet and Arrow files, data sets of the hub) as records."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from openflan.errors import InputError
from openflan.tasks.addressable import DamagedCopy, make_copy, open_copy, remove_copy
from openflan.tasks.digest import file_digest, hashed, joined
from openflan.tasks.recent_blocks import SHARED, RecentBlocks
from openflan.tasks.records import Record
from openflan.tasks.table_cells import cell_value, readable_columns, rows_of_batch
from openflan.tasks.table_files import Block, TableFile, readable_values

_LOOK = 16
"""Blocks that are decoded before a copy is looked for."""


class ColumnRecords:
    """The rows of one or more tables, as records.

    The columns that are read hold texts, numbers, options (lists of texts) or conversations; lists of whole
    numbers are read only from a column that is named. A record lacks the columns whose cell is empty, NaN or
    infinite. Numbers of single and half precision have the fewest digits that represent them.
    """

    def __init__(
        self,
        parts: Sequence[TableFile],
        only: frozenset[str] | None = None,
        *,
        recent: RecentBlocks = SHARED,
        raw: bool = False,
        whole: frozenset[str] = frozenset({"messages"}),
    ) -> None:
        """`only` names the columns to read; None reads all that can be fields, and those that `whole` names
        whatever their type. `raw` reads columns of any kind, empty cells as None, and needs the same columns
        in every table. `recent` keeps decoded blocks.

        The attribute `columns` lists the columns of all tables that are read, in their order; a record has
        those of its table. Raises InputError if the tables have no rows, and for `raw` if their columns
        differ.
        """
        self._parts = parts
        self._raw = raw
        self.all_columns: list[str] = list(
            dict.fromkeys(name for part in parts for name in part.schema.names)
        )
        readable = [
            list(part.schema.names) if raw else readable_columns(part.schema, only, whole) for part in parts
        ]
        self.columns = (
            list(parts[0].schema.names)
            if raw
            else list(dict.fromkeys(name for names in readable for name in names))
        )
        self._readable = [frozenset(names) for names in readable]
        for part in parts[1:] if raw else ():
            if missing := [name for name in self.columns if name not in part.schema.names]:
                raise InputError(
                    f"{part.location}: lacks the columns {', '.join(missing)}, which "
                    f"{parts[0].location} has; all files of a table have the same columns"
                )
        self._firsts = [0, *accumulate(sum(part.lengths) for part in parts)]
        if not len(self):
            raise InputError(f"{parts[0].location}: a table without rows; expected one example a row")
        self._drawn = [_DrawnTable(part, recent) for part in parts]
        self._digest: bytes | None = None

    def __len__(self) -> int:
        return self._firsts[-1]

    def __getitem__(self, index: int) -> Record:
        """Raises InputError with file and row for a damaged file, and for a text that is not UTF-8."""
        order, row = self._find(index)
        names = self._columns_of(order)
        with readable_values(lambda: self.place(index)):
            block, row_in_block = self._drawn[order].block_of(row, names)
            return self._record(
                {name: cell_value(block.column(name)[row_in_block]) for name in names}
            )  # a file has columns in its own order

    def __iter__(self) -> Iterator[Record]:
        index = 0
        for order, part in enumerate(self._parts):
            names = self._columns_of(order)
            batches = iter(part.batches(names))
            while True:
                try:
                    with readable_values(lambda: ""):
                        batch = next(batches, None)
                        records = rows_of_batch(batch) if batch is not None else []
                except InputError:  # one by one, the broken row says so itself
                    end = self._firsts[order + 1]
                    yield from (self[later] for later in range(index, end))
                    index = end
                    break
                if batch is None:
                    break
                for record in records:
                    yield self._record(record)
                index += len(records)

    def _record(self, values: dict[str, Any]) -> Record:
        return values if self._raw else {name: value for name, value in values.items() if value is not None}

    def _columns_of(self, order: int) -> list[str]:
        """The columns of a part that are read."""
        return [name for name in self.columns if name in self._readable[order]]

    def place(self, index: int) -> str:
        """`file, row N`, counted from 0 within its file."""
        order, row = self._find(index)
        return f"{self._parts[order].location}, row {row}"

    def digest(self) -> bytes | None:
        """The hash of the files' bytes, of rows that are in no file, and of the columns that are read."""
        if self._digest is None:
            self._digest = joined("columns", map(self._digest_of, self._parts))
        return joined(repr((sorted(self.columns), self._raw)), [self._digest])

    def _digest_of(self, part: TableFile) -> bytes:
        if part.file is not None:
            return file_digest(part.file)
        digest = hashed()
        for batch in part.batches(self.columns):
            for record in batch.to_pylist():
                digest.update(repr(record).encode("utf-8", "surrogatepass") + b"\n")
        return bytes(digest.digest())

    def _find(self, index: int) -> tuple[int, int]:
        """The number of a part, and of the row in it."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        order = bisect_right(self._firsts, index) - 1
        return order, index - self._firsts[order]


class _DrawnTable:
    """The blocks of a table as rows are drawn from it, in any order.

    Where more blocks had to be decoded than the table has, drawing goes on as it began: then a copy is made
    from which rows can be read one by one. So the time for decoding is at most twice what it could have been,
    whether few rows are drawn or many.
    """

    def __init__(self, table: TableFile, recent: RecentBlocks) -> None:
        self._table = table
        self._rows = table
        self._starts = _starts(table)
        self._recent = recent
        self._decoded = 0
        self._look_again = min(_LOOK, len(table.lengths))

    def block_of(self, row: int, names: list[str]) -> tuple[Block, int]:
        """A block that holds a row, and the row's number in it."""
        if self._table.decoded and self._rows is self._table and self._decoded >= self._look_again:
            self._find_copy(names)
        if self._rows is not self._table:
            try:
                index = bisect_right(self._starts, row) - 1
                return self._rows.block(index, names), row - self._starts[index]
            except (DamagedCopy, InputError):
                remove_copy(self._table, names)
                self._rows, self._starts = self._table, _starts(self._table)
                self._decoded, self._look_again = 0, _LOOK
        index = bisect_right(self._starts, row) - 1
        if not self._table.decoded:
            return self._table.block(index, names), row - self._starts[index]
        block = self._recent.get(self, index, lambda: self._decode(index, names))
        return block, row - self._starts[index]

    def _decode(self, index: int, names: list[str]) -> Block:
        self._decoded += 1
        return self._table.block(index, names)

    def _find_copy(self, names: list[str]) -> None:
        """Turns to a copy: an earlier one, or one that is made because so many blocks were decoded."""
        many = self._decoded > len(self._table.lengths)
        self._look_again = self._decoded + max(_LOOK, len(self._table.lengths) // 4)
        copy = make_copy(self._table, names) if many else open_copy(self._table, names)
        if copy is not None:
            self._rows, self._starts = copy, _starts(copy)


def _starts(table: TableFile) -> array[int]:
    """The first row of each block, and the end of the last; blocks may be empty."""
    return array("q", [0, *accumulate(table.lengths)])
