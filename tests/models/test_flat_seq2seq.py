"""Encoder-decoders beside T5 in packed sequences: windows on both sides, positions that restart, one softmax
over two sides. The oracle is transformers' own forward on each document alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from flat_families import ATTENDING, EOS, bart, random_sequences, t5gemma, t5gemma2
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_losses import packed_losses

from openflan.errors import InputError
from openflan.models import flat_seq2seq
from openflan.models.decoder_start import decoder_start
from openflan.models.masked_attention import Visibility
from openflan.models.packed import Packing
from openflan.models.packing_check import check_packing, chosen_packing
from openflan.models.staged import Attending
from openflan.packing.encode import Encoded

LONG = [[(40, 24), (31, 17), (2, 1)], [(25, 30), (9, 8)]]
"""Several times as long as the windows here, in tokens of inputs and targets."""
LAYOUTS: tuple[tuple[Packing, Attending | None], ...] = (
    ("flat", "documents"),
    ("flat", "buckets"),
    ("dense", None),
)
FAMILIES: dict[str, Any] = {
    "T5Gemma": t5gemma,
    "T5Gemma 2": t5gemma2,
    "BART": bart,
    "mBART": lambda: bart(hf.MBartForConditionalGeneration, hf.MBartConfig),
    "Pegasus": lambda: bart(hf.PegasusForConditionalGeneration, hf.PegasusConfig),
    "Marian": lambda: bart(hf.MarianMTModel, hf.MarianConfig),
    "M2M-100": lambda: bart(hf.M2M100ForConditionalGeneration, hf.M2M100Config),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@torch.no_grad()
def _alone(model: Any, example: Encoded) -> torch.Tensor:
    inputs, targets = (
        torch.from_numpy(ids.astype(np.int64))[None] for ids in (example.input_ids, example.target_ids)
    )
    start = torch.full_like(targets[:, :1], getattr(model.config, "decoder_start_token_id", None) or 2)
    ids = {"input_ids": inputs, "decoder_input_ids": torch.cat([start, targets[:, :-1]], 1)}
    masks = {
        f"{name.removesuffix('input_ids')}attention_mask": torch.ones_like(each) for name, each in ids.items()
    }
    return torch.nn.functional.cross_entropy(model(**ids, **masks).logits[0], targets[0], reduction="none")


def _worst(model: Any, rows: list[list[Encoded]], packing: Packing, **options: Any) -> float:
    """The largest difference of a token's loss, packed and alone, in units of max(1, loss)."""
    losses, segments = packed_losses(model, rows, packing, **options)
    found = losses.detach()[segments > 0]
    alone = torch.cat([_alone(model, example) for row in rows for example in row])
    return float(((found - alone).abs() / alone.clamp(min=1)).max())


@pytest.mark.parametrize(("packing", "attending"), LAYOUTS)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_tokens_loss_is_that_of_its_document_alone(
    name: str, packing: Packing, attending: Attending | None
) -> None:
    model = FAMILIES[name]()
    assert _worst(model, random_sequences(1, LONG), packing, attending=attending) <= 1e-6


@pytest.mark.parametrize("name", ["T5Gemma", "T5Gemma 2", "mBART", "M2M-100"])
def test_they_are_packed_flat_by_the_check(name: str) -> None:
    model = FAMILIES[name]()
    assert chosen_packing(model, "buckets").packing == "flat"
    check_packing(model, "dense")


@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    window=st.integers(2, 9),
    lengths=st.lists(
        st.lists(st.tuples(st.integers(1, 40), st.integers(1, 30)), min_size=1, max_size=4),
        min_size=1,
        max_size=2,
    ),
    chunk=st.sampled_from([0, 5]),
)
@pytest.mark.parametrize("family", [t5gemma, t5gemma2])
def test_windows_of_any_width_are_kept(
    family: Any, seed: int, window: int, lengths: list[list[tuple[int, int]]], chunk: int
) -> None:
    """T5Gemma 2's encoder looks back and ahead unequally far where the window is even."""
    model, rows = family(window), random_sequences(seed, lengths)
    for packing, attending in LAYOUTS:
        assert _worst(model, rows, packing, attending=attending, chunk=chunk) <= 1e-5


@pytest.mark.parametrize("name", ["T5Gemma", "T5Gemma 2"])
def test_a_window_of_the_encoder_one_token_too_wide_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FAMILIES[name]()
    rules = {kind: rule(6) for kind, rule in flat_seq2seq._ENCODER_WINDOWS.items()}
    monkeypatch.setattr(
        flat_seq2seq,
        "_of_encoder",
        lambda module, window: (
            Visibility(None, None)
            if window is None
            else Visibility(rules[type(module).__name__][0], rules[type(module).__name__][1] + 1)
        ),
    )
    assert _worst(model, random_sequences(1, LONG), "flat") > 1e-4
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat")


@pytest.mark.parametrize("name", ["T5Gemma 2", "BART", "M2M-100"])
def test_positions_that_do_not_restart_are_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = FAMILIES[name](), random_sequences(1, [[(14, 9), (12, 8)]])
    monkeypatch.setattr(
        "openflan.models.staged.positions_of", lambda offsets: np.arange(offsets[-1], dtype=np.int64)
    )
    monkeypatch.setattr(
        "openflan.models.flat_seq2seq.restarting_positions",
        lambda stack, positions, longest, rule=flat_seq2seq.restarting_positions: rule(
            stack, positions, int(positions.max()) + 1
        ),
    )
    assert _worst(model, rows, "flat") > 1e-4
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat")


@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", ["T5Gemma", "T5Gemma 2", "BART"])
def test_the_gradient_of_every_parameter_is_that_of_documents_alone(name: str, attending: Attending) -> None:
    model, rows = FAMILIES[name](), random_sequences(2, LONG)
    trained = {name: each for name, each in model.named_parameters() if "vision" not in name}

    def gradients(batches: list[list[list[Encoded]]], packing: Packing, **options: Any) -> list[torch.Tensor]:
        total = [torch.zeros_like(each) for each in trained.values()]
        for batch in batches:
            losses, segments = packed_losses(model, batch, packing, **options)
            for into, one in zip(
                total,
                torch.autograd.grad(losses[segments > 0].sum(), [*trained.values()], allow_unused=True),
                strict=True,
            ):
                into += 0 if one is None else one
        return total

    together = gradients([rows], "flat", attending=attending)
    alone = gradients([[[example]] for row in rows for example in row], "none")
    largest = max(float(each.abs().max()) for each in alone)
    for parameter, found, expected in zip(trained, together, alone, strict=True):
        scale = max(float(expected.abs().max()), 1e-3 * largest)
        assert float((found - expected).abs().max()) <= 1e-4 * scale, parameter


def test_a_decoder_of_t5gemma_begins_with_its_bos_token() -> None:
    """Its configuration has no `decoder_start_token_id`; 0, padding, was taken before."""
    assert [decoder_start(family().config) for family in (t5gemma, t5gemma2, bart)] == [2, 2, EOS]
    generation = hf.GenerationConfig(decoder_start_token_id=5)
    assert decoder_start(t5gemma().config, generation) == 5


def test_packed_models_have_their_own_attention_and_positions_afterwards() -> None:
    model, (row,) = bart(), random_sequences(3, [[(9, 4), (5, 3)]])
    before = _alone(model, row[0])
    packed_losses(model, [row], "flat")
    packed_losses(model, [row], "dense")
    assert torch.equal(_alone(model, row[0]), before)
    assert "forward" not in vars(model.get_encoder().embed_positions)
