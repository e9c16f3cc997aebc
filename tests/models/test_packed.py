"""Packed equals unpacked: the oracle is transformers' own loss on each example alone."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from openflan.errors import InputError
from openflan.models.packed import DenseMask, LossOptions
from openflan.models.packing_check import check_packing
from openflan.packing.batch import CausalBatch, PackedBatch, Seq2SeqBatch, causal_batch, seq2seq_batch
from openflan.packing.encode import Encoded

VOCABULARY, PAD, EOS = 61, 0, 1


def _spread(model: Any) -> Any:
    """Attention sharp enough for a leak to show, and a head that leaves the loss near ln V."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "relative_attention_bias" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            elif parameter.ndim == 2:
                parameter.copy_(
                    torch.randn(parameter.shape, generator=generator) * parameter.shape[1] ** -0.5
                )
            elif parameter.ndim == 1:
                parameter.copy_(1 + 0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def _t5(**settings: Any) -> Any:
    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=24,
        d_kv=8,
        d_ff=40,
        num_layers=2,
        num_heads=3,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=12,
        dropout_rate=0.1,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=PAD,
        **settings,
    )
    return T5ForConditionalGeneration(config)


def tied_t5() -> Any:
    model = _spread(_t5())
    assert model.lm_head.weight is model.shared.weight
    return model


def untied_gated_t5() -> Any:
    model = _t5(feed_forward_proj="gated-gelu")
    model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
    model = _spread(model)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.5)
    model.config.tie_word_embeddings = False
    assert model.lm_head.weight is not model.shared.weight
    return model


def grouped_llama() -> Any:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        attention_dropout=0.1,
        pad_token_id=None,
        bos_token_id=2,
        eos_token_id=EOS,
    )
    return _spread(LlamaForCausalLM(config))


MODELS: dict[str, Callable[[], Any]] = {
    "tied T5": tied_t5,
    "untied gated T5": untied_gated_t5,
    "grouped Llama": grouped_llama,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small gain nothing from threads, and lose much where other processes hold the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> Any:
    return MODELS[request.param]()


def _example(random: np.random.Generator, inputs: int, targets: int) -> Encoded:
    ids = (
        np.append(random.integers(3, VOCABULARY, size=size - 1), EOS).astype(np.int32)
        for size in (inputs, targets)
    )
    return Encoded(*ids)


def _rows(seed: int, lengths: list[list[tuple[int, int]]]) -> list[list[Encoded]]:
    random = np.random.default_rng(seed)
    return [[_example(random, *pair) for pair in row] for row in lengths]


SOME = _rows(0, [[(9, 4), (14, 7), (3, 2)], [(1, 1), (20, 12)], [(6, 3)]])


def _batch(model: Any, rows: list[list[Encoded]]) -> PackedBatch:
    return (
        seq2seq_batch(rows, pad_id=PAD, start_id=PAD)
        if model.config.is_encoder_decoder
        else causal_batch(rows, pad_id=PAD)
    )


@torch.no_grad()
def _packed(model: Any, batch: PackedBatch) -> dict[tuple[int, int], float]:
    """The summed loss of each segment, by (row, segment)."""
    losses, segments = DenseMask(model, LossOptions()).losses(batch)
    assert losses.dtype == torch.float32
    assert losses.shape == segments.shape
    places = {
        (row, int(segment))
        for row in range(len(segments))
        for segment in segments[row].unique()
        if segment > 0
    }
    return {
        (row, segment): losses[row][segments[row] == segment].double().sum().item() for row, segment in places
    }


@torch.no_grad()
def _alone(model: Any, example: Encoded) -> float:
    """The summed loss of an example, by transformers itself: no mask, no packing, no shift of ours."""
    inputs, targets = (
        torch.from_numpy(ids.astype(np.int64))[None] for ids in (example.input_ids, example.target_ids)
    )
    if model.config.is_encoder_decoder:
        return float(model(input_ids=inputs, labels=targets).loss) * targets.shape[1]
    labels = torch.cat([torch.full_like(inputs, -100), targets], dim=1)
    return float(model(input_ids=torch.cat([inputs, targets], dim=1), labels=labels).loss) * targets.shape[1]


def _compare(model: Any, rows: list[list[Encoded]]) -> None:
    packed = _packed(model, _batch(model, rows))
    assert packed.keys() == {
        (index, segment) for index, row in enumerate(rows) for segment in range(1, len(row) + 1)
    }
    for (row, segment), loss in packed.items():
        alone = _alone(model, rows[row][segment - 1])
        assert abs(loss - alone) <= 1e-5 * max(1.0, alone), (
            f"row {row}, example {segment}: {loss} packed, {alone} alone"
        )


def test_packed_equals_alone(model: Any) -> None:
    _compare(model, SOME)


_lengths = st.lists(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 12)), min_size=1, max_size=4),
    min_size=1,
    max_size=3,
)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**16), lengths=_lengths)
@pytest.mark.parametrize("name", MODELS)
def test_packed_equals_alone_whatever_the_lengths(
    name: str, seed: int, lengths: list[list[tuple[int, int]]]
) -> None:
    _compare(_cached(name), _rows(seed, lengths))


_CACHE: dict[str, Any] = {}


def _cached(name: str) -> Any:
    """Hypothesis runs a test many times within one fixture; a model is made once."""
    if name not in _CACHE:
        _CACHE[name] = MODELS[name]()
    return _CACHE[name]


def test_the_loss_of_these_models_is_near_that_of_guessing(model: Any) -> None:
    """Losses far from ln V would make the tolerance above mean something else."""
    tokens = sum(len(example.target_ids) for row in SOME for example in row)
    mean = sum(_packed(model, _batch(model, SOME)).values()) / tokens
    assert 0.8 * np.log(VOCABULARY) < mean < 1.4 * np.log(VOCABULARY)


def _merged(batch: PackedBatch) -> PackedBatch:
    """The same tokens, all said to be one example."""
    if isinstance(batch, Seq2SeqBatch):
        return dataclasses.replace(
            batch,
            input_segments_RE=np.minimum(batch.input_segments_RE, 1),
            target_segments_RD=np.minimum(batch.target_segments_RD, 1),
        )
    return dataclasses.replace(batch, segments_RL=np.minimum(batch.segments_RL, 1))


@torch.no_grad()
def test_without_segments_examples_do_see_each_other(model: Any) -> None:
    """Negative control: the segments are what keeps the losses apart."""
    batch = _batch(model, SOME)
    _, segments = DenseMask(model, LossOptions()).losses(batch)
    leaking, _ = DenseMask(model, LossOptions()).losses(_merged(batch))
    packed = _packed(model, batch)
    merged = {
        (row, segment): leaking[row][segments[row] == segment].double().sum().item()
        for row, segment in packed
    }
    # The first example of a causal row sees nothing before it, so it alone may stay as it is.
    differ = {
        index: abs(merged[index] - packed[index])
        for index in packed
        if len(SOME[index[0]]) > 1 and (index[1] > 1 or isinstance(batch, Seq2SeqBatch))
    }
    assert len(differ) >= 3
    assert min(differ.values()) > 1e-3


@torch.no_grad()
def test_positions_that_do_not_restart_change_a_causal_loss_not_at_all_or_by_rounding() -> None:
    """Rotary positions are relative: only the mask tells examples apart, and this says that the restart does
    no harm."""
    model = grouped_llama()
    batch = causal_batch(SOME, pad_id=PAD)
    running = dataclasses.replace(
        batch,
        positions_RL=np.broadcast_to(np.arange(batch.positions_RL.shape[1]), batch.positions_RL.shape).copy(),
    )
    assert torch.allclose(
        DenseMask(model, LossOptions()).losses(batch)[0],
        DenseMask(model, LossOptions()).losses(running)[0],
        atol=1e-4,
    )


def _wider(batch: PackedBatch, by: int) -> PackedBatch:
    def pad(array: Any, value: int) -> Any:
        return np.pad(array, ((0, 0), (0, by)), constant_values=value)

    values = {"labels_RL": -100}
    return dataclasses.replace(
        batch,
        **{
            field.name: pad(getattr(batch, field.name), values.get(field.name, 0))
            for field in dataclasses.fields(batch)
        },
    )


@pytest.mark.parametrize("by", [1, 40])
def test_padding_does_not_matter(model: Any, by: int) -> None:
    batch = _batch(model, SOME)
    narrow, wide = _packed(model, batch), _packed(model, _wider(batch, by))
    assert narrow.keys() == wide.keys()
    assert max(abs(narrow[place] - wide[place]) / max(1.0, narrow[place]) for place in narrow) <= 1e-5


def test_what_stands_in_the_padding_does_not_matter(model: Any) -> None:
    batch = _batch(model, SOME)
    if isinstance(batch, CausalBatch):
        other: PackedBatch = dataclasses.replace(
            batch, input_ids_RL=np.where(batch.segments_RL == 0, 33, batch.input_ids_RL)
        )
    else:
        other = dataclasses.replace(
            batch,
            input_ids_RE=np.where(batch.input_segments_RE == 0, 33, batch.input_ids_RE),
            decoder_ids_RD=np.where(batch.target_segments_RD == 0, 34, batch.decoder_ids_RD),
            target_ids_RD=np.where(batch.target_segments_RD == 0, 35, batch.target_ids_RD),
        )
    expected, losses = _packed(model, batch), _packed(model, other)
    assert max(abs(expected[place] - losses[place]) / max(1.0, expected[place]) for place in expected) <= 1e-5


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_gradients_are_numbers_and_those_of_the_examples_alone(
    model: Any, attention: str, precision: torch.dtype
) -> None:
    """Inputs that fill their row beside targets that do not: the padded targets have no key of their own, and
    must not turn into NaN."""
    full = _rows(1, [[(16, 3)], [(8, 2), (8, 4)]])
    model.set_attn_implementation(attention)
    try:
        gradients = []
        for rows in (full, [[example] for row in full for example in row]):
            model.zero_grad()
            with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
                losses, _ = DenseMask(model, LossOptions()).losses(_batch(model, rows))
            losses.sum().backward()
            gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    finally:
        model.set_attn_implementation("sdpa")
        model.zero_grad()
    packed, alone = gradients
    assert packed.isfinite().all()
    assert (packed - alone).norm() <= (1e-5 if precision == torch.float32 else 0.05) * alone.norm()


def test_no_token_is_left_without_anything_to_attend_to(model: Any) -> None:
    """On an accelerator in bfloat16 such a row of scores is minus infinity throughout, and its softmax
    NaN."""
    masks = []

    def note(module: Any, inputs: Any, settings: dict[str, Any]) -> None:
        masks.extend(
            value
            for value in settings.values()
            if isinstance(value, torch.Tensor) and value.ndim == 4 and value.is_floating_point()
        )

    hooks = [
        part.register_forward_pre_hook(note, with_kwargs=True)
        for part in ([model, model.get_encoder()] if model.config.is_encoder_decoder else [model])
    ]
    for rows in (SOME, _rows(1, [[(16, 3)], [(8, 2), (8, 4)]])):
        _packed(model, _batch(model, rows))
    for hook in hooks:
        hook.remove()
    assert len(masks) >= (6 if model.config.is_encoder_decoder else 2)
    assert all((mask == 0).any(dim=-1).all() for mask in masks)


def test_architectures_that_pack_are_let_through(model: Any) -> None:
    model.train()
    check_packing(model)
    assert model.training
    model.eval()
    check_packing(model)
    assert not model.training


def test_positions_that_are_counted_over_the_row_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """BART has absolute positions, which its own forward does not restart with an example."""
    config = BartConfig(
        vocab_size=VOCABULARY,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=64,
        pad_token_id=PAD,
        bos_token_id=2,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        forced_eos_token_id=EOS,
    )
    model = _spread(BartForConditionalGeneration(config))
    check_packing(model)
    monkeypatch.setattr("openflan.models.dense.restarting_positions", lambda *inputs: nullcontext())
    with pytest.raises(InputError, match="a model of type bart cannot be packed exactly"):
        check_packing(model)


def test_a_model_that_takes_no_dense_mask_is_refused() -> None:
    class Odd(torch.nn.Module):
        config = LlamaConfig(vocab_size=VOCABULARY)
        dtype = torch.float32

        def __init__(self) -> None:
            super().__init__()
            self.embeddings = torch.nn.Embedding(VOCABULARY, 4)

        def get_input_embeddings(self) -> torch.nn.Module:
            return self.embeddings

        def forward(self, **inputs: Any) -> None:
            raise ValueError("too many values to unpack")

    with pytest.raises(InputError, match="a model of type llama cannot be packed: no small copy of it"):
        check_packing(Odd())
