"""The rows of one or more tables (Parquet and Arrow files, data sets of the hub) as records."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from openflan.errors import InputError
from openflan.tasks.digest import file_digest, hashed, joined
from openflan.tasks.records import Record
from openflan.tasks.table_cells import cell_value, readable_columns, rows_of_batch
from openflan.tasks.table_files import Block, TableFile, readable_values

RECENT_BYTES = 1 << 25
"""The most bytes of decoded row groups that a Parquet source keeps, unless one alone is larger."""


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
        recent_bytes: int = RECENT_BYTES,
        *,
        raw: bool = False,
        whole: frozenset[str] = frozenset({"messages"}),
    ) -> None:
        """`only` names the columns to read; None reads all that can be fields, and those that `whole` names
        whatever their type. `raw` reads columns of any
        kind, empty cells as None, and needs the same columns in every table. `recent_bytes` limits the
        decoded blocks that are kept.

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
        blocks = [
            (order, block_index, length)
            for order, part in enumerate(parts)
            for block_index, length in enumerate(part.lengths)
            if length
        ]
        if not blocks:
            raise InputError(f"{parts[0].location}: a table without rows; expected one example a row")
        self._blocks = [(order, block_index) for order, block_index, _ in blocks]
        self._starts = [0, *accumulate(length for _, _, length in blocks)]
        self._recent: OrderedDict[int, Block] = OrderedDict()
        self._recent_bytes = 0
        self._recent_limit = recent_bytes
        self._digest: bytes | None = None

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Record:
        """Raises InputError with file and row for a damaged file, and for a text that is not UTF-8."""
        block_index, row_in_block = self._find(index)
        names = self._columns_of(self._blocks[block_index][0])
        with readable_values(lambda: self.place(index)):
            block = self._block(block_index, names)
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
                    end = sum(sum(other.lengths) for other in self._parts[: order + 1])
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
        order = self._blocks[self._find(index)[0]][0]
        first = self._starts[
            next(block_index for block_index, (other, _) in enumerate(self._blocks) if other == order)
        ]
        return f"{self._parts[order].location}, row {index - first}"

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
        if not 0 <= index < len(self):
            raise IndexError(index)
        block_index = bisect_right(self._starts, index) - 1
        return block_index, index - self._starts[block_index]

    def _block(self, block_index: int, names: list[str]) -> Block:
        part_index, index_in_part = self._blocks[block_index]
        part = self._parts[part_index]
        if not part.decoded:
            return part.block(index_in_part, names)
        block = self._recent.get(block_index)
        if block is None:
            block = self._recent[block_index] = part.block(index_in_part, names)
            self._recent_bytes += block.nbytes
            while len(self._recent) > 1 and self._recent_bytes > self._recent_limit:
                self._recent_bytes -= self._recent.popitem(last=False)[1].nbytes
        else:
            self._recent.move_to_end(block_index)
        return block
