"""Recipes: a dumped recipe loads as itself, and the differences of two recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recipe_files import LEAST, Write, names

from openflan.recipe.load_recipe import (
    dump_recipe,
    load_recipe,
    packaged_recipes,
    recipe_from,
)
from openflan.recipe.recipe_changes import recipe_changes


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the test's folder and gives its path."""

    def write_(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_


plain = (
    st.none()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.text(st.characters(codec="utf-8"), max_size=12)
)

configs = st.dictionaries(
    st.text("abcdef_", min_size=1),
    plain | st.lists(plain, max_size=3) | st.dictionaries(st.text("ab", min_size=1), plain, max_size=2),
    max_size=4,
)

share = st.floats(0, 1)


@example(
    name="a",
    seed=0,
    config={"a": "one\x85two\u2028three"},
    tasks=["\x85", "a\u2029", "\ufeff\r\n\t"],
    cap=None,
    few_shot=0.0,
    rates=None,
    learning_rate=1.0,
)
@settings(deadline=None, max_examples=60)
@given(
    name=names | st.sampled_from(["null", "yes", "1e5", "0123", "12.5"]),
    seed=st.integers(0, 2**53),
    config=configs,
    tasks=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=10), min_size=1, max_size=3),
    cap=st.none() | st.integers(1, 10**6),
    few_shot=share,
    rates=st.none() | st.just("proportion-a") | st.fixed_dictionaries({"cot": st.floats(1e-9, 1e9)}),
    learning_rate=st.floats(1e-12, 10),
)
def test_a_dumped_recipe_loads_as_itself(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int, config: dict[str, Any], **rest: Any
) -> None:
    values = {
        "name": name,
        "seed": seed,
        "model": {"config": {**config, "model_type": "t5"}, "tokenizer": "org/a"},
        "mixture": {
            "submixtures": {
                "cot": {"tasks": rest["tasks"], "cap": rest["cap"], "styles": {"few_shot": rest["few_shot"]}}
            },
            "rates": rest["rates"],
        },
        "training": {"steps": 3, "learning_rate": rest["learning_rate"]},
    }
    recipe = recipe_from(values, "here")
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    again = load_recipe(path)
    assert again == recipe
    assert recipe_changes(recipe, again) == []
    assert again.model.config == {**config, "model_type": "t5"}


@pytest.mark.parametrize("name", packaged_recipes())
def test_a_dumped_packaged_recipe_loads_as_itself(name: str, write: Write) -> None:
    assert load_recipe(write(dump_recipe(load_recipe(name)))) == load_recipe(name)


def test_a_dump_states_every_default(write: Write) -> None:
    dumped = yaml.safe_load(dump_recipe(load_recipe(write(LEAST))))
    assert dumped["packing"] == {
        "inputs": 1024,
        "targets": 256,
        "layout": "paper",
        "learn": "all",
        "added_tokens": "ids",
        "on_overflow": "truncate-inputs",
    }
    assert dumped["mixture"]["submixtures"]["cot"]["styles"] == {
        "rationale": 1.0,
        "options": 0.5,
        "shots": [5, 5, 2, 3],
        "exemplars_only": 0.34,
    }


def test_differences_name_key_old_and_new(write: Write) -> None:
    path = write(LEAST)
    old = load_recipe(path)
    new = load_recipe(
        path,
        ["training.steps=20", "mixture.rates={cot: 2}", "seed=1", "mixture.submixtures.cot.tasks=[cot/qed]"],
    )
    assert [str(change) for change in recipe_changes(old, new)] == [
        "mixture.rates.cot: None -> 2.0",
        "mixture.submixtures.cot.tasks: ['*'] -> ['cot/qed']",
        "seed: 0 -> 1",
        "training.steps: 10 -> 20",
    ]
    assert recipe_changes(old, load_recipe(path)) == []


def test_a_recipe_cannot_be_changed(write: Write) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_recipe(write(LEAST)).seed = 5  # type: ignore[misc]
