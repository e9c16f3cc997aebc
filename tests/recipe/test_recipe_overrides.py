"""Recipes: `extends`, overrides, and where relative paths start."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipe_files import LEAST, Write, refusal

from openflan.mixture.rates import relative_rates
from openflan.recipe.load_recipe import (
    load_recipe,
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the test's folder and gives its path."""

    def write_(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_


# extends


def test_a_chain_of_recipes_overrides_section_by_section(write: Write) -> None:
    write(LEAST.replace("steps: 10", "steps: 10\n  batch_size: 8"), "base/grand.yaml")
    write(
        "extends: base/grand.yaml\nname: parent\ntraining: {batch_size: 16}\nmixture: {submixtures: "
        "{mine: {cap: 5}}}\n",
        "parent.yaml",
    )
    recipe = load_recipe(write("extends: parent.yaml\nname: child\ntraining: {steps: 20}\n", "child.yaml"))
    assert (recipe.name, recipe.training.steps, recipe.training.batch_size, recipe.model.base) == (
        "child",
        20,
        16,
        "org/base",
    )
    assert list(recipe.mixture.submixtures) == ["cot", "mine"]


def test_a_packaged_recipe_can_be_extended_even_by_a_file_of_its_name(write: Write) -> None:
    recipe = load_recipe(
        write("extends: tiny-t5-cot\nname: mine\ntraining: {steps: 7}\n", "tiny-t5-cot.yaml")
    )
    assert (recipe.name, recipe.training.steps, recipe.training.batch_size) == (
        "mine",
        7,
        load_recipe("tiny-t5-cot").training.batch_size,
    )


def test_a_stated_config_replaces_the_inherited_one_whole(write: Write) -> None:
    """Keys of one architecture would be wrong in another."""
    recipe = load_recipe(
        write("extends: tiny-t5-cot\nmodel: {config: {model_type: llama, hidden_size: 8}}\n")
    )
    assert recipe.model.config == {"model_type": "llama", "hidden_size": 8}


def test_a_circle_of_extends_is_named(write: Write) -> None:
    write("extends: two.yaml\n", "one.yaml")
    path = write("extends: one.yaml\n", "two.yaml")
    assert "leads back to its own file: two.yaml -> one.yaml -> two.yaml" in refusal(path)
    assert "leads back to its own file" in refusal(write("extends: self.yaml\n", "self.yaml"))


def test_a_parent_that_is_missing_or_no_name_is_refused(write: Write) -> None:
    assert "did you mean `tiny-t5-cot`?" in refusal(write("extends: tiny-t5-cott\n"))
    assert "mine.yaml:2: `extends:` must name one recipe" in refusal(write("name: a\nextends: [one, two]\n"))


def test_a_mistake_in_a_parent_names_the_parents_line(write: Write) -> None:
    parent = write(LEAST.replace("steps: 10", "stepz: 10"), "parent.yaml")
    child = write("extends: parent.yaml\nname: child\n", "child.yaml")
    assert f"{parent}:7: `training.stepz`" in refusal(child)
    write(LEAST, "parent.yaml")
    assert f"{child}:3: `training.steps`" in refusal(
        write("extends: parent.yaml\ntraining:\n  steps: many\n", "child.yaml")
    )


# Overrides


def test_overrides_are_read_as_yaml_and_the_last_one_holds(write: Write) -> None:
    overrides = [
        "training.steps=5",
        "training.steps=6",
        "training.learning_rate=1.0e-3",
        "seed=3",
        "mixture.rates={cot: 2}",
        "model.dropout=null",
    ]
    recipe = load_recipe(
        write(LEAST), [*overrides, "mixture.submixtures.cot.tasks=[cot/gsm8k, cot/qasc]", "name=other-1"]
    )
    assert (recipe.training.steps, recipe.training.learning_rate, recipe.seed, recipe.name) == (
        6,
        1e-3,
        3,
        "other-1",
    )
    assert relative_rates(recipe.mixture) == {"cot": 2}
    assert recipe.mixture.submixtures["cot"].tasks == ["cot/gsm8k", "cot/qasc"]


def test_a_value_may_hold_an_equals_sign(write: Write) -> None:
    assert load_recipe(write(LEAST), ["model.base=org/a=b"]).model.base == "org/a=b"


def test_one_pattern_may_stand_alone(write: Write) -> None:
    assert load_recipe(write(LEAST), ["mixture.submixtures.cot.tasks=cot/gsm8k"]).mixture.submixtures[
        "cot"
    ].tasks == ["cot/gsm8k"]


def test_an_override_inside_config_keeps_the_rest_of_it() -> None:
    before, after = (
        load_recipe("tiny-t5-cot").model.config,
        load_recipe("tiny-t5-cot", ["model.config.num_layers=1"]).model.config,
    )
    assert before is not None
    assert after == {**before, "num_layers": 1}
    assert before["num_layers"] != 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.stepz=5",
            "override `training.stepz=5`: `training.stepz` is not a key of a recipe; did you mean `steps`?",
        ),
        (
            "trainin.steps=5",
            "override `trainin.steps=5`: `trainin` is not a key of a recipe; did you mean `training`?",
        ),
        (
            "training.steps=many",
            (
                "override `training.steps=many`: `training.steps`: expected a valid integer, unable to "
                "parse "
                'string as an integer; found "many"'
            ),
        ),
        (
            "mixture.submixtures.cot={data: x, cap: none}",
            "`mixture.submixtures.cot.cap`: expected a valid integer",
        ),
        ("training=5", "override `training=5`: `training`: expected a mapping of keys; found 5"),
        ("steps", "`steps` is not an override; write key=value"),
        ("=5", "`=5` is not an override; write key=value"),
        ("training.steps=[5", "`training.steps=[5`: the value is not valid YAML"),
        ("name=2024-02-31", "`name=2024-02-31`: the value is not valid YAML"),
        ("extends=tiny-t5-cot", "only a recipe file can extend another"),
    ],
)
def test_a_wrong_override_is_named_itself(write: Write, override: str, message: str) -> None:
    text = refusal(write(LEAST), override)
    assert message in text
    assert override in text


# Paths


def test_relative_paths_start_at_the_file_that_states_them(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base/tokenizer").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    parent = LEAST.replace("{base: org/base}", "{base: org/base, tokenizer: tokenizer}").replace(
        "{data: rows}", "{data: rows, wordings: ../own.yaml}"
    )
    write(parent, "base/parent.yaml")
    child = write(
        "extends: ../base/parent.yaml\nmixture: {submixtures: {mine: {data: more.jsonl}}}\n",
        "child/child.yaml",
    )
    monkeypatch.chdir(tmp_path / "here")
    recipe = load_recipe("../child/child.yaml", ["mixture.submixtures.third.data=x.jsonl"])
    assert child.is_file()
    data = {name: submixture.data for name, submixture in recipe.mixture.submixtures.items()}
    assert data == {
        "cot": tmp_path / "base/rows",
        "mine": tmp_path / "child/more.jsonl",
        "third": tmp_path / "here/x.jsonl",
    }
    assert recipe.mixture.submixtures["cot"].wordings == tmp_path / "own.yaml"
    assert recipe.model.tokenizer == str(tmp_path / "base/tokenizer")
    assert recipe.model.base == "org/base"


def test_the_home_folder_may_be_abbreviated(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert (
        load_recipe(write(LEAST.replace("data: rows", "data: ~/rows"))).mixture.submixtures["cot"].data
        == tmp_path / "home/rows"
    )
