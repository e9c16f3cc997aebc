"""Recipes: defaults, presets, packaged recipes, and values that come from elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from recipe_files import LEAST, Write

from openflan.errors import InputError
from openflan.mixture.rates import cap_of, relative_rates
from openflan.recipe.load_recipe import (
    load_recipe,
    packaged_recipes,
    recipe_from,
)
from openflan.recipe.presets import CAPS, RATES
from openflan.recipe.schema import Recipe, Section


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the test's folder and gives its path."""

    def write_(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_


# Defaults and presets


def test_what_a_recipe_leaves_out_has_the_documented_defaults(write: Write) -> None:
    recipe = load_recipe(write(LEAST))
    assert (recipe.seed, recipe.model.dropout, recipe.mixture.rates) == (0, None, None)
    assert (recipe.packing.inputs, recipe.packing.targets, recipe.packing.on_overflow) == (
        1024,
        256,
        "truncate-inputs",
    )
    assert (recipe.training.learning_rate, recipe.training.batch_size, recipe.training.precision) == (
        5e-4,
        64,
        "float32",
    )
    assert (recipe.training.optimizer, recipe.training.step_offset, recipe.training.micro_batch_size) == (
        "adafactor",
        0,
        None,
    )
    assert (recipe.checkpoints.every, recipe.checkpoints.keep) == (1000, 3)
    cot = recipe.mixture.submixtures["cot"]
    assert (cot.tasks, cot.cap, cot.styles.few_shot, cot.styles.rationale, cot.styles.options) == (
        ["*"],
        None,
        None,
        1.0,
        0.5,
    )


def test_presets_are_those_of_table_23() -> None:
    assert {name: dict(shares) for name, shares in RATES.items()} == {
        "proportion-a": {"muffin": 52, "t0_sf": 15, "cot": 3, "niv2": 30},
        "proportion-b": {"muffin": 46.0, "t0_sf": 27.9, "cot": 1.8, "niv2": 24.2},
        # Not of the table: the public release's.
        "release": {
            "muffin/flan2021": 40,
            "muffin/dialog": 3,
            "muffin/program_synthesis": 0,
            "t0_sf": 32,
            "niv2": 20,
            "cot": 5,
        },
    }
    assert dict(CAPS) == {"muffin": 30_000, "t0_sf": 20_000, "cot": 100_000, "niv2": 5_000}


def test_a_cap_is_the_papers_unless_stated(write: Write) -> None:
    text = LEAST.replace("cot: {data: rows}", "cot: {data: rows}\n    niv2: {cap: 7}\n    mine: {}")
    mixture = load_recipe(write(text)).mixture
    assert [cap_of(mixture, name) for name in ("cot", "niv2", "mine")] == [100_000, 7, None]


def test_preset_rates_stand_for_their_numbers(write: Write) -> None:
    recipe = load_recipe(write(LEAST), ["mixture.rates=proportion-b"])
    assert relative_rates(recipe.mixture) == {"muffin": 46.0, "t0_sf": 27.9, "cot": 1.8, "niv2": 24.2}


def sections(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The section and all that stand in its fields."""
    yield section
    for field in section.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from sections(part)


def test_every_key_has_a_line_of_help() -> None:
    all_sections = list(sections(Recipe))
    names = {
        "Recipe",
        "Model",
        "Adapter",
        "Mixture",
        "Submixture",
        "Styles",
        "Packing",
        "Training",
        "Checkpoints",
        "Evaluation",
    }
    assert {section.__name__ for section in all_sections} == names
    for section in all_sections:
        assert issubclass(section, Section)
        bare = [
            name
            for name, field in section.model_fields.items()
            if not field.description or len(field.description) < 8
        ]
        assert bare == [], f"{section.__name__}: no description"


# Packaged recipes


def test_there_are_packaged_recipes() -> None:
    assert "tiny-t5-cot" in packaged_recipes()


@pytest.mark.parametrize("name", packaged_recipes())
def test_every_packaged_recipe_loads_by_name_and_says_how_to_run_it(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert f"openflan finetune {name}" in packaged_recipes()[name].read_text(encoding="utf-8")


def test_a_packaged_recipe_takes_the_overrides_it_asks_for(tmp_path: Path) -> None:
    recipe = load_recipe(
        "tiny-t5-cot", [f"mixture.submixtures.cot.data={tmp_path}", "model.tokenizer=org/other"]
    )
    assert recipe.mixture.submixtures["cot"].data == tmp_path
    assert recipe.model.tokenizer == "org/other"
    assert recipe.mixture.submixtures["cot"].tasks == ["cot/*"]


# Values that come from elsewhere


def given_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(LEAST)
    return values


def test_values_are_checked_under_the_name_of_their_place() -> None:
    with pytest.raises(
        InputError, match=r"^the command line: `nme` is not a key of a recipe; did you mean `name`\?"
    ):
        recipe_from({**given_values(), "nme": "a"}, "the command line")


def test_values_given_are_left_as_they_were_and_their_paths_start_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = given_values()
    before = copy.deepcopy(values)
    recipe = recipe_from(values, "here", ["training.steps=99", "mixture.submixtures.cot.cap=4"])
    assert values == before
    assert (recipe.training.steps, recipe.mixture.submixtures["cot"].cap) == (99, 4)
    assert recipe.mixture.submixtures["cot"].data == tmp_path / "rows"
