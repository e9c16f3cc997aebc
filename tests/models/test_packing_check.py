"""What the start-up check of packing accepts and what it finds, on tiny models of many families."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from tiny_families import CARRYING, FLAT, NOT_FLAT, SHARED, tiny

from openflan.errors import InputError
from openflan.models import causal, packed, packing_check
from openflan.models.packing_check import check_packing, chosen_packing
from openflan.models.probe import WINDOW, probe_of
from openflan.recipe.schema import Model
from openflan.training.finetune import packing_for

SECTION = Model(config={"model_type": "llama"}, tokenizer="words")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", CARRYING)
def test_layers_that_carry_state_are_padded_with_the_reason(name: str) -> None:
    model = tiny(CARRYING[name])
    with pytest.warns(
        UserWarning,
        match="carry state from one document into the next. Every example is a sequence of its own",
    ):
        assert packing_for(model, SECTION, False, "documents") == "none"
    with pytest.raises(InputError, match="carry state from one document into the next.*--strict"):
        packing_for(model, SECTION, True, "documents")


@pytest.mark.parametrize("name", ["LFM2", "Qwen3-Next", "Falcon-H1", "Bamba", "Jamba", "MiniMax"])
def test_the_losses_find_carried_state_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the fast refusal: without it the comparison itself refuses each of them."""
    monkeypatch.setattr(packing_check, "recurrent_layer", lambda model: None)
    model = tiny(CARRYING[name])
    for packing in ("flat", "dense"):
        with pytest.raises(InputError, match="cannot be packed"):
            check_packing(model, packing)


@pytest.mark.parametrize("name", FLAT)
def test_families_that_pack_still_do(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert packing_for(tiny(FLAT[name]), SECTION, False, "documents") == "flat"


@pytest.mark.parametrize("name", NOT_FLAT)
def test_attention_functions_of_a_models_own_get_masks(name: str) -> None:
    chosen = chosen_packing(tiny(NOT_FLAT[name]))
    assert chosen.packing == NOT_FLAT[name][3]
    assert all("cannot be packed" in reason for reason in chosen.reasons)


@pytest.mark.parametrize(
    "model",
    [
        lambda: hf.BertLMHeadModel(hf.BertConfig(**SHARED)),
        lambda: hf.RobertaForCausalLM(hf.RobertaConfig(**SHARED)),
    ],
    ids=["BERT", "RoBERTa"],
)
def test_an_encoder_is_refused_in_one_line(model: Any) -> None:
    with pytest.raises(InputError, match="is an encoder") as caught:
        packing_for(model(), SECTION, False, "documents")
    assert "\n" not in str(caught.value)


def test_the_same_family_as_a_decoder_is_not_refused_as_an_encoder() -> None:
    assert chosen_packing(hf.BertLMHeadModel(hf.BertConfig(**SHARED, is_decoder=True))).packing in (
        "flat",
        "dense",
        "none",
    )


def test_probes_have_every_kind_of_layer_and_narrow_windows() -> None:
    model = tiny(FLAT["Gemma 3"])
    probe = probe_of(model)
    assert (
        set(probe.config.layer_types)
        == set(model.config.layer_types)
        == {"sliding_attention", "full_attention"}
    )
    assert probe.config.sliding_window == WINDOW < min(sum(pair) for pair in packing_check._LENGTHS[:2])
    assert model.config.sliding_window == 512
    assert len(probe.model.layers) == 6 < len(model.model.layers)


def _leaking(share: float) -> Any:
    attend = causal.attend_documents

    def leak(module: Any, query: Any, key: Any, value: Any, mask: Any, **others: Any) -> Any:
        attended, _ = attend(module, query, key, value, mask, **others)
        groups = query.shape[1] // value.shape[1]
        return attended + share * value.mean(2, keepdim=True).repeat_interleave(groups, 1).transpose(
            1, 2
        ), None

    return leak


@pytest.mark.parametrize("share", [1.0, 0.01, 0.001])
def test_a_small_leak_is_found(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousandth of what other documents say moved the sum of losses by less than the former check
    allowed."""
    model = tiny(FLAT["Qwen3"])
    check_packing(model, "flat")
    monkeypatch.setattr(causal, "attend_documents", _leaking(share))
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat")


@pytest.mark.parametrize("name", ["Mistral", "Gemma 3", "Exaone 4"])
def test_a_window_that_is_not_kept_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, visible = tiny(FLAT[name]), causal._visible
    check_packing(model, "flat")
    monkeypatch.setattr(
        causal, "_visible", lambda length, prefix, window, device: visible(length, prefix, None, device)
    )
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat", attending="documents")


def test_a_window_one_token_too_wide_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model, visible = tiny(FLAT["Mistral"]), causal._visible
    monkeypatch.setattr(
        causal,
        "_visible",
        lambda length, prefix, window, device: visible(length, prefix, window and window + 1, device),
    )
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat", attending="documents")


def test_positions_that_do_not_restart_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    flat_batch = packed.flat_causal_batch

    def running(rows: Any, **others: Any) -> Any:
        batch = flat_batch(rows, **others)
        return dataclasses.replace(
            batch, positions_L=np.arange(len(batch.positions_L), dtype=batch.positions_L.dtype)
        )

    model = tiny(FLAT["GPT-2"])
    check_packing(model, "flat")
    monkeypatch.setattr(packed, "flat_causal_batch", running)
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat")


def test_a_gradient_that_leaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses stay as they are; only the backward mixes documents."""

    class Mixing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, states: Any) -> Any:
            return states.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient + 0.01 * gradient.mean(1, keepdim=True)

    attend = causal.attend_documents
    monkeypatch.setattr(
        causal,
        "attend_documents",
        lambda *inputs, **others: (Mixing.apply(attend(*inputs, **others)[0]), None),
    )
    with pytest.raises(InputError, match="other gradients"):
        check_packing(tiny(FLAT["Qwen3"]), "flat")


def test_the_check_leaves_the_model_as_it_was() -> None:
    model = tiny(FLAT["Gemma 2"]).train()
    config, weights = (
        model.config.to_dict(),
        {name: value.clone() for name, value in model.state_dict().items()},
    )
    attention, state = model.config._attn_implementation, torch.get_rng_state()
    assert chosen_packing(model).packing == "flat"
    assert model.training
    assert model.config.to_dict() == config
    assert model.config._attn_implementation == attention
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
