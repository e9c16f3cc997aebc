"""Folders of adapters by others: read without a model library, and refused where they are no plain LoRA or
have no base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.models.adapter_folder import TAKEN, adapter_settings
from openflan.models.folder import base_folder, described_in, model_folder, weight_files
from openflan.recipe.load_recipe import recipe_from

TINY = "embedded:microflan-tiny"
PLAIN: dict[str, Any] = {
    "peft_type": "LORA",
    "base_model_name_or_path": TINY,
    "r": 8,
    "lora_alpha": 16,
    "target_modules": ["q", "v"],
    "bias": "none",
    "init_lora_weights": True,
    "megatron_core": "megatron.core",
    "loftq_config": {},
}


def folder_of(path: Path, *, weights: bool = True, **changes: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "adapter_config.json").write_text(json.dumps(PLAIN | changes))
    if weights:
        (path / "adapter_model.safetensors").write_bytes(b"")
    return path


def test_an_adapter_has_its_own_weights_and_those_of_its_base(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "adapter")
    assert model_folder(str(folder)) == folder
    base = base_folder(folder)
    assert described_in(folder) == base
    assert weight_files(folder) == [folder / "adapter_model.safetensors", *weight_files(base)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_model_name_or_path": None}, "an adapter without a base"),
        ({"base_model_name_or_path": ""}, "an adapter without a base"),
        ({"base_model_name_or_path": "/no/such/folder"}, "an adapter without its base: .*Put the base back"),
        ({"base_model_name_or_path": "embedded:microflan-tin"}, "did you mean"),
        ({"peft_type": "IA3"}, "an adapter of kind 'IA3', expected LORA"),
        ({"use_dora": True}, "`use_dora` is set to true"),
        ({"modules_to_save": ["lm_head"]}, "`modules_to_save` is set"),
        ({"megatron_config": {"a": 1}}, "`megatron_config` is set"),
        ({"init_lora_weights": "pissa"}, "`init_lora_weights` is set"),
        ({"bias": "all"}, "`bias` is set"),
        ({"r": 0}, "`r` is 0, expected a rank"),
        ({"r": True}, "`r` is true, expected a rank"),
        ({"r": "8"}, '`r` is "8", expected a rank'),
    ],
)
def test_other_adapters_are_refused_in_one_line(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        model_folder(str(folder_of(tmp_path / "adapter", **changes)))
    assert "\n" not in str(caught.value)


def test_an_adapter_without_weights_or_of_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"an adapter without adapter_model.safetensors"):
        model_folder(str(folder_of(tmp_path / "bare", weights=False)))
    inner = folder_of(tmp_path / "inner")
    with pytest.raises(InputError, match="is an adapter too"):
        model_folder(str(folder_of(tmp_path / "outer", base_model_name_or_path=str(inner))))
    itself = tmp_path / "itself"
    with pytest.raises(InputError, match="is an adapter too"):
        model_folder(str(folder_of(itself, base_model_name_or_path=str(itself))))
    (inner / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="two models; remove"):
        model_folder(str(inner))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)


@given(name=st.text(min_size=1, max_size=12) | st.sampled_from([*TAKEN, *PLAIN]), value=_VALUES)
@settings(max_examples=60, deadline=None)
def test_any_setting_is_taken_or_refused_in_one_line(
    name: str, value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = folder_of(tmp_path_factory.mktemp("adapter"), **{name: value})
    refusal = ""
    try:
        assert set(adapter_settings(folder)) <= set(TAKEN)
    except InputError as error:
        refusal = str(error)
    assert "\n" not in refusal


def values_of(**model: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "model": {"base": TINY, **model},
        "mixture": {"submixtures": {"own": {"data": "rows.jsonl"}}},
        "training": {"steps": 5},
    }


def test_a_recipe_with_an_adapter_is_trained_by_adamw() -> None:
    assert recipe_from(values_of(adapter={}), "the test").training.optimizer == "adamw"
    assert recipe_from(values_of(), "the test").training.optimizer == "adafactor"
    chosen = recipe_from(values_of(), "the test", ["model.adapter.rank=8"]).model.adapter
    assert chosen is not None
    assert (chosen.rank, chosen.scale_alpha, chosen.targets) == (8, 16.0, "all-linear")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.adapter.rank=0"], "model.adapter.rank"),
        (["model.adapter.rank=-2"], "model.adapter.rank"),
        (["model.adapter.alpha=0"], "model.adapter.alpha"),
        (["model.adapter.targets=[]"], "`targets` is empty"),
        (["model.adapter.ranks=3"], "did you mean `rank`"),
        (["model.adapter.rank=8", "training.optimizer=adafactor"], "set training.optimizer=adamw"),
        (["model.export_dtype=int8"], "model.export_dtype"),
        (
            ["model.adapter.rank=8", "model.base=null", "model.config.model_type=t5"],
            "needs a pretrained `base`",
        ),
    ],
)
def test_keys_that_cannot_be_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipe_from(values_of(tokenizer=TINY), "the test", overrides)
