"""Read JSON that others wrote. Everything that can be wrong with it becomes one InputError with file and
line.

`json.loads` alone raises five kinds of exceptions for bad input (invalid UTF-8, invalid JSON, deep nesting,
integers of thousands of digits). It accepts half characters (`"\\ud800"`), which fail much later, when they
are written. Decision: values are at most `DEEPEST` levels deep, at any stack depth of the caller. Code
that walks a value therefore cannot exhaust the stack.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from openflan.errors import InputError

DEEPEST = 200
"""The most levels of lists and objects inside each other."""

LONGEST_LINE = 1 << 28
"""Bytes of a line in a file of JSON lines: a small compressed file can unpack to a line without end."""

REMEDY = "correct or remove it"

_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


def parse_json(source: str | bytes, location: str, *, remedy: str = REMEDY) -> Any:
    """Return the value of a JSON text, which may begin with a byte order mark.

    Raises InputError that begins with `location` and ends with `remedy`, for bytes that are not UTF-8, for
    invalid JSON and for more than `DEEPEST` levels. It is also raised for an integer of more digits than
    Python reads, and for half of a surrogate pair.
    """
    text = source if isinstance(source, str) else _decoded(source, location, remedy)
    try:
        value = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        position = (
            f"line {error.lineno}, column {error.colno}" if "\n" in text.strip() else f"column {error.colno}"
        )
        raise InputError(f"{location}: not valid JSON ({error.msg} at {position}); {remedy}") from None
    except RecursionError:
        raise _too_deep(location, remedy) from None
    except ValueError:
        raise InputError(
            f"{location}: holds a whole number of more than {sys.get_int_max_str_digits():,} digits; {remedy}"
        ) from None
    if text.count("[") + text.count("{") > DEEPEST and not _is_shallow(value):
        raise _too_deep(location, remedy)
    if _may_hold_half_characters(source, text) and not _is_encodable(value):
        raise InputError(
            f"{location}: holds half of a surrogate pair (such as \\ud83d alone), which is no character; "
            f"{remedy}"
        )
    return value


def read_json_file(path: Path, *, remedy: str = REMEDY) -> Any:
    """Return the value of a JSON file. Raises InputError like `parse_json`, and for a file that is missing or
    cannot be read."""
    with reading(path):
        source = path.read_bytes()
    return parse_json(source, str(path), remedy=remedy)


def json_lines(path: Path, *, remedy: str = REMEDY) -> Iterator[tuple[str, Any]]:
    """Yield the place (`file:line`, counted from 1) and the value of each line that is not blank. Lines end
    with LF or CRLF. A `.gz` file is unpacked.

    Raises InputError like `parse_json`, and for a file that is missing, cannot be read, or has a line of
    more than `LONGEST_LINE` bytes.
    """
    for location, line, _ in byte_lines(path):
        if line.strip():
            yield location, parse_json(line, location, remedy=remedy)


def byte_lines(path: Path) -> Iterator[tuple[str, bytes, bool]]:
    """Yield the place, the bytes without LF, and whether an LF ended it, of each line of a file. A `.gz` file
    is unpacked. Raises InputError like `json_lines`."""
    with reading(path), cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb") as file:
        line_number = 0
        while line := file.readline(LONGEST_LINE + 1):
            line_number += 1
            if len(line) > LONGEST_LINE:
                raise InputError(
                    f"{path}:{line_number}: a line of more than {LONGEST_LINE >> 20} MiB; expected one value "
                    "a line"
                )
            yield f"{path}:{line_number}", line.removesuffix(b"\n"), line.endswith(b"\n")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn every error of opening and reading a file, compressed or not, into an InputError with its path."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; expected a file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: not a whole gzip file ({error}); copy it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        # `open` raises it for a NUL in the path. Errors of ours are no ValueErrors, so that none of a
        # caller's block is renamed.
        raise InputError(f"{str(path)!r}: no path of a file ({error})") from None


def _decoded(source: bytes, location: str, remedy: str) -> str:
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError as error:
        if source.startswith(_WIDE_MARKS):
            raise InputError(
                f"{location}: not valid JSON (UTF-16, expected UTF-8); convert it with `iconv -f UTF-16 -t "
                "UTF-8`"
            ) from None
        raise InputError(
            f"{location}: not valid JSON (not UTF-8: byte 0x{source[error.start]:02x} at "
            f"{error.start + 1}); {remedy}"
        ) from None


def _too_deep(location: str, remedy: str) -> InputError:
    return InputError(f"{location}: lists and objects nested more than {DEEPEST} deep; {remedy}")


def _is_shallow(value: Any) -> bool:
    """Return whether no value lies deeper than `DEEPEST`. It goes level by level, without recursion."""
    containers = [value] if isinstance(value, list | dict) else []
    for _ in range(DEEPEST):
        inside = (inner for one in containers for inner in (one if isinstance(one, list) else one.values()))
        containers = [inner for inner in inside if isinstance(inner, list | dict)]
    return not containers


def _may_hold_half_characters(source: str | bytes, text: str) -> bool:
    """Return whether a full check is needed: half characters come from escapes, or from a text that was
    decoded without checks."""
    if "\\ud" in text or "\\uD" in text:
        return True
    return isinstance(source, str) and not _is_encodable_text(source)


def _is_encodable(value: Any) -> bool:
    return _is_encodable_text(json.dumps(value, ensure_ascii=False))


def _is_encodable_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
