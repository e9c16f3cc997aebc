"""Locks between processes, each on a file. A lock ends with the process that holds it, also if that
crashes."""

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
"""How often a lock file is created again if it is removed while it is being locked."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that this process holds: the path, and what identifies the locked file (device, inode).

    `file` is None on file systems whose inode numbers change; there `lost` is always False.
    """

    path: Path
    file: tuple[int, int] | None

    def lost(self) -> bool:
        """Return whether `path` no longer leads to the locked file, so that another process may hold a lock
        of the same name.

        Raises SetupError if the path cannot be read.
        """
        return self.file is not None and self.file != _identity(self.path)


@contextmanager
def locked(path: Path, busy: str | None = None) -> Iterator[Held]:
    """Hold the lock of `path` until the block ends. The file is created if needed, and stays.

    If another process holds the lock, raises InputError with the message `busy`, or waits if `busy` is None.
    On network file systems without locks, no lock is held. Raises SetupError if the file cannot be created.
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


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of `path`. Nothing is created or changed; False where there is no such
    file, where it cannot be opened, and on file systems without locks."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock_descriptor(descriptor, blocking=False)
    except OSError:
        return False
    finally:
        # Closing the file ends the lock that this took, if it was free.
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
    """Return device and inode of the file at `path`, or None if there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror or error}") from error
    return status.st_dev, status.st_ino
