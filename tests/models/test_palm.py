"""PaLM's shape against a forward written from the paper's description."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from packed_losses import packed_losses

from openflan.errors import InputError
from openflan.models.load_model import empty_model, load_model, load_pretrained, save_pretrained
from openflan.models.packing_check import packing_of
from openflan.models.palm import is_palm_shaped
from openflan.packing.encode import Encoded
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Model

VOCABULARY = 61
SHAPE = {
    "model_type": "cohere",
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 5,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 64,
    "logit_scale": 48**-0.5,
    "layer_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 0,
}


class Words:
    """As much of a tokenizer as `load_model` asks for."""

    name_or_path = "words"

    def __len__(self) -> int:
        return VOCABULARY


def palm(**changes: Any) -> Any:
    model = load_model(Model(config=SHAPE | changes, tokenizer="words"), Words(), 7).eval()
    with torch.no_grad():
        for name, scale in model.named_parameters():
            if "norm" in name:
                scale.add_(0.2 * torch.randn(scale.shape, generator=torch.Generator().manual_seed(len(name))))
    return model


def reference(
    weights: dict[str, np.ndarray], ids: np.ndarray, heads: int, head: int, width: int, layers: int
) -> np.ndarray:
    """Logits (positions, V) of PaLM as its paper describes it, in float64, head by head and position by
    position.

    y = x + MLP(LN(x)) + Attention(LN(x)); SwiGLU(x) = Swish(x W) * x V, then the third matrix; one head of
    keys and values that all queries share; RoPE turns the channels 2i, 2i + 1 of queries and keys by position
    * 10000^(-2i / head); no biases; logits by the embeddings, over sqrt(width).
    """

    def norm(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return (x - x.mean()) / np.sqrt(x.var() + 1e-6) * scale

    def turned(vector: np.ndarray, position: int) -> np.ndarray:
        pairs = (vector[0::2] + 1j * vector[1::2]) * np.exp(
            1j * position * 10_000.0 ** (-np.arange(0, head, 2) / head)
        )
        return np.stack([pairs.real, pairs.imag], -1).ravel()

    stream = weights["model.embed_tokens.weight"][ids]
    for layer in range(layers):
        part = {
            name.split(f"layers.{layer}.")[1]: value
            for name, value in weights.items()
            if f"layers.{layer}." in name
        }
        normed = np.stack([norm(x, part["input_layernorm.weight"]) for x in stream])
        keys = np.stack([turned(part["self_attn.k_proj.weight"] @ x, at) for at, x in enumerate(normed)])
        values = normed @ part["self_attn.v_proj.weight"].T
        after = stream.copy()
        for at, x in enumerate(normed):
            queries = (part["self_attn.q_proj.weight"] @ x).reshape(heads, head)
            read = []
            for query in queries:
                scores = keys[: at + 1] @ turned(query, at) / np.sqrt(head)
                weight = np.exp(scores - scores.max())
                read.append(weight / weight.sum() @ values[: at + 1])
            gate = part["mlp.gate_proj.weight"] @ x
            mlp = part["mlp.down_proj.weight"] @ (
                gate / (1 + np.exp(-gate)) * (part["mlp.up_proj.weight"] @ x)
            )
            after[at] += part["self_attn.o_proj.weight"] @ np.concatenate(read) + mlp
        stream = after
    last = np.stack([norm(x, weights["model.norm.weight"]) for x in stream])
    return last @ weights["model.embed_tokens.weight"].T / np.sqrt(width)


def doubled(model: Any) -> dict[str, np.ndarray]:
    return {name: value.detach().double().numpy() for name, value in model.named_parameters()}


@torch.no_grad()
def test_a_tiny_palm_computes_what_the_paper_describes() -> None:
    model = palm()
    ids = np.random.default_rng(0).integers(3, VOCABULARY, size=17)
    expected = reference(doubled(model), ids, heads=5, head=16, width=48, layers=3)
    logits = model(input_ids=torch.from_numpy(ids)[None]).logits[0].numpy()
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(expected).max() > 1


@torch.no_grad()
@pytest.mark.parametrize(
    "changed",
    [
        {"logit_scale": 0.25},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}},
        {"use_qk_norm": True},
        {"hidden_act": "gelu"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_the_reference_tells_other_terms_apart(changed: dict[str, Any]) -> None:
    right = palm()
    other = hf.AutoModelForCausalLM.from_config(
        hf.CohereConfig(**({k: v for k, v in SHAPE.items() if k != "model_type"} | changed))
    ).eval()
    other.load_state_dict(right.state_dict(), strict=False)
    ids = np.random.default_rng(0).integers(3, VOCABULARY, size=17)
    expected = reference(doubled(right), ids, heads=5, head=16, width=48, layers=3)
    logits = other(input_ids=torch.from_numpy(ids)[None]).logits[0].numpy()
    assert np.abs(logits - expected).max() > 1e-3 * np.abs(expected).max()


def test_the_shape_has_no_bias_one_norm_a_layer_and_tied_embeddings() -> None:
    names = {name for name, _ in palm().named_parameters()}
    assert not any("bias" in name for name in names)
    assert sum("layers.0." in name and "norm" in name for name in names) == 1
    assert not any("lm_head" in name for name in names)


def test_random_weights_begin_as_in_palm() -> None:
    model = load_model(
        Model(
            config=SHAPE | {"vocab_size": 4_000, "hidden_size": 64, "logit_scale": 0.125}, tokenizer="words"
        ),
        Words(),
        0,
    )
    for name, weight in model.named_parameters():
        expected = 1.0 if "embed" in name else weight.shape[-1] ** -0.5
        if "norm" in name:
            assert torch.equal(weight, torch.ones_like(weight))
        else:
            assert float(weight.detach().std()) == pytest.approx(expected, rel=0.1), name
    same = load_model(
        Model(
            config=SHAPE | {"vocab_size": 4_000, "hidden_size": 64, "logit_scale": 0.125}, tokenizer="words"
        ),
        Words(),
        0,
    )
    assert torch.equal(model.model.embed_tokens.weight, same.model.embed_tokens.weight)


def test_a_cohere_of_another_scale_begins_as_transformers_begins_it() -> None:
    model = load_model(Model(config=SHAPE | {"logit_scale": 0.0625}, tokenizer="words"), Words(), 0)
    assert float(model.model.embed_tokens.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_a_setting_that_the_configuration_does_not_list_is_told_from_a_misspelt_one() -> None:
    assert empty_model(Model(config=SHAPE, tokenizer="words")).config.head_dim == 16
    with pytest.raises(InputError, match="`head_dimension` is not a setting of cohere"):
        empty_model(Model(config=SHAPE | {"head_dimension": 16}, tokenizer="words"))


@torch.no_grad()
def test_an_exported_palm_is_plain_transformers(tmp_path: Path) -> None:
    model = palm()
    save_pretrained(model, tmp_path)
    ids = torch.arange(3, 20)[None]
    for loaded in (hf.AutoModelForCausalLM.from_pretrained(tmp_path), load_pretrained(str(tmp_path))):
        assert type(loaded).__module__.startswith("transformers.")
        assert torch.equal(loaded.eval()(input_ids=ids).logits, model(input_ids=ids).logits)


def rows(*lengths: tuple[int, int]) -> list[list[Encoded]]:
    random = np.random.default_rng(5)
    return [
        [
            Encoded(*(random.integers(3, VOCABULARY, size=size).astype(np.int32) for size in pair))
            for pair in lengths
        ]
    ]


@torch.no_grad()
@pytest.mark.parametrize("chunk", [0, 3])
def test_a_packed_palm_has_the_losses_of_its_examples_alone(chunk: int) -> None:
    model = palm()
    packed = rows((9, 4), (2, 7), (14, 1))
    losses, documents = packed_losses(model, packed, chunk=chunk)
    for index, example in enumerate(packed[0], 1):
        ids = np.concatenate([example.input_ids, example.target_ids])
        logits = reference(doubled(model), ids, heads=5, head=16, width=48, layers=3)[
            len(example.input_ids) - 1 : -1
        ]
        alone = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(logits)), example.target_ids]
        assert np.abs(losses[documents == index].numpy() - alone).max() <= 1e-5 * max(1, alone.max())
    assert packing_of(model) == "flat"


def test_chunks_leave_no_large_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scale is applied before the head, so a vocabulary of 256,000 needs no more memory than a
    chunk's."""
    monkeypatch.setattr(
        "openflan.models.causal.token_cross_entropy", lambda *_, **__: pytest.fail("all logits at once")
    )
    model = palm()
    assert len(packed_losses(model, rows((9, 4)), chunk=2)[0]) == 4


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("flan-palm-8b", 8.63),
        ("flan-palm-62b", 62.50),
        ("flan-cont-palm-62b", 62.50),
        ("flan-palm-540b", 540.35),
    ],
)
def test_presets_have_the_parameters_that_palm_states(name: str, billions: float) -> None:
    """Chowdhery et al. 2022, Table 1, counted on the model itself; its figures are those of the matrices, as
    540B with norms would round to 540.36."""
    model = empty_model(load_recipe(f"shapes/{name}").model)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert (
        round(sum(parameter.numel() for parameter in model.parameters() if parameter.ndim == 2) / 1e9, 2)
        == billions
    )
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e9 == pytest.approx(
        billions, abs=0.007
    )
    assert model.config.logit_scale == pytest.approx(model.config.hidden_size**-0.5)
    assert model.model.layers[0].self_attn.head_dim == 256


def test_the_tiny_recipe_has_the_terms_of_the_large_ones() -> None:
    tiny, large = (load_recipe(name).model.config or {} for name in ("palm-tiny", "shapes/flan-palm-540b"))
    assert tiny.keys() == large.keys()
    assert {key for key in tiny if tiny[key] == large[key]} >= {
        "model_type",
        "num_key_value_heads",
        "layer_norm_eps",
        "rope_parameters",
        "tie_word_embeddings",
    }
    assert tiny["num_attention_heads"] * tiny["head_dim"] != tiny["hidden_size"]
    assert is_palm_shaped(empty_model(load_recipe("palm-tiny").model).config)
