"""Locks between processes: a file that one of them holds. They end with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openflan.errors import InputError, SetupError

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def locked(path: Path, busy: str | None = None, *, shared: bool = False) -> Iterator[None]:
    """Holds the lock of `path`, a file that is made and stays, until the block ends; `shared` ones keep out only those that are not.

    Where another holds it, raises InputError with the words of `busy`, or without them waits. Some network file systems know no locks: there none is
    held. Raises SetupError if the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise SetupError(f"{path.parent}: cannot be written: {error.strerror or error}") from error
    with file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise InputError(busy or str(path)) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise SetupError(f"{path}: cannot be locked: {error.strerror or error}") from error
        yield
