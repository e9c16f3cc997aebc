"""Locks between processes, each on a file. A lock ends with the process that holds it, also if that
crashes.

The system's own lock of a file is used (`flock`, on Windows `LockFileEx`). Where Python has neither, a second
file beside it, `NAME.held`, stands for the lock; it names its process, so that one that was left by a crash
is taken over.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import SoftFileLock, Timeout, lock_descriptor

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
        marker = ExitStack()
        try:
            if not _take(descriptor, path, busy):
                marker.enter_context(_marker(path, busy))
            status = os.fstat(descriptor)
            held = Held(path, (status.st_dev, status.st_ino))
            if not held.lost() or attempt + 1 == _ATTEMPTS:
                yield held if not held.lost() else Held(path, None)
                return
        finally:
            # Closing the file ends the lock.
            os.close(descriptor)
            marker.close()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of `path`. Nothing is created or changed; False where there is no such
    file, where it cannot be opened, and on file systems without locks."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        return error.errno == errno.ENOSYS and not _has_system_locks() and _marker_is_held(path)
    finally:
        # Closing the file ends the lock that this took, if it was free.
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise SetupError(f"{path.parent}: cannot be written: {error.strerror or error}") from error


def _take(descriptor: int, path: Path, busy: str | None) -> bool:
    """Locks an open file; returns False where Python has no lock of the system's."""
    try:
        if not lock_descriptor(descriptor, blocking=busy is None):
            raise InputError(busy or str(path))
    except OSError as error:
        if error.errno == errno.ENOSYS and not _has_system_locks():
            return False
        if error.errno not in _NO_LOCKS:
            raise SetupError(f"{path}: cannot be locked: {error.strerror or error}") from error
    return True


def _has_system_locks() -> bool:
    """Whether Python has a lock of the system's, which a file system may still lack."""
    try:
        import fcntl  # noqa: F401
    except ImportError:
        return os.name == "nt"
    return True


@contextmanager
def _marker(path: Path, busy: str | None) -> Iterator[None]:
    """Holds the file that stands for a lock."""
    held = SoftFileLock(path.with_name(f"{path.name}.held"), timeout=0 if busy is not None else -1)
    try:
        held.acquire()
    except Timeout:
        raise InputError(busy or str(path)) from None
    except OSError as error:
        raise SetupError(f"{path}: cannot be locked: {error.strerror or error}") from error
    try:
        yield
    finally:
        held.release()


def _marker_is_held(path: Path) -> bool:
    """Whether a process holds the file that stands for a lock; one that a crash left is removed."""
    if not path.with_name(f"{path.name}.held").exists():
        return False
    try:
        with _marker(path, "held"):
            return False
    except (InputError, SetupError):
        return True


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file at `path`, or None if there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror or error}") from error
    return status.st_dev, status.st_ino
