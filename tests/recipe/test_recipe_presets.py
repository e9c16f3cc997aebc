"""Presets: the paper's settings, and opening comments whose figures are those that the code computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openflan.recipe.load_recipe import (
    dump_recipe,
    load_recipe,
    packaged_recipes,
    planning_recipes,
)
from openflan.recipe.presets import PARAMETERS
from openflan.recipe.recipe_changes import recipe_changes
from openflan.training.flops import device_hours, recipe_flops

# Table 22: packed rows a step, dropout, learning rate, steps.
TABLE_22 = {
    "flan-t5-small": (64, 0.05, 5e-4, 98_000),
    "flan-t5-base": (64, 0.05, 5e-4, 84_000),
    "flan-t5-large": (64, 0.05, 5e-4, 64_000),
    "flan-t5-xl": (64, 0.05, 5e-4, 38_000),
    "flan-t5-xxl": (64, 0.05, 5e-4, 14_000),
    "flan-palm-8b": (32, 0.05, 3e-3, 40_000),
    "flan-palm-62b": (32, 0.05, 3e-3, 40_000),
    "flan-palm-540b": (32, 0.1, 1e-3, 21_000),
    "flan-cont-palm-62b": (32, 0.05, 3e-3, 60_000),
    "flan-u-palm-540b": (32, 0.1, 1e-3, 30_000),
}
MODERN = (
    "flan-t5gemma-b-b",
    "flan-t5gemma-2-270m",
    "flan-t5gemma-2-1b",
    "flan-switch-base-8",
    "flan-qwen3-1.7b",
    "flan-olmo-2-1b",
    "flan-llama-3.2-1b",
)


def by_name(name: str) -> str:
    return name if name in packaged_recipes() else f"shapes/{name}"


def opening(name: str) -> str:
    path = (packaged_recipes() | planning_recipes())[by_name(name)]
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))])


@pytest.mark.parametrize("name", TABLE_22)
def test_settings_are_those_of_table_22(name: str) -> None:
    recipe = load_recipe(by_name(name))
    training = recipe.training
    assert (training.batch_size, recipe.model.dropout, training.learning_rate, training.steps) == TABLE_22[
        name
    ]
    assert (training.optimizer, training.schedule, training.warmup_steps, training.clip_norm) == (
        "adafactor",
        "constant",
        0,
        None,
    )
    assert (recipe.packing.inputs, recipe.packing.targets) == (2048, 512)
    assert recipe.name == name


def test_proportion_a_is_for_the_two_models_that_were_not_retrained() -> None:
    rates = {name: load_recipe(by_name(name)).mixture.rates for name in TABLE_22}
    assert {name for name, preset in rates.items() if preset == "proportion-a"} == {
        "flan-palm-8b",
        "flan-palm-62b",
    }
    assert set(rates.values()) == {"proportion-a", "proportion-b"}


def test_flan_t5_starts_from_the_lm_adapted_t5_of_its_size() -> None:
    bases = [load_recipe(f"flan-t5-{size}").model.base for size in ("small", "base", "large", "xl", "xxl")]
    assert bases == [f"google/t5-{size}-lm-adapt" for size in ("small", "base", "large", "xl", "xxl")]


@pytest.mark.parametrize("name", TABLE_22)
def test_the_opening_states_flops_and_hours_as_computed(name: str) -> None:
    text = opening(name)
    flops = recipe_flops(
        load_recipe(by_name(name)), PARAMETERS[name], encoder_decoder=name.startswith("flan-t5")
    )
    printed = float(re.search(r"; ([\d.e]+) FLOPs \(Table 2\)", text).group(1))  # type: ignore[union-attr]
    if name != "flan-u-palm-540b":
        assert f"{flops:.1e}" == f"{printed:.1e}"
    hours = float(
        re.search(r"Estimate, not measured: ([\d.,]+) H100 hours, at 40 % of 989 TFLOP/s", text)
        .group(1)
        .replace(",", "")
    )  # type: ignore[union-attr]
    assert hours == pytest.approx(device_hours(flops, 989e12, 0.4), rel=0.03)
    assert "normalized average" in text
    assert f"openflan {'finetune' if name in packaged_recipes() else 'mixture'} {by_name(name)} " in text


def test_shapes_are_for_planning_only_and_not_listed_among_what_can_be_trained() -> None:
    assert set(planning_recipes()) == {
        f"shapes/{name}" for name in (*TABLE_22, "flan-u-palm-8b") if "palm" in name
    }
    assert not any("palm" in name for name in packaged_recipes() if name.startswith("flan-"))
    assert all(
        opening(name.removeprefix("shapes/")).startswith("# For planning only: ")
        for name in planning_recipes()
    )


@pytest.mark.parametrize(("size", "billions"), [("8b", 8.63), ("62b", 62.50), ("540b", 540.35)])
def test_shapes_have_the_parameters_that_palm_states(size: str, billions: float) -> None:
    """Chowdhery et al. 2022, Table 1; SwiGLU has three matrices, queries and outputs are as wide as all
    heads, one head of keys and values."""
    for name in [name for name in planning_recipes() if name.endswith(f"-{size}")]:
        config = load_recipe(name).model.config
        assert config is not None
        width, heads, head = config["hidden_size"], config["num_attention_heads"], config["head_dim"]
        layer = (
            2 * width * heads * head
            + 2 * width * head * config["num_key_value_heads"]
            + 3 * width * config["intermediate_size"]
        )
        assert (
            round((config["num_hidden_layers"] * layer + config["vocab_size"] * width) / 1e9, 2) == billions
        )
        assert config["tie_word_embeddings"] is True
        assert (config["model_type"], config["num_key_value_heads"], head) == ("cohere", 1, 256)
        assert config["logit_scale"] == pytest.approx(width**-0.5)


def test_inputs_see_one_another_in_u_palm_alone() -> None:
    attention = {name: load_recipe(by_name(name)).model.attention for name in TABLE_22}
    assert {name: how for name, how in attention.items() if how} == {"flan-u-palm-540b": "prefix"}


def test_flan_u_palm_of_8b_is_flan_palm_8b_but_for_what_u_palm_changes() -> None:
    """A size that the paper has not: Table 22 has 8B, Table 23 has U-PaLM."""
    ours, plain, paper = (
        load_recipe(f"shapes/flan-{name}") for name in ("u-palm-8b", "palm-8b", "u-palm-540b")
    )
    assert [str(change) for change in recipe_changes(plain, ours)] == [
        "mixture.rates: proportion-a -> proportion-b",
        "model.attention: None -> prefix",
        "name: flan-palm-8b -> flan-u-palm-8b",
    ]
    assert (ours.mixture.rates, ours.model.attention) == (paper.mixture.rates, paper.model.attention)
    text = opening("flan-u-palm-8b")
    flops = recipe_flops(ours, PARAMETERS["flan-palm-8b"], encoder_decoder=False)
    assert f"Estimate, not measured: {device_hours(flops, 989e12, 0.4):.0f} H100 hours" in text
    assert f"{flops:.1e}".replace("e+", "e") in text
    assert "No score is expected" in text


@pytest.mark.parametrize("name", MODERN)
def test_other_bases_state_no_score_and_mark_our_choices(name: str) -> None:
    recipe, text = load_recipe(name), opening(name)
    assert "no expected score" in text
    assert "Our choice" in text
    assert recipe.model.base is not None
    assert recipe.training.steps in {settings[3] for settings in TABLE_22.values()}
    assert set(recipe.mixture.submixtures) == {"muffin", "t0_sf", "niv2", "cot"}


@pytest.mark.parametrize("name", planning_recipes())
def test_a_dumped_shape_loads_as_itself(name: str, tmp_path: Path) -> None:
    (tmp_path / "dumped.yaml").write_text(dump_recipe(load_recipe(name)), encoding="utf-8")
    assert load_recipe(tmp_path / "dumped.yaml") == load_recipe(name)
