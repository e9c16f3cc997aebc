"""Standard output and error that take any text, and end quietly when nobody reads them."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


def tolerant_streams() -> None:
    """Characters that a terminal or pipe cannot take are written as escapes, such as `\\xe9`, instead of
    ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def takes_unicode() -> bool:
    """Whether standard output takes every character; an ASCII terminal does not."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").replace("_", "").startswith("utf")


def discard_output() -> None:
    """What is still waiting for standard output goes nowhere if it cannot be written, so that the interpreter
    does not complain at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
