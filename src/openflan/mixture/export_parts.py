"""The parts of an export under way: a folder `.NAME.parts` beside the file, with one file for each part.

A part holds some thousand consecutive examples as they will stand in the export, and how many there are of
each task. It is written whole, under a checksum, so that an export that was killed goes on from its parts;
one that is damaged is rendered again. `key` names everything that the examples depend on: parts of another
key are removed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xxhash import xxh3_128_digest

from openflan.errors import InputError
from openflan.mixture.export_records import Form, record, schema
from openflan.run_folder import read_json, unwritten, write_json
from openflan.templates.render import Rendered

SIZE = 4_096
"""Examples of a part, and of a row group of a Parquet file."""

_MAGIC = b"openflan part 1\n"
_CHECKSUM = 16
_COMPRESSION = "zstd"


@dataclass(frozen=True, slots=True)
class Part:
    """Some examples: how many, how many of each task and format, the characters of their inputs and targets,
    and their bytes: lines of JSON, or an Arrow stream."""

    examples: int
    tasks: Mapping[str, int]
    formats: Mapping[str, int]
    characters: tuple[int, int]
    content: bytes


def make_part(examples: Iterable[tuple[int, Rendered]], suffix: str, form: Form) -> Part:
    """The part of some examples, each with its position, for a file with that suffix."""
    listed = list(examples)
    records = [record(position, example, form) for position, example in listed]
    return Part(
        len(listed),
        Counter(example.task for _, example in listed),
        Counter(example.style.name for _, example in listed),
        (
            sum(len(example.inputs) for _, example in listed),
            sum(len(example.targets) for _, example in listed),
        ),
        _lines(records) if suffix == ".jsonl" else _stream(records, form),
    )


def table_of(part: Part) -> Any:
    """The Arrow table of a part for a Parquet file."""
    import pyarrow as pa

    with pa.ipc.open_stream(pa.py_buffer(part.content)) as reader:
        return reader.read_all()


class PartFolder:
    """The folder of the parts of one export."""

    def __init__(self, path: Path) -> None:
        """`path`: the file that is exported. Nothing is written yet."""
        self.folder = path.with_name(f".{path.name}.parts")
        self.lock = path.with_name(f".{path.name}.lock")

    def begin(self, key: str | None) -> None:
        """Keeps parts of the same key and removes all others; without a key, all of them. Raises SetupError
        if the folder cannot be written."""
        if self.folder.exists() and (key is None or self.key() != key):
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.key() != (key or ""):
            write_json(self.folder / "export.json", {"key": key or ""})

    def key(self) -> str | None:
        """The key of the parts that are there; None if there are none."""
        try:
            state = read_json(self.folder / "export.json")
        except InputError:
            return None
        return state.get("key") if isinstance(state, dict) else None

    def holds(self, number: int) -> bool:
        """Whether there is a file of a part, which may be damaged."""
        return self._place(number).is_file()

    def write(self, number: int, part: Part) -> None:
        """Writes a part whole or not at all. Raises SetupError if it cannot be written."""
        import pyarrow as pa

        header = {
            "examples": part.examples,
            "tasks": dict(part.tasks),
            "formats": dict(part.formats),
            "characters": part.characters,
            "size": len(part.content),
        }
        packed = pa.Codec(_COMPRESSION).compress(part.content, asbytes=True)
        content = json.dumps(header).encode() + b"\n" + packed
        place = self._place(number)
        temporary = place.with_name(f"{place.name}.{os.getpid()}")
        try:
            temporary.write_bytes(_MAGIC + xxh3_128_digest(content) + content)
            os.replace(temporary, place)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise unwritten(place, error) from error

    def read(self, number: int, examples: int) -> Part | None:
        """The part, if it is there, whole, and has that many examples."""
        import pyarrow as pa

        try:
            data = self._place(number).read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + _CHECKSUM
        if (
            not data.startswith(_MAGIC)
            or xxh3_128_digest(memoryview(data)[start:]) != data[len(_MAGIC) : start]
        ):
            return None
        end = data.index(b"\n", start)
        header = json.loads(data[start:end])
        if header["examples"] != examples:
            return None
        content = pa.Codec(_COMPRESSION).decompress(
            memoryview(data)[end + 1 :], decompressed_size=header["size"], asbytes=True
        )
        inputs, targets = header["characters"]
        return Part(examples, header["tasks"], header["formats"], (inputs, targets), content)

    def remove(self) -> None:
        """Removes all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.lock.unlink(missing_ok=True)

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:06}.part"


def parts_are_there(path: Path) -> bool:
    """Whether an export to this file was begun and not ended, so that the next one may go on from it."""
    return PartFolder(path).folder.is_dir()


def _lines(records: Iterable[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records).encode()


def _stream(records: list[dict[str, object]], form: Form) -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pylist(records, schema=schema(form))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
