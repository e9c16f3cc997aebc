"""Rates and caps of submixtures and of their parts, and the licence filter, as a recipe states them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from openflan.errors import InputError
from openflan.mixture.rates import cap_of, rate_group, relative_rates
from openflan.recipe.load_recipe import dump_recipe, load_recipe, recipe_from
from openflan.recipe.presets import CAPS, PARTS, PRESET_CAPS, RATES
from openflan.recipe.schema import Mixture

ALL = {"muffin": {}, "t0_sf": {}, "niv2": {}, "cot": {}}


def mixture(**keys: object) -> Mixture:
    return Mixture.model_validate({"submixtures": ALL, **keys})


def test_the_release_has_the_rates_of_its_own_example() -> None:
    assert RATES["release"] == {
        "muffin/flan2021": 40,
        "muffin/dialog": 3,
        "muffin/program_synthesis": 0,
        "t0_sf": 32,
        "niv2": 20,
        "cot": 5,
    }
    assert sum(RATES["release"].values()) == 100
    assert PRESET_CAPS == {"release": {"muffin/dialog": 200_000, "niv2": None}}
    assert {group.partition("/")[2] for group in RATES["release"] if "/" in group} == set(PARTS["muffin"])


def test_a_preset_brings_caps_which_the_recipe_may_change() -> None:
    release = mixture(rates="release")
    assert [
        cap_of(release, group) for group in ("muffin/flan2021", "muffin/dialog", "t0_sf", "niv2", "cot")
    ] == [30_000, 200_000, 20_000, None, 100_000]
    for preset in ("proportion-a", "proportion-b", None, {"muffin": 1, "t0_sf": 1, "niv2": 1, "cot": 1}):
        assert {group: cap_of(mixture(rates=preset), group) for group in CAPS} == dict(CAPS)
    recipe_mixture = mixture(rates="release", submixtures={**ALL, "muffin": {"cap": 7}, "niv2": {"cap": 9}})
    assert [cap_of(recipe_mixture, group) for group in ("muffin/flan2021", "muffin/dialog", "niv2")] == [
        7,
        7,
        9,
    ]


def test_groups_are_the_parts_that_have_a_rate() -> None:
    release = mixture(rates="release")
    assert rate_group(release, "muffin", "dialog") == "muffin/dialog"
    assert rate_group(release, "cot") == "cot"
    assert rate_group(release, "muffin") is None, "no rate for what belongs to no part"
    own = mixture(rates={"muffin/dialog": 1, "muffin": 2, "t0_sf": 1, "niv2": 1, "cot": 1})
    assert [rate_group(own, "muffin", part) for part in ("dialog", "flan2021", None)] == [
        "muffin/dialog",
        "muffin",
        "muffin",
    ]
    assert rate_group(mixture(), "muffin", "dialog") == "muffin"


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        (
            {"muffin/dialogue": 1, "t0_sf": 1, "niv2": 1, "cot": 1},
            "`muffin/dialogue` is not a part of muffin; its parts: flan2021, dialog, program_synthesis",
        ),
        (
            {"cot/gsm8k": 1, "muffin": 1, "t0_sf": 1, "niv2": 1},
            "`cot/gsm8k` is not a part of cot; it has none",
        ),
        ({"muffin/dialog": 1, "own": 1, "t0_sf": 1, "niv2": 1}, "name different things: own, cot"),
        ({"muffin/dialog": 0, "t0_sf": 0, "niv2": 0, "cot": 0}, "`rates` sum to 0"),
    ],
)
def test_rates_that_fit_nothing_are_refused(rates: dict[str, float], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        mixture(rates=rates)
    assert says in str(caught.value)


def test_licences_are_a_list_or_one_name() -> None:
    assert mixture().licences is None
    assert mixture(licences="mit").licences == ["mit"]
    assert mixture(licences=["mit", "cc-by-*"]).licences == ["mit", "cc-by-*"]
    with pytest.raises(ValidationError):
        mixture(licences=[])


def test_a_recipe_with_parts_and_licences_is_dumped_and_loaded(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    values = {
        "name": "x",
        "model": {"base": "a"},
        "mixture": {"submixtures": {"muffin": {}}, "rates": {"muffin/dialog": 1, "muffin/flan2021": 2}},
        "training": {"steps": 1},
    }
    recipe = recipe_from(values, "here", ["mixture.licences=[mit]", "mixture.rates.muffin/dialog=3"])
    assert relative_rates(recipe.mixture) == {"muffin/dialog": 3, "muffin/flan2021": 2}
    path = tmp_path_factory.mktemp("recipe") / "x.yaml"
    path.write_text(dump_recipe(recipe))
    assert load_recipe(path) == recipe
    with pytest.raises(InputError, match=r"`mixture\.licences`: expected at least one"):
        recipe_from(values, "here", ["mixture.licences=[]"])


def test_the_packaged_recipe_is_the_papers() -> None:
    recipe = load_recipe("flan-2022")
    assert list(recipe.mixture.submixtures) == ["muffin", "t0_sf", "niv2", "cot"]
    assert recipe.mixture.rates == "proportion-b"
    assert {name: cap_of(recipe.mixture, name) for name in CAPS} == dict(CAPS)
    assert recipe.mixture.held_out == ["mmlu"]
    assert all(submixture.data is None for submixture in recipe.mixture.submixtures.values())
    assert (
        recipe.training.steps,
        recipe.training.batch_size,
        recipe.training.learning_rate,
        recipe.model.dropout,
    ) == (84_000, 64, 5e-4, 0.05), "Table 22"
