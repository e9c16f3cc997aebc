"""One hash over all rows of a task, which any changed row changes.

Sources that lie in files hash the bytes they hold, about ten gigabytes a second; selections hash which rows
they select, and rows that code makes hash the code. Only where neither is known is each row read. Price: a
file written anew with other spaces counts as changed, though its rows mean the same. Memory is constant. The
hash is XXH3 of 16 bytes: it notices every change that happens, and is no proof against someone who looks for
two contents with one hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import FunctionType
from typing import Any, Protocol, runtime_checkable

from xxhash import xxh3_128

from openflan.tasks.file_notes import Note, keep_note, read_note, stamp_of, stamps_are_trusted
from openflan.tasks.task import Rows

_AT_A_TIME = 1 << 18
_NOTED = 1 << 20
"""Bytes from which on the hash of a file is kept: a smaller file is hashed in less time than a note is read.
"""

_KIND = "digest"
_LOOKED_AT = 16
"""Rows that are read, evenly spaced, where the bytes behind all of them are hashed."""

_PLAIN = (str, int, float, bool, type(None))


@runtime_checkable
class Digested(Protocol):
    """Rows, records or texts that may have a cheap hash of all that they hold."""

    def digest(self) -> bytes | None:
        """The hash (16 bytes); None if a part has none."""
        ...


def hashed() -> Any:
    """A new hash, to be updated with bytes."""
    return xxh3_128()


def file_digest(path: Path) -> bytes:
    """The hash of a file's bytes. Inside `trusting_stamps` it is that of the file's note, if the file still
    has the note's stamp; everywhere else the file is read in full. Raises OSError."""
    stamp = stamp_of(path)
    noted = stamp is not None and stamp.size >= _NOTED
    if noted and stamps_are_trusted() and (note := read_note(path, _KIND)) and note.stamp == stamp:
        return note.digest
    digest = _read_digest(path)
    if noted and stamp is not None:
        keep_note(path, _KIND, Note(stamp, digest))
    return digest


def _read_digest(path: Path) -> bytes:
    digest, buffer = hashed(), memoryview(bytearray(_AT_A_TIME))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return bytes(digest.digest())


def digest_of(part: object) -> bytes | None:
    """The hash of a part of rows; None if it has none."""
    return part.digest() if isinstance(part, Digested) else None


def joined(kind: str, parts: Iterable[bytes | None]) -> bytes | None:
    """The hash of several parts in their order, None if one of them has none; `kind` says what is made of
    them."""
    digest = hashed()
    digest.update(kind.encode())
    for part in parts:
        if part is None:
            return None
        digest.update(len(part).to_bytes(8, "little") + part)
    return bytes(digest.digest())


def function_digest(function: object) -> bytes | None:
    """The hash of a function's name, and of the arguments of a partial one; None where those do not determine
    what it does (closures, methods)."""
    if isinstance(function, partial):
        settings = [*function.args, *(value for pair in sorted(function.keywords.items()) for value in pair)]
        return joined("partial", [function_digest(function.func), *map(function_digest, settings)])
    if isinstance(function, FunctionType):
        named = function.__closure__ is None and "<" not in function.__qualname__
        return f"{function.__module__}.{function.__qualname__}".encode() if named else None
    return repr(function).encode() if isinstance(function, _PLAIN) else None


@cache
def code_digest(package: str) -> bytes | None:
    """The hash of the source of a package's modules, for rows that code makes; None without source files.
    Packages below it do not count."""
    sources = sorted(
        (part for part in files(package).iterdir() if part.name.endswith(".py")), key=lambda part: part.name
    )
    return joined(package, [part.read_bytes() for part in sources]) if sources else None


def rows_digest(rows: Rows) -> bytes:
    """The hash (16 bytes) of all rows: of their sources and a few rows, which shows a changed reader; without
    a hash of the sources, of each row."""
    count, known = len(rows), digest_of(rows)
    digest = hashed()
    digest.update(str(count).encode() + (known or b""))
    for index in range(0, count, 1 if known is None else -(-count // _LOOKED_AT)):
        # JSON would be half as fast; a row is texts and lists of texts, whose repr tells them all apart.
        digest.update(repr(sorted(rows[index].items())).encode("utf-8", "surrogatepass") + b"\n")
    return bytes(digest.digest())
