"""The base class of every section of a recipe, and the kinds of values that sections share.

Every key has a help text, and unknown keys are refused, so that a misspelt key is never ignored in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

LARGEST = 2**53
"""Whole numbers up to this one are exact as doubles, which the arithmetic of rates needs."""


class Section(BaseModel):
    """A section of a recipe. It is immutable and refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain_numbers(cls, value: Any) -> Any:
        # YAML reads yes and no as truth values, which would pass as the numbers 1 and 0.
        if isinstance(value, bool):
            raise ValueError(
                f"expected a number, a text or a mapping; found `{str(value).lower()}` (YAML reads yes, no, "
                "on and off as truth values)"
            )
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(
                f"a number of {len(str(abs(value)))} digits is larger than {LARGEST:,}, the largest whole "
                "number that openflan supports"
            )
        return value


def listed(value: Any) -> Any:
    """Return a single text or path as a list of one item; return any other value unchanged."""
    return [value] if isinstance(value, str | Path) else value


Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A part of a whole, from 0 to 1."""

AsList = BeforeValidator(listed)
"""Lets a recipe give one item where the key holds a list."""
