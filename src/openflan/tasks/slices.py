"""Bytes of a file by position.

Files are read with `pread` instead of being mapped: a mapped file counts towards a process's memory once its
rows have been drawn, and Python keeps a descriptor for each map, so a collection of 1,600 task files would
meet the usual limit of 1,024 open files. Here a fixed number of files is open at any time, over all tasks.
Price: a system call for every row, about a microsecond. Where there is no `pread` (Windows), a file is read
at a position under a lock, and processes that were started, not forked, have descriptors of their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock

from openflan.errors import InputError

OPEN_FILES = 128

_SEEKING = Lock()
"""Held while a file is read by seeking, which moves the position that all threads share."""

_SHOWN = 120
"""Characters of a path in a message that says it is none."""


class Slices:
    """A file from which any range of bytes can be read; threads and forked processes may share it."""

    __slots__ = ("__weakref__", "path", "size")

    def __init__(self, path: Path) -> None:
        """Raises InputError if the file is missing, no file, or cannot be read."""
        if not is_there(path):
            raise InputError(f"{path}: no such file")
        if not path.is_file():
            raise InputError(f"{path}: not a file")
        self.path = path
        self.size = path.stat().st_size
        _descriptor(self)

    def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end); raises InputError if the file has become shorter since it was opened."""
        data = _read_at(_descriptor(self).number, end - start, start)
        if len(data) != end - start:
            raise InputError(
                f"{self.path}: changed while it was in use; start again, and leave data files alone "
                "during a run"
            )
        return data


def _read_at(descriptor: int, size: int, start: int) -> bytes:
    """Up to `size` bytes of an open file from position `start`."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, start)
    with _SEEKING:
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, size)


def is_there(path: Path) -> bool:
    """Whether a path leads to something; raises InputError for one that no file can have (too long, NUL in
    it) or that may not be looked at."""
    try:
        os.lstat(path)  # unlike `exists`, not silent about NUL
        return path.exists()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        text = str(path)
        shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 2 :]}"
        raise InputError(
            f"{shown!r} cannot be a file or folder here: {getattr(error, 'strerror', None) or error}; "
            "correct the path"
        ) from None


@contextmanager
def files_closed() -> Iterator[None]:
    """A context manager and decorator: at its end all open files of rows are closed. What reads on opens its
    file again."""
    try:
        yield
    finally:
        _descriptor.cache_clear()


class _Descriptor:
    """An open file that closes itself when nothing uses it any more."""

    __slots__ = ("number",)

    def __init__(self, path: Path) -> None:
        # Windows changes line ends in files that are not opened as binary.
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "number"):
            close(self.number)


@lru_cache(maxsize=OPEN_FILES)
def _descriptor(file: Slices) -> _Descriptor:
    try:
        return _Descriptor(file.path)
    except OSError as error:
        raise InputError(f"{file.path}: cannot be read ({error.strerror})") from None
