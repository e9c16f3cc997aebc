"""Copies of Parquet files from which any row can be read by itself.

Parquet is decoded by row group, so a row that is drawn at random costs the decoding of about a thousand: 2 ms
and more. The copy holds the same values as Arrow record batches of a few rows each, compressed one by one
(LZ4), in the cache folder; a row then costs some 30 microseconds. It takes about half of the decoded size.

A copy belongs to the content of a file and to the columns that are read. Its index is a note of the file (see
`file_notes`), with a checksum for each batch: a damaged copy is noticed when it is read, and is removed. A
cache folder without room or permission costs time and is no error.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

from openflan.cache_folder import cache_folder
from openflan.errors import InputError, OpenflanError
from openflan.lock import locked
from openflan.tasks.digest import file_digest
from openflan.tasks.file_notes import (
    Note,
    is_settled,
    keep_note,
    notes_can_be_kept,
    read_note,
    stamp_of,
    stamps_are_trusted,
)
from openflan.tasks.slices import Slices
from openflan.tasks.table_files import DAMAGE, Block, TableFile, import_pyarrow

_BATCH_BYTES = 1 << 15
_MOST_ROWS = 64
_KIND = "rows-1"
_ROOM = 3
"""How many times the size of a copy the disk must have free: filling it would hurt more than slow rows."""


class DamagedCopy(OpenflanError):
    """A batch of a copy that is not what was written."""


def open_copy(table: TableFile, columns: Sequence[str]) -> TableFile | None:
    """The copy of a Parquet file with these columns, as a table with the same rows; None if there is none, or
    one of other content. Outside of `trusting_stamps` the file is hashed for this."""
    if table.file is None:
        return None
    stamp, note = stamp_of(table.file), read_note(table.file, _kind(columns))
    if stamp is None or note is None:
        return None
    if note.stamp != stamp if stamps_are_trusted() else note.digest != file_digest(table.file):
        return None
    try:
        return _opened(table, columns, note)
    except (OSError, InputError, *DAMAGE):
        return None


def make_copy(table: TableFile, columns: Sequence[str]) -> TableFile | None:
    """Writes the copy of a Parquet file and opens it. None where that is not possible: another process is at
    it, there is too little room, the cache folder cannot be written, the file has columns that a batch cannot
    hold alone, or it was changed a moment ago."""
    if table.file is None:
        return None
    place = _place(table.file, columns)
    busy = "another process makes this copy"
    try:
        with locked(place.with_name(f".{place.name}.lock"), busy):
            return open_copy(table, columns) or _made(table, columns, place)
    except (OpenflanError, OSError, *DAMAGE):
        return None


def remove_copy(table: TableFile, columns: Sequence[str]) -> None:
    """Removes a copy that is damaged."""
    if table.file is not None:
        with suppress(OSError):
            _place(table.file, columns).unlink(missing_ok=True)


def _made(table: TableFile, columns: Sequence[str], place: Path) -> TableFile | None:
    if table.file is None or (stamp := stamp_of(table.file)) is None:
        return None
    room = shutil.disk_usage(place.parent).free
    if room < _ROOM * table.decoded_bytes or not is_settled(stamp) or not notes_can_be_kept():
        return None
    digest = file_digest(table.file)
    temporary = place.with_name(f"{place.name}.partial")
    sizes, lengths, plain, checks = [], [], [], []
    try:
        with temporary.open("wb") as file:
            for length, whole, data in _batches(table.batches(list(columns))):
                file.write(data)
                sizes.append(len(data))
                lengths.append(length)
                plain.append(whole)
                checks.append(xxh3_64_intdigest(data))
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)
    arrays = (
        np.array(sizes, dtype="<u4"),
        np.array(lengths, dtype="<u2"),
        np.array(plain, dtype="<u4"),
        np.array(checks, dtype="<u8"),
    )
    header = json.dumps({"batches": len(sizes), "columns": list(columns), "size": sum(sizes)}).encode()
    body = header + b"\n" + b"".join(array.tobytes() for array in arrays)
    note = Note(stamp, digest, body)
    return _opened(table, columns, note) if keep_note(table.file, _kind(columns), note) else None


def _batches(tables: Iterable[Block]) -> Iterator[tuple[int, int, bytes]]:
    """Rows, size and compressed bytes of every small batch."""
    pyarrow = import_pyarrow()
    codec = pyarrow.Codec("lz4_raw")
    for batch in tables:
        plain = _plain(batch)
        rows = len(plain)
        step = max(1, min(_MOST_ROWS, _BATCH_BYTES * rows // max(1, plain.nbytes)))
        for first in range(0, rows, step):
            part = plain.slice(first, step)
            message = part.serialize()
            yield len(part), message.size, codec.compress(message, asbytes=True)


def _plain(batch: Block) -> Block:
    """The batch without dictionaries, which are no part of a batch's bytes."""
    pyarrow = import_pyarrow()
    schema = _plain_schema(batch.schema)
    columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pyarrow.RecordBatch.from_arrays(columns, schema=schema)


def _plain_schema(schema: Any) -> Any:
    pyarrow = import_pyarrow()
    return pyarrow.schema(
        [
            field.with_type(field.type.value_type) if pyarrow.types.is_dictionary(field.type) else field
            for field in schema
        ]
    )


def _opened(table: TableFile, columns: Sequence[str], note: Note) -> TableFile | None:
    if table.file is None:
        return None
    end = note.body.index(b"\n")
    header = json.loads(note.body[:end])
    count, start, arrays = header["batches"], end + 1, []
    for kind in ("<u4", "<u2", "<u4", "<u8"):
        arrays.append(np.frombuffer(note.body, dtype=kind, count=count, offset=start))
        start += arrays[-1].nbytes
    sizes, lengths, plain, checks = arrays
    ends = np.cumsum(sizes, dtype=np.int64)
    file = Slices(_place(table.file, columns))
    if header["columns"] != list(columns) or file.size != header["size"]:
        return None
    pyarrow = import_pyarrow()
    codec = pyarrow.Codec("lz4_raw")
    schema = _plain_schema(pyarrow.schema([table.schema.field(name) for name in columns]))

    def block(index: int, wanted: list[str]) -> Block:
        last = int(ends[index])
        data = file.read(last - int(sizes[index]), last)
        if xxh3_64_intdigest(data) != int(checks[index]):
            raise DamagedCopy(f"{file.path}: damaged")
        message = codec.decompress(data, decompressed_size=int(plain[index]))
        return pyarrow.ipc.read_record_batch(message, schema).select(wanted)

    return replace(table, lengths=lengths.tolist(), block=block, decoded=False)


def _kind(columns: Sequence[str]) -> str:
    return f"{_KIND}-{xxh3_128_hexdigest(repr(list(columns)).encode())[:16]}"


def _place(path: Path, columns: Sequence[str]) -> Path:
    name = xxh3_128_hexdigest(repr((os.path.abspath(path), list(columns))).encode("utf-8", "surrogatepass"))
    return cache_folder() / "tables" / name
