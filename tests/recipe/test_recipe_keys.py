"""`openflan recipe`: every key is listed, the schema accepts what the loader accepts, and the reference page
is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from openflan.cli.recipe import app
from openflan.errors import InputError
from openflan.recipe.keys import REQUIRED, as_markdown, json_schema, keys_of_section, recipe_keys
from openflan.recipe.load_recipe import load_any_recipe, load_recipe, packaged_recipes, pretraining_recipes
from openflan.recipe.pretraining import PretrainRecipe
from openflan.recipe.schema import Recipe

DOCS = Path(__file__).parents[2] / "docs"


def dotted(values: Any, prefix: str = "") -> set[str]:
    """Keys of a resolved recipe as `recipe keys` writes them: names that users choose become NAME."""
    keys = set()
    for name, value in values.items():
        shown = "NAME" if prefix == "mixture.submixtures." else name
        keys.add(f"{prefix}{shown}")
        if isinstance(value, dict) and name not in ("config", "rates", "shares", "mode_tokens"):
            keys |= dotted(value, f"{prefix}{shown}.")
    return keys


@pytest.mark.parametrize("recipe_class", [Recipe, PretrainRecipe])
def test_every_key_of_every_packaged_recipe_is_listed(recipe_class: type[Recipe | PretrainRecipe]) -> None:
    is_finetuning = recipe_class is Recipe
    paths = packaged_recipes() if is_finetuning else pretraining_recipes()
    overrides = [] if is_finetuning else ["pretraining.data=embedded:microflan"]
    listed = {key.path for key in recipe_keys(recipe_class)}
    used = {
        key
        for path in paths.values()
        for key in dotted(load_any_recipe(path, overrides).model_dump(mode="json"))
    }
    assert used - {"mixture.submixtures.NAME"} <= listed
    assert "training.learning_rate" in used


def test_every_key_has_help_and_a_type() -> None:
    for key in [*recipe_keys(Recipe), *recipe_keys(PretrainRecipe)]:
        assert key.help.strip(), key.path
        assert key.kind, key.path


def test_bounds_and_defaults_are_those_of_the_schema() -> None:
    keys = {key.path: key for key in recipe_keys(Recipe)}
    assert keys["training.steps"].default is REQUIRED
    assert (keys["training.steps"].kind, keys["model.dropout"].kind) == (
        "whole number (> 0)",
        "number (>= 0, <= 1)",
    )
    assert keys["packing.inputs"].default == Recipe.model_fields["packing"].default.inputs
    assert keys["training.optimizer"].kind == "`adafactor` or `adamw`"
    assert keys["mixture.submixtures.NAME.cap"].default_text == "absent"


def test_a_section_has_its_own_keys_alone_and_a_misspelt_one_the_nearest_name() -> None:
    assert {key.path.partition(".")[0] for key in keys_of_section("training")} == {"training"}
    assert [key.path for key in keys_of_section("pretraining.objective")] == ["pretraining.objective"]
    with pytest.raises(InputError, match="did you mean `training`"):
        keys_of_section("trainin")


def test_the_schema_names_every_key_and_refuses_others() -> None:
    schema = json_schema(Recipe)
    assert set(schema["properties"]) == {"extends", *Recipe.model_fields}
    assert schema["additionalProperties"] is False
    assert set(schema["$defs"]["Training"]["properties"]) == set(
        type(load_recipe("flan-t5-small").training).model_fields
    )


def test_the_reference_page_is_what_the_command_prints() -> None:
    assert (DOCS / "reference/recipe.md").read_text(encoding="utf-8") == as_markdown()


def test_show_prints_a_recipe_that_loads_as_the_same_recipe(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["show", "flan-t5-small", "training.steps=7"])
    assert shown.exit_code == 0, shown.output
    path = tmp_path / "shown.yaml"
    path.write_text(shown.output, encoding="utf-8")
    assert load_recipe(path) == load_recipe("flan-t5-small", ["training.steps=7"])
    assert yaml.safe_load(shown.output)["training"]["steps"] == 7


def test_json_is_one_value() -> None:
    keys = json.loads(CliRunner().invoke(app, ["keys", "packing", "--json"]).output)
    assert {
        "key": "packing.inputs",
        "type": "whole number (> 0)",
        "required": False,
        "default": 1024,
    }.items() <= keys[1].items()
