"""Table 2's finetuning column from Table 22's settings."""

import pytest

from openflan.recipe.load_recipe import load_recipe, planning_recipes
from openflan.recipe.presets import PARAMETERS
from openflan.training.flops import device_hours, recipe_flops, step_tokens, training_flops

TABLE_2 = {
    "flan-t5-small": 2.9e18,
    "flan-t5-base": 9.1e18,
    "flan-t5-large": 2.4e19,
    "flan-t5-xl": 5.6e19,
    "flan-t5-xxl": 7.6e19,
    "flan-palm-8b": 1.6e20,
    "flan-palm-62b": 1.2e21,
    "flan-palm-540b": 5.6e21,
    "flan-cont-palm-62b": 1.8e21,
}
U_PALM = 5.6e21


def flops(name: str, **changed: int) -> float:
    shape = f"shapes/{name}"
    recipe = load_recipe(
        shape if shape in planning_recipes() else name,
        [f"training.{key}={value}" for key, value in changed.items()],
    )
    return recipe_flops(recipe, PARAMETERS[name], encoder_decoder="t5" in name)


def test_all_models_of_the_table_are_there() -> None:
    assert set(PARAMETERS) == {*TABLE_2, "flan-u-palm-540b"}


@pytest.mark.parametrize("name", TABLE_2)
def test_the_finetuning_column_is_reproduced(name: str) -> None:
    """To the two digits that the table prints."""
    assert f"{flops(name):.1e}" == f"{TABLE_2[name]:.1e}"


def test_the_last_row_is_of_fewer_steps_than_table_22_states() -> None:
    assert f"{flops('flan-u-palm-540b'):.1e}" == "8.0e+21"
    assert f"{flops('flan-u-palm-540b', steps=21_000):.1e}" == f"{U_PALM:.1e}"


def test_an_encoder_decoder_takes_half_and_a_step_counts_both_sides() -> None:
    assert training_flops(2.0, 5.0, encoder_decoder=True) == 30.0
    assert training_flops(2.0, 5.0, encoder_decoder=False) == 60.0
    assert step_tokens(load_recipe("flan-t5-xl")) == 64 * (2048 + 512)


def test_hours_on_a_device() -> None:
    assert device_hours(3.6e18, peak=1e15, utilisation=0.5) == pytest.approx(2.0)
