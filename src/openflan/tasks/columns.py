"""Tables on disk as records: Parquet and Arrow files, and data sets of the hub (which are Arrow files).

Arrow files are memory-mapped, so a row costs microseconds wherever it stands. Parquet has no rows to point at: it is decoded by row group, and a few
of those are kept. Drawing at random from a table larger than that costs the decoding of one row group a row; the documentation says how to turn such
a file into Arrow once.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

from openflan.errors import InputError, SetupError
from openflan.tasks.digest import file_digest, hashed, joined
from openflan.tasks.records import Record
from openflan.tasks.task import LIST_FIELDS

RECENT_BYTES = 1 << 25
"""Decoded row groups that a Parquet source keeps, at most, unless one alone is larger."""

_AT_A_TIME = 1_024
_CHAT = "messages"

Block: TypeAlias = Any
"""A pyarrow Table or RecordBatch; pyarrow is imported when the first table is opened."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file: `lengths` are the rows of its blocks, `block(number, columns)` gives one of them, `batches(columns)` all rows in small pieces;
    `decoded` if a block is made anew, in memory, each time it is asked for; `file` is where all of it lies."""

    place: str
    schema: Any
    lengths: Sequence[int]
    block: Callable[[int, list[str]], Block]
    batches: Callable[[list[str]], Iterable[Block]]
    decoded: bool = False
    file: Path | None = None


class ColumnRecords:
    """The rows of one or more tables with the same columns. Only texts, numbers and lists of texts are read, chat messages, and lists of whole numbers
    where such a column is asked for by name; an empty cell is as if its column were not there."""

    def __init__(self, parts: Sequence[Part], wanted: frozenset[str] | None = None, recent_bytes: int = RECENT_BYTES, *, raw: bool = False) -> None:
        """`wanted` are the only columns to be read; `raw` reads columns of any kind, empty cells as None.

        Raises InputError if the tables have no rows or their columns differ.
        """
        self._parts = parts
        self._raw = raw
        self.all_columns: list[str] = list(parts[0].schema.names)
        self.columns = self.all_columns if raw else _readable(parts[0].schema, wanted)
        for part in parts[1:]:
            if missing := [name for name in self.columns if name not in part.schema.names]:
                raise InputError(
                    f"{part.place}: lacks the columns {', '.join(missing)}, which {parts[0].place} has; all files of a table have the same columns"
                )
        blocks = [(part, number, length) for part in parts for number, length in enumerate(part.lengths) if length]
        if not blocks:
            raise InputError(f"{parts[0].place}: a table without rows; expected one example a row")
        self._blocks = [(part, number) for part, number, _ in blocks]
        self._starts = [0, *accumulate(length for _, _, length in blocks)]
        self._recent: OrderedDict[int, Block] = OrderedDict()
        self._held = 0
        self._most = recent_bytes
        self._digest: bytes | None = None

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Record:
        number, within = self._find(index)
        block = self._block(number)
        values = {name: block.column(position)[within].as_py() for position, name in enumerate(self.columns)}
        return values if self._raw else {name: value for name, value in values.items() if value is not None}

    def __iter__(self) -> Iterator[Record]:
        for part in self._parts:
            for batch in part.batches(self.columns):
                for record in batch.to_pylist():
                    yield record if self._raw else {name: value for name, value in record.items() if value is not None}

    def place(self, index: int) -> str:
        """`file, row N`, counted from 0 within its file."""
        part = self._blocks[self._find(index)[0]][0]
        first = self._starts[next(number for number, (other, _) in enumerate(self._blocks) if other is part)]
        return f"{part.place}, row {index - first}"

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

    def _block(self, number: int) -> Block:
        part, within = self._blocks[number]
        if not part.decoded:
            return part.block(within, self.columns)
        block = self._recent.get(number)
        if block is None:
            block = self._recent[number] = part.block(within, self.columns)
            self._held += block.nbytes
            while len(self._recent) > 1 and self._held > self._most:
                self._held -= self._recent.popitem(last=False)[1].nbytes
        else:
            self._recent.move_to_end(number)
        return block


def columns_of(path: Path) -> frozenset[str]:
    """The names of a Parquet or Arrow file's columns."""
    return frozenset(part_of(path).schema.names)


def part_of(path: Path) -> Part:
    """A Parquet or Arrow file; raises InputError if it is neither, or damaged."""
    pyarrow = _pyarrow()
    try:
        return _parquet(path) if path.suffix == ".parquet" else _arrow(path)
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"{path}: cannot be read as {path.suffix.removeprefix('.')}: {' '.join(str(error).split())[:200]}; fetch the file again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def saved_files(folder: Path) -> list[Path]:
    """The Arrow files of a folder that `Dataset.save_to_disk` wrote (of its `train` split, if it has several), in their order.

    Raises InputError if the folder says nothing of its files, or if its rows are only a selection from them.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8")).get("splits", [])
        if "train" not in splits:
            raise InputError(
                f"{folder}: a saved data set with the splits {', '.join(splits)} and no train; name the folder of one of them, such as {folder}/NAME"
            )
        return saved_files(folder / "train")
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        files = [folder / str(file["filename"]) for file in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{folder}: a saved data set whose state.json does not name its files; save it again with `save_to_disk`") from None
    if state.get("_indices_data_files"):
        raise InputError(f"{folder}: a saved selection of rows; call `flatten_indices()` before `save_to_disk`")
    return files


def table_part(place: str, schema: Any, blocks: Sequence[Block], file: Path | None = None) -> Part:
    """A table whose blocks are at hand, memory-mapped (from the whole of `file`) or in memory."""

    def batches(columns: list[str]) -> Iterator[Block]:
        for block in blocks:
            chosen = block.select(columns)
            for start in range(0, len(chosen), _AT_A_TIME):
                yield chosen.slice(start, _AT_A_TIME)

    return Part(place, schema, [len(block) for block in blocks], lambda number, columns: blocks[number].select(columns), batches, file=file)


def _parquet(path: Path) -> Part:
    opened = object()  # a file of the same name that is opened later is another one
    metadata = _parquet_file(path, opened).metadata

    def block(number: int, columns: list[str]) -> Block:
        # One thread: handing a row group of a few megabytes to several takes twice as long.
        return _parquet_file(path, opened).read_row_group(number, columns=columns, use_threads=False)

    def batches(columns: list[str]) -> Iterable[Block]:
        batches: Iterable[Block] = _parquet_file(path, opened).iter_batches(_AT_A_TIME, columns=columns, use_threads=False)
        return batches

    lengths = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    return Part(str(path), metadata.schema.to_arrow_schema(), lengths, block, batches, decoded=True, file=path)


@lru_cache(maxsize=16)
def _parquet_file(path: Path, opened: object) -> Any:
    """An open Parquet file; a few stay open, as a footer takes some milliseconds and some kilobytes a row group."""
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
    """The columns that can be fields, in the table's order."""
    names = [name for name in schema.names if wanted is None or name in wanted]
    return [name for name in names if name == _CHAT or _is_field(name, schema.field(name).type) or (wanted is not None and _is_span(schema.field(name).type))]


def _is_field(name: str, kind: Any) -> bool:
    types = _pyarrow().types
    if name in LIST_FIELDS:
        return bool(types.is_list(kind) or types.is_large_list(kind))
    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(test(kind) for test in (types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_floating))


def _is_span(kind: Any) -> bool:
    types = _pyarrow().types
    return bool((types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)) and types.is_integer(kind.value_type))


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.types
    except ImportError:
        raise SetupError("reading Parquet and Arrow files needs pyarrow; run `pip install pyarrow`") from None
    return pyarrow
