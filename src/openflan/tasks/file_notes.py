"""What was once found out about a data file, kept in the cache folder for the next command.

A note lies in CACHE/files, in a file of its own named by a hash of the data file's path. It holds the stamp
that the data file had when it was read: size, times of change and inode. `tasks`, `mixture` and `show` trust
a note whose stamp is the file's (`trusting_stamps`); all other code reads the file in full and uses a note
only if the content is the same. Notes are written whole or not at all, so several processes may write them.

A cache folder that is missing, full or not writable costs time and is no error. A damaged note is made again,
with a warning that names it.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from openflan.cache_folder import cache_folder

_MAGIC = b"openflan note 1\n"
_CHECKSUM = 16
_SETTLED = 0.1
_SETTLED_COARSE = 2.0
"""Seconds after a change from which on a second change gets another time: file systems count in ticks of some
milliseconds, a few of them in seconds."""

_trusting: ContextVar[bool] = ContextVar("trusting", default=False)


class Stamp(NamedTuple):
    """What changes when a file changes: its size in bytes, the times of its content and of its inode in
    nanoseconds, and its inode. The time of the inode (ctime) cannot be set back, so a file of equal size
    whose time of content was restored is noticed too."""

    size: int
    modified: int
    changed: int
    inode: int


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of a file: its stamp, the hash of its content (16 bytes), and what its kind adds."""

    stamp: Stamp
    digest: bytes
    body: bytes = b""


@contextmanager
def trusting_stamps() -> Iterator[None]:
    """A context manager and decorator: inside it, a file with the stamp of its note counts as unchanged and
    is not read."""
    with _set(True):
        yield


@contextmanager
def reading_in_full() -> Iterator[None]:
    """A context manager: inside it, and inside `trusting_stamps` around it, no stamp is trusted."""
    with _set(False):
        yield


@contextmanager
def _set(trusting: bool) -> Iterator[None]:
    token = _trusting.set(trusting)
    try:
        yield
    finally:
        _trusting.reset(token)


def stamps_are_trusted() -> bool:
    """Whether the code runs inside `trusting_stamps`."""
    return _trusting.get()


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a file; None if it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def is_settled(stamp: Stamp) -> bool:
    """Whether the file was last changed long enough ago for the next change to give it another stamp."""
    latest = max(stamp.modified, stamp.changed)
    needed = _SETTLED_COARSE if stamp.changed % 1_000_000_000 == 0 else _SETTLED
    return time.time() - latest / 1e9 >= needed


def read_note(path: Path, kind: str) -> Note | None:
    """The note of some kind about a file, whatever its stamp; None if there is none. Warns about a damaged
    one."""
    place = _place(path, kind)
    try:
        data = place.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + _CHECKSUM
    if not data.startswith(_MAGIC) or xxh3_128_digest(memoryview(data)[start:]) != data[len(_MAGIC) : start]:
        warnings.warn(f"{place}: damaged; {path} is read again, and the note is made anew", stacklevel=2)
        return None
    end = data.index(b"\n", start)
    header = json.loads(data[start:end])
    if header["path"] != _spelled(path):
        return None
    return Note(Stamp(*header["stamp"]), bytes.fromhex(header["digest"]), data[end + 1 :])


def notes_can_be_kept() -> bool:
    """Whether the cache folder is there, or can be made, and can be written."""
    folder = cache_folder() / "files"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def has_fresh_note(path: Path, kind: str) -> bool:
    """Whether there is a note of some kind with the file's stamp; the note itself may be damaged."""
    start = len(_MAGIC) + _CHECKSUM
    try:
        with _place(path, kind).open("rb") as file:
            head = file.read(start)
            header = json.loads(file.readline(1 << 16)) if head.startswith(_MAGIC) else {}
        return header["path"] == _spelled(path) and Stamp(*header["stamp"]) == stamp_of(path)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def keep_note(path: Path, kind: str, note: Note) -> bool:
    """Writes a note; returns whether it was written. It is not for a file that has another stamp by now or
    was changed a moment ago, nor if the cache folder cannot be written."""
    if note.stamp != stamp_of(path) or not is_settled(note.stamp):
        return False
    header = {"path": _spelled(path), "stamp": list(note.stamp), "digest": note.digest.hex()}
    content = json.dumps(header).encode() + b"\n" + note.body
    place = _place(path, kind)
    temporary = place.with_name(f"{place.name}.{os.getpid()}.partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_MAGIC + xxh3_128_digest(content) + content)
        os.replace(temporary, place)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True


def _place(path: Path, kind: str) -> Path:
    name = xxh3_128_hexdigest(_spelled(path).encode("utf-8", "surrogatepass"))
    return cache_folder() / "files" / kind / name[:2] / name


def _spelled(path: Path) -> str:
    return os.path.abspath(path)
