"""Which files hold rows, by their names: the kind of a file, its compression, and its name without endings.

Endings count in any case of letters. Text files may be compressed (`rows.jsonl.gz`, `rows.csv.zst`); tables
compress their columns themselves.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from openflan.tasks.cot_files import is_cot_file

Kind: TypeAlias = Literal["jsonl", "json", "csv", "tsv", "parquet", "arrow"]

KINDS: Mapping[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
"""The kind of file that an ending says."""

JSONL: tuple[Kind, ...] = ("jsonl",)
PARQUET: tuple[Kind, ...] = ("parquet",)
TABLES: tuple[Kind, ...] = ("parquet", "arrow")
"""Kinds of which all files of a folder are shards of one table; of the others each file is a task."""

PACKED = (".gz", ".zst")
"""The endings of compressed files."""

_ENDINGS = ", ".join(f"*{ending}" for ending in KINDS)
ROW_FILES = f"{_ENDINGS} (all but tables also with {' or '.join(PACKED)} behind it)"
"""What is looked for, for messages and layouts."""

_INSTRUCTIONS = re.compile(r"task\d+_")
"""How the files of natural-instructions begin."""

_HEAD = 1 << 16
"""Bytes of a JSON file that are read to tell rows from other JSON."""


def packing_of(path: Path) -> str | None:
    """`.gz` or `.zst` for a compressed file, None for any other."""
    ending = path.suffix.lower()
    return ending if ending in PACKED else None


def kind_of(path: Path) -> Kind | None:
    """The kind of a file of rows, by its name; None if its name is not that of a file of rows."""
    if not packing_of(path):
        return KINDS.get(path.suffix.lower())
    kind = KINDS.get(Path(path.stem).suffix.lower())
    return None if kind in TABLES else kind


def stem_of(path: Path) -> str:
    """The name of a file without the endings that say its kind and its compression."""
    name = Path(path.stem) if packing_of(path) else path
    return name.stem if name.suffix.lower() in KINDS else name.name


def holds_rows(path: Path) -> bool:
    """Whether a file of a folder holds rows. A JSON file does if it is an array of objects, or has an object
    a line: a folder often holds other JSON, such as settings. Hidden files do not, nor chain-of-thought files
    of the public release and those of natural-instructions, which have layouts of their own."""
    kind = kind_of(path)
    if kind is None or path.name.startswith(".") or not path.is_file():
        return False
    if kind == "json":
        return not _INSTRUCTIONS.match(path.name) and is_rows_json(path)
    return not (kind == "tsv" and is_cot_file(path))


def is_rows_json(path: Path) -> bool:
    """Whether a JSON file begins as an array of objects, or has one object in its first line and another
    behind it. A file that cannot be looked into counts as one with rows, and its reader says why."""
    try:
        head = _head(path)
    except (OSError, EOFError):
        return True
    if head is None:
        return True
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return text[1:].lstrip()[:1] in (b"{", b"]", b"")
    first, _, rest = text.partition(b"\n")
    try:
        return isinstance(json.loads(first), dict) and rest.lstrip()[:1] == b"{"
    except (ValueError, RecursionError):
        return False


def _head(path: Path) -> bytes | None:
    """The first bytes of a file; None for a file that only a library can unpack."""
    packing = packing_of(path)
    if packing == ".zst":
        return None
    with gzip.open(path) if packing == ".gz" else path.open("rb") as file:
        return file.read(_HEAD)
