"""The errors that a user can act on, and how other exceptions become one of them.

`InputError` is about the input: a file, a row, a key, an option. `SetupError` is about the machine: a missing
package, a full disk, another process. Each message is one sentence that names the location, what is there,
what was expected, and the remedy. The command line prints it without a traceback and exits with `exit_code`.
Readers raise these errors where the row or key is known; `explained` converts any other exception.
"""

from __future__ import annotations

import difflib
import errno
import traceback
from collections.abc import Iterable
from pathlib import Path

_DEBUG = "`openflan --debug VERB ...` shows where"
_LONGEST = 200
_MISTAKEN = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
    errno.EACCES,
    errno.EPERM,
    errno.EEXIST,
    errno.ENXIO,
    errno.EILSEQ,
}
"""Errors of the operating system that another path, or other rights, would prevent."""


class OpenflanError(Exception):
    """Base class of errors whose message is written for the user."""

    exit_code = 1


class InputError(OpenflanError):
    """The input is wrong. The message names the file, row or key, and the remedy."""

    exit_code = 2


class SetupError(OpenflanError):
    """Something is missing on the machine. The message names it and the remedy."""


class UnexpectedError(OpenflanError):
    """An error that openflan does not expect: a defect of openflan or of a library."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean `cap`?` for the nearest of `known`, or an empty string."""
    nearest = difflib.get_close_matches(name[:_LONGEST], list(known), n=1, cutoff=0.6)
    return f"; did you mean `{nearest[0]}`?" if nearest else ""


def explained(error: Exception) -> OpenflanError:
    """Converts any exception into an error whose message is one line and names the file that was in use. An
    OpenflanError is returned unchanged."""
    if isinstance(error, OpenflanError):
        return error
    path = file_at_work(error)
    prefix = f"{shortened(str(path))}: " if path is not None else ""
    text = shortened(" ".join(str(error).split()))
    if isinstance(error, OSError):
        return _of_system(error, prefix)
    if isinstance(error, RecursionError):
        return InputError(
            f"{prefix}nested too deeply to be read; openflan reads no file of such depth, so check what "
            "wrote it"
        )
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "allocate memory" in text
        or "not enough memory" in text
    ):
        return SetupError(
            f"{prefix}not enough memory{f' ({text})' if text else ''}; ask for less at a time, or check "
            "for sizes that are too large"
        )
    if isinstance(error, UnicodeDecodeError):
        return InputError(
            f"{prefix}not UTF-8 (byte {error.start}: 0x{error.object[error.start]:02x}); save it as UTF-8"
        )
    if isinstance(error, UnicodeEncodeError):
        character = f"U+{ord(error.object[error.start]):04X}"
        return InputError(
            f"{prefix}a text holds {character}, which cannot be written as {error.encoding}; check "
            "arguments and names of files for bytes that are not UTF-8"
        )
    if isinstance(error, OverflowError):
        return InputError(f"{prefix}a number is too large ({text}); give a smaller one")
    if isinstance(error, ValueError) and "null" in text and ("byte" in text or "character" in text):
        return InputError(f"{prefix}a path holds a NUL character; check the paths that were given")
    if isinstance(error, RuntimeError) and "home directory" in text:
        return InputError("a path begins with `~` and a user who is not known here; write the path in full")
    if isinstance(error, ValueError) and "integer string conversion" in text:
        return InputError(
            f"{prefix}holds a number of thousands of digits; openflan reads none of that length"
        )
    return UnexpectedError(
        f"{prefix}unexpected {type(error).__name__}: {text or 'no message'}; {_DEBUG}; if the input is "
        "right, please report it"
    )


def file_at_work(error: BaseException) -> Path | None:
    """The file or folder that the innermost function of openflan worked on when it failed: its local variable
    `path`, `file` or `data`. None if there is none."""
    path: Path | None = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__", "")).startswith("openflan."):
            named = (frame.f_locals.get(name) for name in ("path", "file", "data"))
            path = next((value for value in named if isinstance(value, Path)), path)
    return path


def shortened(text: str) -> str:
    """The text, or its beginning and end if it is longer than 200 characters."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 4 :]}"


def _of_system(error: OSError, prefix: str) -> OpenflanError:
    name = (
        error.filename.decode(errors="backslashreplace")
        if isinstance(error.filename, bytes)
        else error.filename
    )
    prefix_of_file = (
        f"{shortened(str(name))}: "
        if isinstance(name, str | Path)
        else prefix or "standard output, or a file: "
    )
    reason = shortened(" ".join((error.strerror or str(error) or type(error).__name__).split()))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError(
            f"{prefix_of_file}the disk is full ({reason}); free some space and run the same command again"
        )
    if error.errno in _MISTAKEN:
        return InputError(f"{prefix_of_file}{reason}; check the path and the rights to it")
    return SetupError(f"{prefix_of_file}{reason}")
