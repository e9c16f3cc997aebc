"""What a change of a recipe's key means for a run that has begun; each field of a recipe declares it.

A field declares its effect as `Field(..., json_schema_extra=PLAN)`. A field that holds a section declares
none, because the fields of the section do. The effect also appears in the JSON schema of recipes.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast

from pydantic.fields import FieldInfo

Effect: TypeAlias = Literal["none", "optimisation", "plan", "weights"]
"""`none`: training gives the same weights. `optimisation`: the weights change, but the packed sequences keep
their positions. `plan`: other sequences are packed, so an index of the former ones is of no use. `weights`:
no checkpoint of the run fits any more, because the model or the optimizer's statistics are others."""

NONE: dict[str, Any] = {"effect": "none"}
OPTIMISATION: dict[str, Any] = {"effect": "optimisation"}
PLAN: dict[str, Any] = {"effect": "plan"}
WEIGHTS: dict[str, Any] = {"effect": "weights"}


def declared_effect(field: FieldInfo) -> Effect | None:
    """The effect that a field declares, None if it declares none."""
    extra = field.json_schema_extra
    return cast("Effect | None", extra.get("effect")) if isinstance(extra, dict) else None
