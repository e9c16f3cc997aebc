"""Parquet and Arrow files as tables: their schema and their blocks of rows.

Arrow files are memory-mapped, so a row costs microseconds wherever it stands. Parquet has no rows to point
at: it is decoded by row group, and a few of those are kept (`recent_blocks`). Drawing at random from a table
larger than that costs the decoding of one row group a row, until there is a copy for it (`addressable`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from openflan.errors import InputError, SetupError

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
"""What pyarrow raises for damaged files and for values that Python cannot hold; its own errors are subclasses
of these."""

_AT_A_TIME = 1_024
Block: TypeAlias = Any
"""A pyarrow Table or RecordBatch; pyarrow is imported when the first table is opened."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One table, mostly a file.

    `location` names it in messages. `lengths` are the numbers of rows of its blocks. `block(index, columns)`
    returns one block, `batches(columns)` all rows in small pieces. `decoded`: a block is decoded again, into
    memory, at each call; all of them together take about `decoded_bytes`. `file` holds the whole table; None
    if no file does.
    """

    location: str
    schema: Any
    lengths: Sequence[int]
    block: Callable[[int, list[str]], Block]
    batches: Callable[[list[str]], Iterable[Block]]
    decoded: bool = False
    file: Path | None = None
    decoded_bytes: int = 0


def columns_of(files: Iterable[Path]) -> frozenset[str]:
    """The names of all columns that occur in any of some Parquet or Arrow files. Raises InputError for a
    damaged file."""
    return frozenset(name for file in files for name in open_table(file).schema.names)


def open_table(path: Path) -> TableFile:
    """Opens a Parquet or Arrow file; no rows are read. Raises InputError for a file that is neither, is
    damaged or cannot be read, and SetupError without pyarrow."""
    import_pyarrow()
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
    return InputError(f"{path}: cannot be read as {kind}: {one_line(error)}; fetch the file again")


def table_of_blocks(
    location: str, schema: Any, blocks: Sequence[Block], file: Path | None = None
) -> TableFile:
    """A table whose blocks are memory-mapped (together they are the whole of `file`) or in memory.

    Reading a block with damaged offsets would end the process, so each block is checked when it is first
    used: one read of its bytes.
    """
    sound: set[tuple[int, tuple[str, ...]]] = set()

    def block(index: int, columns: list[str]) -> Block:
        chosen = blocks[index].select(columns)
        if (key := (index, tuple(columns))) not in sound:
            chosen.validate(full=True)
            sound.add(key)
        return chosen

    def batches(columns: list[str]) -> Iterator[Block]:
        for index in range(len(blocks)):
            chosen = block(index, columns)
            for start in range(0, len(chosen), _AT_A_TIME):
                yield chosen.slice(start, _AT_A_TIME)

    return TableFile(location, schema, [len(one) for one in blocks], block, batches, file=file)


def _parquet(path: Path) -> TableFile:
    opened = object()  # a file of the same name that is opened later is another one
    metadata = _parquet_file(path, opened).metadata

    def block(index: int, columns: list[str]) -> Block:
        # One thread: handing a row group of a few megabytes to several takes twice as long.
        return _parquet_file(path, opened).read_row_group(index, columns=columns, use_threads=False)

    def batches(columns: list[str]) -> Iterable[Block]:
        batches: Iterable[Block] = _parquet_file(path, opened).iter_batches(
            _AT_A_TIME, columns=columns, use_threads=False
        )
        return batches

    lengths = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    return TableFile(
        str(path),
        metadata.schema.to_arrow_schema(),
        lengths,
        block,
        batches,
        decoded=True,
        file=path,
        decoded_bytes=size,
    )


@lru_cache(maxsize=16)
def _parquet_file(path: Path, opened: object) -> Any:
    """An open Parquet file; a few stay open, as a footer takes some milliseconds and some kilobytes a row
    group."""
    import pyarrow.parquet as parquet

    return parquet.ParquetFile(path, pre_buffer=False)  # buffering ahead would hold the whole file in memory


def _arrow(path: Path) -> TableFile:
    pyarrow = import_pyarrow()
    mapped = pyarrow.memory_map(str(path))
    try:
        reader = pyarrow.ipc.open_file(mapped)
        blocks = [reader.get_batch(index) for index in range(reader.num_record_batches)]
    except pyarrow.ArrowInvalid:  # the other form, which `datasets` writes
        mapped.seek(0)
        reader = pyarrow.ipc.open_stream(mapped)
        blocks = list(reader)
    return table_of_blocks(str(path), reader.schema, blocks, path)


@contextmanager
def readable_values(location: Callable[[], str]) -> Iterator[None]:
    """Turns what reading a damaged table raises into an InputError that names a row."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(
            f"{location()}: holds a text that is not UTF-8 (byte 0x{error.object[error.start]:02x}); write "
            "the table again with all texts in UTF-8"
        ) from None
    except DAMAGE as error:
        raise InputError(f"{location()}: cannot be read: {one_line(error)}; fetch the file again") from None


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def import_pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.types
    except ImportError:
        raise SetupError("reading Parquet and Arrow files needs pyarrow; run `pip install pyarrow`") from None
    return pyarrow
