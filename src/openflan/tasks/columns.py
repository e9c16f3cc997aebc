"""Tables on disk as records: Parquet and Arrow files, and data sets of the hub (which are Arrow files).

Arrow files are memory-mapped, so a row costs microseconds wherever it stands. Parquet has no rows to point
at: it is decoded by row group, and a few of those are kept. Drawing at random from a table larger than that
costs the decoding of one row group a row; the documentation says how to turn such a file into Arrow once.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from openflan.errors import InputError, SetupError
from openflan.tasks.digest import file_digest, hashed, joined
from openflan.tasks.records import Record
from openflan.tasks.task import LIST_FIELDS

RECENT_BYTES = 1 << 25
"""Decoded row groups that a Parquet source keeps, at most, unless one alone is larger."""

DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    OSError,
    ArithmeticError,
    MemoryError,
    NotImplementedError,
    ImportError,
)
"""What pyarrow raises for damaged files and for values that Python has no form for; its own errors are kinds
of these."""

_AT_A_TIME = 1_024
_CHAT = "messages"

Block: TypeAlias = Any
"""A pyarrow Table or RecordBatch; pyarrow is imported when the first table is opened."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file: `lengths` are the rows of its blocks, `block(number, columns)` gives one of them,
    `batches(columns)` all rows in small pieces; `decoded` if a block is made anew, in memory, each time it is
    asked for; `file` is where all of it lies."""

    place: str
    schema: Any
    lengths: Sequence[int]
    block: Callable[[int, list[str]], Block]
    batches: Callable[[list[str]], Iterable[Block]]
    decoded: bool = False
    file: Path | None = None


class ColumnRecords:
    """The rows of one or more tables. Only texts, numbers and options (lists of texts, see `custom_row`) are
    read, chat messages, and lists of whole numbers where such a column is asked for by name; an empty cell,
    NaN and infinity are as if their column were not there. Numbers of single and half precision have the
    fewest digits that stand for them."""

    def __init__(
        self,
        parts: Sequence[Part],
        wanted: frozenset[str] | None = None,
        recent_bytes: int = RECENT_BYTES,
        *,
        raw: bool = False,
    ) -> None:
        """`wanted` are the only columns to be read; `raw` reads columns of any kind, empty cells as None, and
        wants the same ones in every table.

        `columns` are those of all tables that can be read, in their order; a row has those of its table.
        Raises InputError if the tables have no rows, and for `raw` if their columns differ.
        """
        self._parts = parts
        self._raw = raw
        self.all_columns: list[str] = list(
            dict.fromkeys(name for part in parts for name in part.schema.names)
        )
        readable = [list(part.schema.names) if raw else _readable(part.schema, wanted) for part in parts]
        self.columns = (
            list(parts[0].schema.names)
            if raw
            else list(dict.fromkeys(name for names in readable for name in names))
        )
        self._readable = [frozenset(names) for names in readable]
        for part in parts[1:] if raw else ():
            if missing := [name for name in self.columns if name not in part.schema.names]:
                raise InputError(
                    f"{part.place}: lacks the columns {', '.join(missing)}, which {parts[0].place} has; "
                    "all files of a table have the same columns"
                )
        blocks = [
            (order, number, length)
            for order, part in enumerate(parts)
            for number, length in enumerate(part.lengths)
            if length
        ]
        if not blocks:
            raise InputError(f"{parts[0].place}: a table without rows; expected one example a row")
        self._blocks = [(order, number) for order, number, _ in blocks]
        self._starts = [0, *accumulate(length for _, _, length in blocks)]
        self._recent: OrderedDict[int, Block] = OrderedDict()
        self._held = 0
        self._most = recent_bytes
        self._digest: bytes | None = None

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Record:
        """Raises InputError with file and row for a damaged file, and for a text that is not UTF-8."""
        number, within = self._find(index)
        names = self._columns_of(self._blocks[number][0])
        with _readable_values(lambda: self.place(index)):
            block = self._block(number, names)
            return self._record(
                {name: _value(block.column(name)[within]) for name in names}
            )  # a file has columns in its own order

    def __iter__(self) -> Iterator[Record]:
        index = 0
        for order, part in enumerate(self._parts):
            names = self._columns_of(order)
            batches = iter(part.batches(names))
            while True:
                try:
                    with _readable_values(lambda: ""):
                        batch = next(batches, None)
                        records = _records(batch) if batch is not None else []
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
        first = self._starts[next(number for number, (other, _) in enumerate(self._blocks) if other == order)]
        return f"{self._parts[order].place}, row {index - first}"

    def digest(self) -> bytes | None:
        """Of the files' bytes, of rows that lie in none, and of the columns that are read."""
        if self._digest is None:
            self._digest = joined("columns", map(self._digest_of, self._parts))
        return joined(repr((sorted(self.columns), self._raw)), [self._digest])

    def _digest_of(self, part: Part) -> bytes:
        if part.file is not None:
            return file_digest(part.file)
        found = hashed()
        for batch in part.batches(self.columns):
            for record in batch.to_pylist():
                found.update(repr(record).encode("utf-8", "surrogatepass") + b"\n")
        return bytes(found.digest())

    def _find(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._starts, index) - 1
        return number, index - self._starts[number]

    def _block(self, number: int, names: list[str]) -> Block:
        order, within = self._blocks[number]
        part = self._parts[order]
        if not part.decoded:
            return part.block(within, names)
        block = self._recent.get(number)
        if block is None:
            block = self._recent[number] = part.block(within, names)
            self._held += block.nbytes
            while len(self._recent) > 1 and self._held > self._most:
                self._held -= self._recent.popitem(last=False)[1].nbytes
        else:
            self._recent.move_to_end(number)
        return block


def columns_of(files: Iterable[Path]) -> frozenset[str]:
    """The names of the columns of Parquet or Arrow files, of all of them together."""
    return frozenset(name for file in files for name in part_of(file).schema.names)


def part_of(path: Path) -> Part:
    """A Parquet or Arrow file; raises InputError if it is neither, or damaged."""
    _pyarrow()
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    kind = path.suffix.removeprefix(".")
    try:
        part = _parquet(path) if path.suffix == ".parquet" else _arrow(path)
        list(part.schema.names)  # a damaged name fails here
        return part
    except OSError as error:
        if error.errno is None:  # what pyarrow raises for damaged files
            raise _damaged(path, kind, error) from None
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except DAMAGE as error:
        raise _damaged(path, kind, error) from None


def _damaged(path: Path, kind: str, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read as {kind}: {_said(error)}; fetch the file again")


def table_part(place: str, schema: Any, blocks: Sequence[Block], file: Path | None = None) -> Part:
    """A table whose blocks are at hand, memory-mapped (from the whole of `file`) or in memory.

    Reading a block with damaged offsets would end the process, so each is checked when it is first used: one
    pass over its bytes.
    """
    sound: set[tuple[int, tuple[str, ...]]] = set()

    def block(number: int, columns: list[str]) -> Block:
        chosen = blocks[number].select(columns)
        if (key := (number, tuple(columns))) not in sound:
            chosen.validate(full=True)
            sound.add(key)
        return chosen

    def batches(columns: list[str]) -> Iterator[Block]:
        for number in range(len(blocks)):
            chosen = block(number, columns)
            for start in range(0, len(chosen), _AT_A_TIME):
                yield chosen.slice(start, _AT_A_TIME)

    return Part(place, schema, [len(one) for one in blocks], block, batches, file=file)


def _parquet(path: Path) -> Part:
    opened = object()  # a file of the same name that is opened later is another one
    metadata = _parquet_file(path, opened).metadata

    def block(number: int, columns: list[str]) -> Block:
        # One thread: handing a row group of a few megabytes to several takes twice as long.
        return _parquet_file(path, opened).read_row_group(number, columns=columns, use_threads=False)

    def batches(columns: list[str]) -> Iterable[Block]:
        batches: Iterable[Block] = _parquet_file(path, opened).iter_batches(
            _AT_A_TIME, columns=columns, use_threads=False
        )
        return batches

    lengths = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    return Part(
        str(path), metadata.schema.to_arrow_schema(), lengths, block, batches, decoded=True, file=path
    )


@lru_cache(maxsize=16)
def _parquet_file(path: Path, opened: object) -> Any:
    """An open Parquet file; a few stay open, as a footer takes some milliseconds and some kilobytes a row
    group."""
    import pyarrow.parquet as parquet

    return parquet.ParquetFile(path, pre_buffer=False)  # buffering ahead would hold the whole file in memory


def _arrow(path: Path) -> Part:
    pyarrow = _pyarrow()
    mapped = pyarrow.memory_map(str(path))
    try:
        reader = pyarrow.ipc.open_file(mapped)
        blocks = [reader.get_batch(number) for number in range(reader.num_record_batches)]
    except pyarrow.ArrowInvalid:  # the other form, which `datasets` writes
        mapped.seek(0)
        reader = pyarrow.ipc.open_stream(mapped)
        blocks = list(reader)
    return table_part(str(path), reader.schema, blocks, path)


def _readable(schema: Any, wanted: frozenset[str] | None) -> list[str]:
    """The columns that can be fields, in the table's order; of a name that occurs twice neither can."""
    names = [
        name for name in schema.names if (wanted is None or name in wanted) and schema.names.count(name) == 1
    ]
    return [
        name
        for name in names
        if name == _CHAT
        or _is_field(name, schema.field(name).type)
        or (wanted is not None and _is_span(schema.field(name).type))
    ]


def _is_field(name: str, kind: Any) -> bool:
    types = _pyarrow().types
    if types.is_null(kind):
        return True
    if name in LIST_FIELDS:
        return bool(types.is_nested(kind) or types.is_string(kind) or types.is_large_string(kind))
    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        test(kind)
        for test in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_integer,
            types.is_floating,
        )
    )


def _value(cell: Any) -> Any:
    """The value of a cell; a number that is none, and one beyond all bounds, is a missing value, as an empty
    cell is."""
    value = cell.as_py()
    return _number(value, cell.type) if isinstance(value, float) else value


def _records(batch: Block) -> list[dict[str, Any]]:
    """The rows of a batch, values as `_value` gives them."""
    columns = {
        name: column.to_pylist() for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    for name, column in columns.items():
        kind = batch.schema.field(name).type
        columns[name] = [_number(value, kind) if isinstance(value, float) else value for value in column]
    return (
        [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        if columns
        else [{} for _ in range(len(batch))]
    )


def _number(value: float, kind: Any) -> float | None:
    if not math.isfinite(value):
        return None
    types = _pyarrow().types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    narrow = np.float32 if types.is_float32(kind) else np.float16 if types.is_float16(kind) else None
    return value if narrow is None else float(str(narrow(value)))


@contextmanager
def _readable_values(place: Callable[[], str]) -> Iterator[None]:
    """Turns what reading a damaged table raises into an InputError that names a row."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place()}: holds a text that is not UTF-8 (byte 0x{error.object[error.start]:02x}); write "
            "the table again with all texts in UTF-8"
        ) from None
    except DAMAGE as error:
        raise InputError(f"{place()}: cannot be read: {_said(error)}; fetch the file again") from None


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_span(kind: Any) -> bool:
    types = _pyarrow().types
    return bool(
        (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
        and types.is_integer(kind.value_type)
    )


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.types
    except ImportError:
        raise SetupError("reading Parquet and Arrow files needs pyarrow; run `pip install pyarrow`") from None
    return pyarrow
