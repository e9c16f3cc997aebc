"""Locks between processes: a file that one of them holds. They end with the process that holds them, however
it ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import lock_descriptor

from openflan.errors import InputError, SetupError

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

_ATTEMPTS = 3
"""How often a file that was removed while its lock was taken is made again."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that this process holds: the path, and what identifies the locked file (device, inode).

    `file` is None on a file system that numbers a file otherwise at every look: there `lost` cannot tell.
    """

    path: Path
    file: tuple[int, int] | None

    def lost(self) -> bool:
        """Whether `path` no longer leads to the locked file, so that another process may hold a lock of the
        same name.

        Raises SetupError if the path cannot be looked at.
        """
        return self.file is not None and self.file != _identity(self.path)


@contextmanager
def locked(path: Path, busy: str | None = None) -> Iterator[Held]:
    """Holds the lock of `path`, a file that is made and stays, until the block ends.

    Where another holds it, raises InputError with the words of `busy`, or without them waits. Some network
    file systems know no locks: there none is held. Raises SetupError if the file cannot be made.
    """
    for attempt in range(_ATTEMPTS):
        descriptor = _opened(path)
        try:
            _take(descriptor, path, busy)
            status = os.fstat(descriptor)
            held = Held(path, (status.st_dev, status.st_ino))
            if not held.lost() or attempt + 1 == _ATTEMPTS:
                yield held if not held.lost() else Held(path, None)
                return
        finally:
            # Closing the file ends the lock.
            os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise SetupError(f"{path.parent}: cannot be written: {error.strerror or error}") from error


def _take(descriptor: int, path: Path, busy: str | None) -> None:
    try:
        if not lock_descriptor(descriptor, blocking=busy is None):
            raise InputError(busy or str(path))
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise SetupError(f"{path}: cannot be locked: {error.strerror or error}") from error


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of what is at `path`; None if nothing is."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SetupError(f"{path}: cannot be looked at: {error.strerror or error}") from error
    return status.st_dev, status.st_ino
