"""The differences between two recipes, each with its declared effect on a run that has begun."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openflan.recipe.effects import Effect, declared_effect
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.schema import Section


@dataclass(frozen=True, slots=True)
class Change:
    """Something that differs from what a run began with. `text` says what; `key` is the recipe's key, empty
    for a change outside the recipe."""

    text: str
    effect: Effect
    key: str = ""

    def __str__(self) -> str:
        return self.text


def recipe_changes(old: AnyRecipe, new: AnyRecipe) -> list[Change]:
    """A change, `key: old -> new`, for every key whose value differs, in the order of the keys.

    Raises TypeError for a field that declares no effect, which is a mistake in the schema.
    """
    before, after = dict(_values(old)), dict(_values(new))
    absent = (None, None)
    changes = []
    for key in sorted(before.keys() | after.keys()):
        (old_value, old_effect), (new_value, new_effect) = before.get(key, absent), after.get(key, absent)
        if old_value == new_value:
            continue
        effect = new_effect or old_effect
        if effect is None:
            raise TypeError(f"the recipe's field `{key}` declares no effect")
        changes.append(Change(f"{key}: {old_value} -> {new_value}", effect, key))
    return changes


def _values(section: Section, prefix: str = "") -> Iterator[tuple[str, tuple[Any, Effect | None]]]:
    """Every key of a section with its value, as JSON holds it, and the effect that its field declares."""
    plain = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        yield from _values_of(getattr(section, name), plain[name], f"{prefix}{name}", declared_effect(field))


def _values_of(
    value: Any, plain: Any, key: str, effect: Effect | None
) -> Iterator[tuple[str, tuple[Any, Effect | None]]]:
    if isinstance(value, Section):
        yield from _values(value, f"{key}.")
    elif isinstance(plain, dict):
        for name in value:
            yield from _values_of(value[name], plain[str(name)], f"{key}.{name}", effect)
    else:
        yield key, (plain, effect)
