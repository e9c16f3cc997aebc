"""Former spellings of recipe keys and values are read for one version, with one warning each."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.recipe.load_recipe import (
    dump_recipe,
    load_any_recipe,
    load_pretrain_recipe,
    load_recipe,
    recipe_from,
)
from openflan.recipe.renamed import with_present_names

RECIPE = """\
name: former
model: {base: "embedded:microflan-tiny"}
mixture: {submixtures: {microflan: {}}}
training:
  steps: 1
  loss_on: everything
"""


def caught(load: Any) -> tuple[Any, list[str]]:
    """The result of a call, and the messages of its warnings."""
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        result = load()
    return result, [str(warning.message) for warning in raised]


def test_a_recipe_with_loss_on_everything_loads_as_full_sequence_with_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "former.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    recipe, messages = caught(lambda: load_recipe(path))
    assert recipe.training.loss_on == "full_sequence"
    assert len(messages) == 1
    assert (
        f"{path}:6: `training.loss_on: everything` is now called `training.loss_on: full_sequence`"
        in (messages[0])
    )
    # What is written by this version has the present name and loads without a warning.
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert caught(lambda: load_any_recipe(path)) == (recipe, [])


def test_an_override_and_a_pretraining_recipe_may_have_the_former_value() -> None:
    recipe, messages = caught(lambda: load_recipe("flan-t5-small", ["training.loss_on=everything"]))
    assert recipe.training.loss_on == "full_sequence"
    assert ["override `training.loss_on=everything`: " in message for message in messages] == [True]
    overrides = ["pretraining.data=embedded:microflan", "training.loss_on=everything"]
    pretraining, messages = caught(lambda: load_pretrain_recipe("lm-adapt-t5", overrides))
    assert (pretraining.training.loss_on, len(messages)) == ("full_sequence", 1)


@pytest.mark.parametrize("value", ["targets", "full_sequence"])
def test_present_values_give_no_warning(value: str) -> None:
    recipe, messages = caught(lambda: load_recipe("flan-t5-small", [f"training.loss_on={value}"]))
    assert (recipe.training.loss_on, messages) == (value, [])


@pytest.mark.parametrize("value", ["Everything", "all", "[everything]", "{everything: 1}", "null"])
def test_values_that_were_never_allowed_are_still_refused(value: str) -> None:
    with pytest.raises(InputError, match=r"`training\.loss_on`"):
        load_recipe("flan-t5-small", [f"training.loss_on={value}"])


@pytest.mark.parametrize("training", [None, 3, "x", [], ["loss_on"]])
def test_a_section_of_another_kind_is_refused_by_the_check(training: Any) -> None:
    values = {"name": "x", "model": {"base": "b"}, "mixture": {"submixtures": {"microflan": {}}}}
    with pytest.raises(InputError, match="`training`"):
        recipe_from(values | {"training": training}, "made up")


NAMES = st.text("abc", min_size=1, max_size=3)


@given(
    st.dictionaries(NAMES, st.dictionaries(st.sampled_from(["old", "new", "x"]), st.integers()), max_size=4)
)
def test_keys_below_names_of_the_user_move_unless_the_present_key_is_there(
    sections: dict[str, dict[str, int]],
) -> None:
    before = {name: dict(section) for name, section in sections.items()}
    values = {"group": sections}
    moved, messages = caught(
        lambda: with_present_names(values, ".".join, keys={"group.*.old": "new"}, options={})
    )
    renamed = [name for name, section in before.items() if "old" in section and "new" not in section]
    assert moved == {("group", name, "old"): ("group", name, "new") for name in renamed}
    assert len(messages) == len(renamed)
    for name, section in before.items():
        expected = {("new" if key == "old" else key): value for key, value in section.items()}
        assert sections[name] == (expected if name in renamed else section)
