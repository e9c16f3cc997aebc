"""Makes standard output and error accept any text, and exit without a message when their reader is gone."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


def tolerant_streams() -> None:
    """Makes the streams write characters that they cannot encode as escapes, such as `\\xe9`, instead of
    raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def takes_unicode() -> bool:
    """Return True if standard output can encode every character; an ASCII terminal cannot."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").replace("_", "").startswith("utf")


def discard_output() -> None:
    """Drops the buffered output if it cannot be written, so that the interpreter prints no error when it
    exits."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
