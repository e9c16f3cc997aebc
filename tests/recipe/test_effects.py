"""Every field of a recipe declares what a change of it means for a run that has begun, and is treated so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from openflan.recipe.effects import Effect, declared_effect
from openflan.recipe.load_recipe import recipe_from
from openflan.recipe.pretraining import AnyRecipe, PretrainRecipe
from openflan.recipe.recipe_changes import recipe_changes
from openflan.recipe.schema import Recipe


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a field's type names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for argument in get_args(annotation) for section in sections_in(argument)]


def fields_of(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo, bool]]:
    """Name, field, and whether it holds a section, of all fields of a section and of those inside it."""
    for name, field in section.model_fields.items():
        inner = sections_in(field.annotation)
        yield prefix + name, field, bool(inner)
        for inner_model in inner:
            yield from fields_of(inner_model, f"{prefix}{name}.")


FIELDS = {
    f"{kind.__name__}: {name}": (field, is_section)
    for kind in (Recipe, PretrainRecipe)
    for name, field, is_section in fields_of(kind)
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_declares_its_effect(name: str) -> None:
    field, is_section = FIELDS[name]
    assert declared_effect(field) in ((None,) if is_section else get_args(Effect))


MODEL = {"base": "embedded:microflan-tiny"}
RECIPE = {
    "name": "one",
    "model": MODEL | {"dropout": 0.1},
    "mixture": {"submixtures": {"a.b": {}, "cot": {"cap": 4}}, "rates": {"a.b": 1, "cot": 2}},
    "training": {"steps": 10},
}
TEXT = {
    "name": "one",
    "model": MODEL,
    "pretraining": {"data": "x.txt", "objective": "ul2", "shares": {"r": 1}},
    "training": {"steps": 10},
    "validation": {},
}
CHANGES: list[tuple[dict[str, Any], tuple[str, ...], Any, Effect]] = [
    (RECIPE, ("name",), "two", "none"),
    (RECIPE, ("seed",), 5, "plan"),
    (RECIPE, ("model", "base"), "embedded:microflan-base", "weights"),
    (RECIPE, ("model", "dropout"), 0.2, "optimisation"),
    (RECIPE, ("model", "attention"), "prefix", "optimisation"),
    (RECIPE, ("mixture", "submixtures", "a.b", "cap"), 7, "plan"),
    (RECIPE, ("mixture", "submixtures", "cot", "styles"), {"few_shot": 0.1}, "plan"),
    (RECIPE, ("mixture", "rates", "a.b"), 3, "plan"),
    (RECIPE, ("packing",), {"inputs": 8}, "plan"),
    (RECIPE, ("training", "optimizer"), "adamw", "weights"),
    (RECIPE, ("training", "momentum"), 0.9, "weights"),
    (RECIPE, ("training", "batch_size"), 3, "optimisation"),
    (RECIPE, ("checkpoints",), {"every": 2}, "none"),
    (RECIPE, ("evaluation",), {"every": 2, "benchmarks": ["mmlu"]}, "optimisation"),
    (TEXT, ("pretraining", "shares", "r"), 2, "plan"),
    (TEXT, ("pretraining", "mode_tokens"), {"r": "[R]"}, "plan"),
    (TEXT, ("validation", "every"), 7, "optimisation"),
    (TEXT, ("validation", "documents"), 7, "plan"),
]


def with_value(values: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    first, *rest = path
    return values | {first: with_value(values.get(first, {}), tuple(rest), value) if rest else value}


def read(values: dict[str, Any]) -> AnyRecipe:
    if "pretraining" in values:
        return PretrainRecipe.model_validate(values)
    return recipe_from(values, "the test")


@pytest.mark.parametrize(("values", "path", "value", "effect"), CHANGES)
def test_a_changed_field_has_the_effect_that_it_declares(
    values: dict[str, Any], path: tuple[str, ...], value: Any, effect: Effect
) -> None:
    old, new = read(values), read(with_value(values, path, value))
    assert recipe_changes(old, old) == []
    for before, after in ((old, new), (new, old)):
        changes = recipe_changes(before, after)
        assert changes
        assert {change.effect for change in changes} == {effect}
        assert all(change.key.startswith(".".join(path)) for change in changes)


@given(picked=st.sets(st.integers(0, 13), min_size=2))
def test_changes_of_several_fields_are_those_of_each_alone(picked: set[int]) -> None:
    old, together, alone = read(RECIPE), RECIPE, set[str]()
    for _, path, value, _ in (CHANGES[number] for number in picked):
        together = with_value(together, path, value)
        alone |= {str(change) for change in recipe_changes(old, read(with_value(RECIPE, path, value)))}
    assert {str(change) for change in recipe_changes(old, read(together))} == alone


def test_a_field_without_a_declared_effect_is_a_mistake_that_is_found() -> None:
    """Negative control."""

    class Undeclared(Recipe):
        note: Path = Path("a")

    old = Undeclared.model_validate(RECIPE)
    with pytest.raises(TypeError, match="`note` declares no effect"):
        recipe_changes(old, Undeclared.model_validate(RECIPE | {"note": "b"}))
