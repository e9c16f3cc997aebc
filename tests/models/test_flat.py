"""Flat batches give every example the loss and the gradient it has alone. The oracle is transformers' own
forward on each example."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from flat_models import (
    ALL,
    ATTENDING,
    DECODERS,
    EOS,
    FLAT,
    OTHERS,
    OURS,
    PAD,
    SOME,
    VOCABULARY,
    gradients_of,
    model_of,
    random_rows,
    spread,
    t5gemma,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.models import causal
from openflan.models.causal import Documents, ordinary_attention
from openflan.models.packed import Packing, packed_model, prepare_batch, token_losses
from openflan.models.packing_check import check_packing, packing_of
from openflan.models.staged import Attending
from openflan.models.t5 import PackedT5, relative_bucket
from openflan.packing.encode import Encoded

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@torch.no_grad()
def loss_alone(model: Any, example: Encoded) -> float:
    """The summed loss of an example, by transformers itself."""
    inputs, targets = (
        torch.from_numpy(ids.astype(np.int64))[None] for ids in (example.input_ids, example.target_ids)
    )
    if model.config.is_encoder_decoder:
        start = torch.full_like(targets[:, :1], model.config.decoder_start_token_id)
        logits = model(input_ids=inputs, decoder_input_ids=torch.cat([start, targets[:, :-1]], 1)).logits[0]
    else:
        logits = model(input_ids=torch.cat([inputs, targets], dim=1)).logits[0, inputs.shape[1] - 1 : -1]
    return float(torch.nn.functional.cross_entropy(logits.double(), targets[0], reduction="sum"))


@torch.no_grad()
def _by_example(model: Any, rows: list[list[Encoded]], packing: Packing, **options: Any) -> list[float]:
    losses, segments = token_losses(model, prepare_batch(model, rows, PAD, packing), **options)
    assert losses.dtype == torch.float32
    assert losses.shape == segments.shape
    if packing == "flat":
        return [
            losses[segments == number].double().sum().item() for number in range(1, int(segments.max()) + 1)
        ]
    return [
        row[numbers == number].double().sum().item()
        for row, numbers in zip(losses, segments, strict=True)
        for number in range(1, int(numbers.max()) + 1)
    ]


def compare_losses(model: Any, rows: list[list[Encoded]], packing: Packing, **options: Any) -> None:
    examples = [example for row in rows for example in row]
    found = _by_example(model, rows, packing, **options)
    expected = [loss_alone(model, example) for example in examples]
    assert len(found) == len(examples)
    for number, (loss, alone) in enumerate(zip(found, expected, strict=True)):
        assert abs(loss - alone) <= 1e-5 * max(1.0, alone), f"example {number}: {loss} packed, {alone} alone"


@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", FLAT)
def test_flat_equals_alone(name: str, attending: Attending) -> None:
    compare_losses(model_of(name), SOME, "flat", attending=attending)
    assert packing_of(model_of(name), attending) == "flat"


@pytest.mark.parametrize("name", ALL)
def test_single_examples_equal_alone(name: str) -> None:
    compare_losses(model_of(name), SOME, "none")


@pytest.mark.parametrize("name", OTHERS)
def test_families_without_a_flat_forward_are_exact_with_masks(name: str) -> None:
    assert packing_of(model_of(name)) == "dense"
    compare_losses(model_of(name), SOME, "dense")


def test_an_encoder_decoder_with_windows_is_padded_as_dense_masks_do_not_keep_them() -> None:
    model = t5gemma(("sliding_attention", "full_attention"))
    assert packing_of(model) == "none"
    with pytest.raises(
        InputError,
        match="a model of type t5gemma cannot be packed: a dense mask does not keep its attention windows",
    ):
        check_packing(model)
    compare_losses(model, SOME, "none")


_lengths = st.lists(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 20)), min_size=1, max_size=4),
    min_size=1,
    max_size=3,
)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), lengths=_lengths, chunk=st.sampled_from([0, 1, 7]))
@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", ["untied gated T5", "umT5", "Llama", "Gemma3"])
def test_flat_equals_alone_whatever_the_lengths(
    name: str, attending: Attending, seed: int, lengths: list[list[tuple[int, int]]], chunk: int
) -> None:
    compare_losses(model_of(name), random_rows(seed, lengths), "flat", chunk=chunk, attending=attending)


@pytest.mark.parametrize("name", ALL)
def test_the_loss_of_these_models_is_near_that_of_guessing(name: str) -> None:
    """Losses far from ln V would make the tolerance above mean something else."""
    tokens = sum(len(example.target_ids) for row in SOME for example in row)
    assert (
        0.7 * np.log(VOCABULARY)
        < sum(_by_example(model_of(name), SOME, "none")) / tokens
        < 2 * np.log(VOCABULARY)
    )


def test_a_real_model_has_the_losses_of_its_examples_alone() -> None:
    folder = SHARED / "models" / "babyllama-tok105"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    model = hf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert packing_of(model) == "flat"
    compare_losses(model, SOME, "flat")


def test_models_that_count_positions_over_the_row_get_one_example_a_row() -> None:
    layers = {
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16,
    }
    ends = {
        "pad_token_id": PAD,
        "bos_token_id": 2,
        "eos_token_id": EOS,
        "decoder_start_token_id": EOS,
        "forced_eos_token_id": EOS,
    }
    model = spread(
        hf.BartForConditionalGeneration(
            hf.BartConfig(vocab_size=VOCABULARY, d_model=16, max_position_embeddings=64, **layers, **ends)
        )
    )
    model.train()
    assert packing_of(model) == "none"
    assert model.training
    model.eval()
    compare_losses(model, SOME, "none")


def test_an_attention_argument_that_is_not_known_is_refused() -> None:
    states = torch.zeros(1, 2, 5, 4)
    with pytest.raises(ValueError, match="s_aux"):
        causal.attend_documents(None, states, states, states, None, documents=Documents((0, 5)), s_aux=states)
    with pytest.raises(ValueError, match="no documents"):
        causal.attend_documents(None, states, states, states, None)


def test_a_packed_causal_model_still_generates() -> None:
    model = DECODERS["Llama"]()
    prompt = torch.tensor([[5, 9, 11]])
    before = model.generate(prompt, max_new_tokens=5, do_sample=False)
    root = packed_model(model)
    token_losses(root, prepare_batch(root, SOME, PAD))
    with ordinary_attention(model):
        assert torch.equal(model.generate(prompt, max_new_tokens=5, do_sample=False), before)
    _ = token_losses(root, prepare_batch(root, SOME, PAD))


@torch.no_grad()
@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", ["Llama", "Gemma2"])
def test_inputs_see_one_another_with_a_prefix(name: str, attending: Attending) -> None:
    """The oracle is the example alone under a 4-D mask."""
    model = model_of(name)
    examples = [
        example
        for row in SOME
        for example in row
        if len(example.input_ids) + len(example.target_ids) <= 6 or name == "Llama"
    ]
    found = _by_example(model, [examples], "flat", prefix=True, attending=attending)
    for example, loss in zip(examples, found, strict=True):
        ids = torch.from_numpy(np.concatenate([example.input_ids, example.target_ids]).astype(np.int64))[None]
        inputs, length = len(example.input_ids), ids.shape[1]
        visible = torch.ones(length, length, dtype=torch.bool).tril()
        visible[:inputs, :inputs] = True
        mask = torch.zeros(1, 1, length, length).masked_fill(~visible, torch.finfo(torch.float32).min)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[0, inputs - 1 : -1]
        alone = torch.nn.functional.cross_entropy(logits, ids[0, inputs:], reduction="sum").item()
        assert abs(loss - alone) <= 1e-5 * max(1.0, alone)
    longest = max(range(len(examples)), key=lambda number: len(examples[number].input_ids))
    assert abs(found[longest] - loss_alone(model, examples[longest])) > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("packing", ["flat", "dense"])
def test_the_loss_on_everything_is_that_of_all_tokens_but_the_first(packing: Packing) -> None:
    model = model_of("Llama")
    losses, documents = token_losses(model, prepare_batch(model, [SOME[0]], PAD, packing, everything=True))
    for number, example in enumerate(SOME[0], 1):
        ids = torch.from_numpy(np.concatenate([example.input_ids, example.target_ids]).astype(np.int64))[None]
        alone = float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        assert losses[documents == number].sum().item() == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (8, 12), (32, 64)])
def test_buckets_are_those_of_transformers(bidirectional: bool, buckets: int, far: int) -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    distances = torch.arange(-3000, 3001)
    expected = T5Attention._relative_position_bucket(
        distances, bidirectional=bidirectional, num_buckets=buckets, max_distance=far
    )
    assert torch.equal(
        relative_bucket(distances, bidirectional=bidirectional, buckets=buckets, max_distance=far), expected
    )


@pytest.mark.parametrize("name", OURS)
def test_our_forward_shares_the_parameters(name: str) -> None:
    model = model_of(name)
    assert {id(parameter) for parameter in PackedT5(model).parameters()} == {
        id(parameter) for parameter in model.parameters()
    }


@pytest.mark.slow
@pytest.mark.parametrize("attending", ATTENDING)
def test_our_forward_compiles_without_a_break(attending: Attending) -> None:
    """Over batches of one bucket and of several."""
    model = OURS["untied gated T5"]()
    torch._dynamo.reset()
    root = packed_model(model)
    root.compile(fullgraph=True, dynamic=True)
    for rows in (SOME, SOME[1:], random_rows(7, [[(30, 9), (2, 3)]])):
        batch = prepare_batch(model, rows, PAD)
        expected = gradients_of(model, rows, "flat")
        model.zero_grad()
        losses, _ = token_losses(root, batch, attending=attending)
        (losses * (1 + losses.detach().round())).sum().backward()
        found = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        assert (found - expected).norm() <= 1e-5 * expected.norm()
