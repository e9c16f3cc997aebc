"""The share of inverted examples that the public release has for the tasks of a set of wordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openflan.errors import InputError


@dataclass(frozen=True, slots=True)
class InvertedShare:
    """The share of inverted examples, in [0, 1], among the zero-shot and among the few-shot ones."""

    zero: float
    few: float


def read_inverted_share(value: Any, location: str) -> InvertedShare | None:
    """The share that a wordings file says, None if it says none. Raises InputError naming file and line."""
    match value:
        case None:
            return None
        case {"zero": int() | float() as zero, "few": int() | float() as few} if (
            len(value) == 2 and 0 <= zero <= 1 and 0 <= few <= 1
        ):
            return InvertedShare(float(zero), float(few))
    raise InputError(
        f"{location}: `inverted_share:` needs `zero` and `few`, two numbers from 0 to 1; found {value!r:.60}"
    )
