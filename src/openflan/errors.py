"""The two kinds of failure a person can act on.

`InputError` is about what was given: a file, a row, a key, an option. `SetupError` is about the machine: a missing extra, a full disk, another
process. Each message is one sentence that names the place, what was found, what was expected and the remedy; the command line prints it without
a traceback and ends with `exit_code`. Anything else that escapes is a defect of openflan.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OpenflanError(Exception):
    """Base of the failures whose message is written for people."""

    exit_code = 1


class InputError(OpenflanError):
    """What the user gave is wrong: names file, row or key, and the remedy."""

    exit_code = 2


class SetupError(OpenflanError):
    """The environment lacks something: names it and the command that brings it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean `cap`?` for the nearest of `known`, or an empty string."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean `{nearest[0]}`?" if nearest else ""
