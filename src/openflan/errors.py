"""The two kinds of failure a person can act on, and what becomes of all others.

`InputError` is about what was given: a file, a row, a key, an option. `SetupError` is about the machine: a
missing extra, a full disk, another process. Each message is one sentence that names the place, what was
found, what was expected and the remedy; the command line prints it without a traceback and ends with
`exit_code`. Readers raise them where they know the row or key; `explained` makes one of whatever they let
through.
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
"""Errors of the system that another path, or other rights, would mend."""


class OpenflanError(Exception):
    """Base of the failures whose message is written for people."""

    exit_code = 1


class InputError(OpenflanError):
    """What the user gave is wrong: names file, row or key, and the remedy."""

    exit_code = 2


class SetupError(OpenflanError):
    """The environment lacks something: names it and the command that brings it."""


class UnexpectedError(OpenflanError):
    """A failure that openflan has no words for: a defect of its own, or of a library."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean `cap`?` for the nearest of `known`, or an empty string."""
    nearest = difflib.get_close_matches(name[:_LONGEST], list(known), n=1, cutoff=0.6)
    return f"; did you mean `{nearest[0]}`?" if nearest else ""


def explained(error: Exception) -> OpenflanError:
    """A failure for people, in one line with the file that was at work, made of any exception; an
    OpenflanError stays what it is."""
    if isinstance(error, OpenflanError):
        return error
    place = file_at_work(error)
    before = f"{shortened(str(place))}: " if place is not None else ""
    text = shortened(" ".join(str(error).split()))
    if isinstance(error, OSError):
        return _of_system(error, before)
    if isinstance(error, RecursionError):
        return InputError(
            f"{before}nested too deeply to be read; openflan reads no file of such depth, so check what "
            "wrote it"
        )
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "allocate memory" in text
        or "not enough memory" in text
    ):
        return SetupError(
            f"{before}not enough memory{f' ({text})' if text else ''}; ask for less at a time, or check "
            "for sizes that are too large"
        )
    if isinstance(error, UnicodeDecodeError):
        return InputError(
            f"{before}not UTF-8 (byte {error.start}: 0x{error.object[error.start]:02x}); save it as UTF-8"
        )
    if isinstance(error, UnicodeEncodeError):
        character = f"U+{ord(error.object[error.start]):04X}"
        return InputError(
            f"{before}a text holds {character}, which cannot be written as {error.encoding}; check "
            "arguments and names of files for bytes that are not UTF-8"
        )
    if isinstance(error, OverflowError):
        return InputError(f"{before}a number is too large ({text}); give a smaller one")
    if isinstance(error, ValueError) and "null" in text and ("byte" in text or "character" in text):
        return InputError(f"{before}a path holds a NUL character; check the paths that were given")
    if isinstance(error, RuntimeError) and "home directory" in text:
        return InputError("a path begins with `~` and a user who is not known here; write the path in full")
    if isinstance(error, ValueError) and "integer string conversion" in text:
        return InputError(
            f"{before}holds a number of thousands of digits; openflan reads none of that length"
        )
    return UnexpectedError(
        f"{before}unexpected {type(error).__name__}: {text or 'no message'}; {_DEBUG}; if the input is "
        "right, please report it"
    )


def file_at_work(error: BaseException) -> Path | None:
    """The file or folder that the innermost function of openflan was about when it failed, if it has one
    under a usual name."""
    place: Path | None = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__", "")).startswith("openflan."):
            named = (frame.f_locals.get(name) for name in ("path", "file", "data"))
            place = next((value for value in named if isinstance(value, Path)), place)
    return place


def shortened(text: str) -> str:
    """The text, or its begin and end if it is too long for a line."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 4 :]}"


def _of_system(error: OSError, before: str) -> OpenflanError:
    name = (
        error.filename.decode(errors="backslashreplace")
        if isinstance(error.filename, bytes)
        else error.filename
    )
    place = (
        f"{shortened(str(name))}: "
        if isinstance(name, str | Path)
        else before or "standard output, or a file: "
    )
    reason = shortened(" ".join((error.strerror or str(error) or type(error).__name__).split()))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError(
            f"{place}the disk is full ({reason}); free some space and run the same command again"
        )
    if error.errno in _MISTAKEN:
        return InputError(f"{place}{reason}; check the path and the rights to it")
    return SetupError(f"{place}{reason}")
