"""Flat batches give every example the loss and the gradient it has alone. The oracle is transformers' own
forward on each example."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from flat_families import (
    ALL,
    ATTENDING,
    DECODERS,
    FLAT,
    OTHERS,
    OURS,
    SOME,
    VOCABULARY,
    random_sequences,
    shared_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_losses import batch_losses, packed_batch, packed_losses

from openflan.errors import InputError
from openflan.models import causal, staged, t5
from openflan.models.attention import attend, kept_area
from openflan.models.causal import Documents, transformers_attention
from openflan.models.packed import LossOptions, Packing, packed_layout
from openflan.models.packing_check import check_packing, packing_of
from openflan.models.staged import Attending, stage
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
def _alone(model: Any, example: Encoded) -> float:
    """The summed loss of an example, by transformers itself."""
    inputs, targets = (
        torch.from_numpy(ids.astype(np.int64))[None] for ids in (example.input_ids, example.target_ids)
    )
    if model.config.is_encoder_decoder:
        # T5Gemma begins with its `bos_token_id`, which is 2 here.
        start = torch.full_like(targets[:, :1], getattr(model.config, "decoder_start_token_id", 2))
        logits = model(input_ids=inputs, decoder_input_ids=torch.cat([start, targets[:, :-1]], 1)).logits[0]
    else:
        logits = model(input_ids=torch.cat([inputs, targets], dim=1)).logits[0, inputs.shape[1] - 1 : -1]
    return float(torch.nn.functional.cross_entropy(logits.double(), targets[0], reduction="sum"))


@torch.no_grad()
def _by_example(model: Any, rows: list[list[Encoded]], packing: Packing, **options: Any) -> list[float]:
    losses, segments = packed_losses(model, rows, packing, **options)
    assert losses.dtype == torch.float32
    assert losses.shape == segments.shape
    if packing == "flat":
        return [
            losses[segments == index].double().sum().item() for index in range(1, int(segments.max()) + 1)
        ]
    return [
        row[numbers == index].double().sum().item()
        for row, numbers in zip(losses, segments, strict=True)
        for index in range(1, int(numbers.max()) + 1)
    ]


def _compare(model: Any, rows: list[list[Encoded]], packing: Packing, **options: Any) -> None:
    examples = [example for row in rows for example in row]
    losses = _by_example(model, rows, packing, **options)
    expected = [_alone(model, example) for example in examples]
    assert len(losses) == len(examples)
    for index, (loss, alone) in enumerate(zip(losses, expected, strict=True)):
        assert abs(loss - alone) <= 1e-5 * max(1.0, alone), f"example {index}: {loss} packed, {alone} alone"


@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", FLAT)
def test_flat_equals_alone(name: str, attending: Attending) -> None:
    _compare(shared_model(name), SOME, "flat", attending=attending)
    assert packing_of(shared_model(name), attending) == "flat"


@pytest.mark.parametrize("name", ALL)
def test_single_examples_equal_alone(name: str) -> None:
    _compare(shared_model(name), SOME, "none")


@pytest.mark.parametrize("name", OTHERS)
def test_families_without_a_flat_forward_are_exact_with_masks(name: str) -> None:
    assert packing_of(shared_model(name)) == "dense"
    _compare(shared_model(name), SOME, "dense")


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
    _compare(shared_model(name), random_sequences(seed, lengths), "flat", chunk=chunk, attending=attending)


@pytest.mark.parametrize("name", ALL)
def test_the_loss_of_these_models_is_near_that_of_guessing(name: str) -> None:
    """Losses far from ln V would make the tolerance above mean something else."""
    tokens = sum(len(example.target_ids) for row in SOME for example in row)
    assert (
        0.7 * np.log(VOCABULARY)
        < sum(_by_example(shared_model(name), SOME, "none")) / tokens
        < 2 * np.log(VOCABULARY)
    )


def test_a_real_model_has_the_losses_of_its_examples_alone() -> None:
    folder = SHARED / "models" / "babyllama-tok105"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    model = hf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert packing_of(model) == "flat"
    _compare(model, SOME, "flat")


def _gradients(
    model: Any,
    rows: list[list[Encoded]],
    packing: Packing,
    precision: torch.dtype = torch.float32,
    **options: Any,
) -> torch.Tensor:
    model.zero_grad()
    with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        losses, segments = packed_losses(model, rows, packing, **options)
    # Unequal weights, so that a loss that is given to the wrong token shows.
    (losses * (1 + torch.where(segments > 0, losses.detach().round(), 0))).sum().backward()
    gradients = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    model.zero_grad()
    return gradients


@pytest.mark.parametrize("name", ["tied T5", "untied gated T5", "deep decoder T5", "umT5", "Llama", "Gemma"])
@pytest.mark.parametrize(
    "options", [{}, {"chunk": 5}, {"z_loss": 0.01}, {"chunk": 5, "z_loss": 0.01}, {"attending": "buckets"}]
)
def test_gradients_are_those_of_dense_masks(name: str, options: dict[str, Any]) -> None:
    """The reference writes cross entropy as torch does, so this also checks our own."""
    model = ALL[name]().double()
    dense = _gradients(model, SOME, "dense", z_loss=options.get("z_loss", 0.0))
    flat = _gradients(model, SOME, "flat", **options)
    assert (flat - dense).norm() <= 1e-5 * dense.norm()


@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", ["tied T5", "umT5"])
def test_the_gradient_of_every_parameter_of_t5_is_right(name: str, attending: Attending) -> None:
    """A bias table is a thousandth of the parameters, which a norm over all of them would not notice."""
    model = ALL[name]().double()
    expected, gradients = (
        _gradients(model, SOME, "dense"),
        _gradients(model, SOME, "flat", attending=attending),
    )
    start = 0
    for name, parameter in model.named_parameters():
        part = slice(start, start := start + parameter.numel())
        assert (gradients[part] - expected[part]).norm() <= 2e-5 * expected[part].norm(), name


def test_probabilities_computed_again_give_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _gradients(shared_model("tied T5"), SOME, "flat")
    monkeypatch.setattr("openflan.models.attention.KEPT_BYTES", 0)
    assert torch.allclose(_gradients(shared_model("tied T5"), SOME, "flat"), kept, atol=1e-6)


@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", ["untied gated T5", "mT5", "Llama", "Qwen3", "Gemma2"])
def test_bfloat16_is_near_float32(name: str, attending: Attending) -> None:
    wide, narrow = (
        _gradients(shared_model(name), SOME, "flat", precision, attending=attending)
        for precision in (torch.float32, torch.bfloat16)
    )
    assert narrow.isfinite().all()
    assert 0 < (narrow - wide).norm() <= 0.1 * wide.norm()


def test_the_attention_of_float32_states_is_float32_under_autocast() -> None:
    """And its backward there too, where some loops put it."""
    torch.manual_seed(0)
    states = [torch.randn(9, 2, 4, requires_grad=True) for _ in range(3)]
    bias = torch.randn(2, 11, requires_grad=True)
    offsets = torch.tensor([0, 3, 4, 9])
    gradients = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            out, _ = attend(*states, bias, offsets, offsets, 35, 0.0, offsets[0])
            gradients.append([out, *torch.autograd.grad(out.square().sum(), [*states, bias])])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def _attention(bias: bool, dropout: float, area: int = 0) -> Callable[..., torch.Tensor]:
    offsets = torch.tensor([0, 3, 4, 9])
    area = kept_area(offsets, offsets, 2) if area else 0

    def call(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, by_distance: torch.Tensor
    ) -> torch.Tensor:
        return attend(
            query, key, value, by_distance if bias else None, offsets, offsets, area, dropout, torch.tensor(5)
        )[0]

    return call


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("area", [0, 1])
def test_attention_under_dropout_has_the_gradient_of_its_own_draws(bias: bool, area: int) -> None:
    """Finite differences: the backward must drop what the forward dropped."""
    torch.manual_seed(3)
    inputs = [torch.randn(9, 2, 4) for _ in range(3)] + [torch.randn(2, 11)]
    call, weights = _attention(bias, 0.5, area), torch.randn(9, 2, 4)
    for values in inputs:
        values.requires_grad_()
    (call(*inputs) * weights).sum().backward()
    assert not torch.equal(call(*inputs), _attention(bias, 0.0)(*inputs))
    for index, values in enumerate(inputs[: 4 if bias else 3]):
        direction = torch.randn_like(values)
        ends = []
        for step in (1e-2, -1e-2):
            moved = [
                other.detach() + (step * direction if index == position else 0)
                for position, other in enumerate(inputs)
            ]
            ends.append((call(*moved).double() * weights).sum())
        assert values.grad is not None
        assert (values.grad * direction).sum().item() == pytest.approx(
            ((ends[0] - ends[1]) / 2e-2).item(), rel=0.02, abs=1e-3
        )


@pytest.mark.parametrize("attending", ATTENDING)
def test_dropout_keeps_means_and_follows_the_seed(attending: Attending) -> None:
    model = shared_model("tied T5")
    model.train()
    try:
        batch = stage(packed_batch(model, SOME), torch.device("cpu"), attending)
        with torch.no_grad():
            torch.manual_seed(1)
            first, _ = batch_losses(model, batch)
            again, _ = batch_losses(model, batch)
            torch.manual_seed(1)
            repeated, _ = batch_losses(model, batch)
            mean = torch.stack([batch_losses(model, batch)[0].sum() for _ in range(60)]).mean()
            reference = torch.stack([packed_losses(model, SOME, "dense")[0].sum() for _ in range(60)]).mean()
    finally:
        model.eval()
    assert torch.equal(first, repeated)
    assert not torch.equal(first, again)
    assert mean.item() == pytest.approx(reference.item(), rel=0.05)


def _shifted(batch: Any, field: str) -> Any:
    offsets = getattr(batch, field).copy()
    offsets[1] += 1
    return dataclasses.replace(batch, **{field: offsets})


@torch.no_grad()
@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize(
    ("name", "field"), [("tied T5", "input_offsets"), ("umT5", "target_offsets"), ("Llama", "offsets")]
)
def test_wrong_offsets_change_the_losses(name: str, field: str, attending: Attending) -> None:
    """Negative control: the offsets are what keeps documents apart."""
    batch = packed_batch(shared_model(name), SOME)
    right, _ = batch_losses(shared_model(name), batch, attending=attending)
    wrong, _ = batch_losses(shared_model(name), _shifted(batch, field), attending=attending)
    assert (right - wrong).abs().max() > 1e-2


@pytest.mark.parametrize("name", ["tied T5", "untied gated T5", "Llama"])
def test_a_planted_leak_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = shared_model(name)
    check_packing(model, "flat")

    def merged(*inputs: Any, **settings: Any) -> Any:
        *states, bias, queries, keys, _, dropout, seed = inputs
        return attend(*states, bias, queries[[0, -1]], keys[[0, -1]], 0, dropout, seed)

    def together(*inputs: Any, documents: Documents, **settings: Any) -> Any:
        return causal.attend_documents(*inputs, documents=Documents((0, documents.offsets[-1])), **settings)

    monkeypatch.setattr(t5, "attend", merged)
    monkeypatch.setattr(
        t5.PackedStack,
        "distance_bias",
        lambda self, table, longest, rule=t5.PackedStack.distance_bias: rule(self, table, 64),
    )
    monkeypatch.setattr(causal, "register", lambda: hf.AttentionInterface.register(causal.NAME, together))
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat")
    assert packing_of(model) == "dense"
    monkeypatch.undo()
    causal.register()


@pytest.mark.parametrize("name", ["tied T5", "untied gated T5", "Llama"])
def test_a_leak_between_documents_of_a_bucket_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a batch taken for one document when buckets are made, as a wrong border would."""
    model = shared_model(name)
    check_packing(model, "flat", attending="buckets")
    rule = staged.bucketed
    monkeypatch.setattr(
        staged,
        "bucketed",
        lambda queries, keys: rule(queries[[0, -1]], queries[[0, -1]] if queries is keys else keys[[0, -1]]),
    )
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat", attending="buckets")
    assert packing_of(model, "buckets") == "dense"
    assert packing_of(model, "documents") == "flat"


@pytest.mark.parametrize("name", ["tied T5", "untied gated T5"])
def test_padding_of_a_bucket_that_is_seen_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A causal document never sees what stands behind it, an encoder would."""
    rule = staged.tensors_of
    monkeypatch.setattr(
        staged,
        "tensors_of",
        lambda *given: (made := rule(*given))._replace(key_padding=torch.zeros_like(made.key_padding)),
    )
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(shared_model(name), "flat", attending="buckets")


def test_a_family_whose_arithmetic_is_not_ours_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when transformers changes T5, or a checkpoint asks for what our forward does not know."""
    monkeypatch.setattr(t5, "_scales_outputs", lambda model: False)
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(shared_model("tied T5"), "flat")


def test_an_attention_argument_that_is_not_known_is_refused() -> None:
    states = torch.zeros(1, 2, 5, 4)
    with pytest.raises(ValueError, match="head_mask"):
        causal.attend_documents(
            None, states, states, states, None, documents=Documents((0, 5)), head_mask=states
        )
    with pytest.raises(ValueError, match="no documents"):
        causal.attend_documents(None, states, states, states, None)


def test_a_packed_causal_model_still_generates() -> None:
    model = DECODERS["Llama"]()
    prompt = torch.tensor([[5, 9, 11]])
    before = model.generate(prompt, max_new_tokens=5, do_sample=False)
    layout = packed_layout(model, "flat")
    layout.losses(layout.batch(SOME))
    with transformers_attention(model):
        assert torch.equal(model.generate(prompt, max_new_tokens=5, do_sample=False), before)
    _ = layout.losses(layout.batch(SOME))


@torch.no_grad()
@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", ["Llama", "Gemma2"])
def test_inputs_see_one_another_with_a_prefix(name: str, attending: Attending) -> None:
    """The oracle is the example alone under a 4-D mask."""
    model = shared_model(name)
    examples = [
        example
        for row in SOME
        for example in row
        if len(example.input_ids) + len(example.target_ids) <= 6 or name == "Llama"
    ]
    losses = _by_example(model, [examples], "flat", prefix=True, attending=attending)
    for example, loss in zip(examples, losses, strict=True):
        ids = torch.from_numpy(np.concatenate([example.input_ids, example.target_ids]).astype(np.int64))[None]
        inputs, length = len(example.input_ids), ids.shape[1]
        visible = torch.ones(length, length, dtype=torch.bool).tril()
        visible[:inputs, :inputs] = True
        mask = torch.zeros(1, 1, length, length).masked_fill(~visible, torch.finfo(torch.float32).min)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[0, inputs - 1 : -1]
        alone = torch.nn.functional.cross_entropy(logits, ids[0, inputs:], reduction="sum").item()
        assert abs(loss - alone) <= 1e-5 * max(1.0, alone)
    longest = max(range(len(examples)), key=lambda number: len(examples[number].input_ids))
    assert abs(losses[longest] - _alone(model, examples[longest])) > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("packing", ["flat", "dense"])
def test_the_loss_on_everything_is_that_of_all_tokens_but_the_first(packing: Packing) -> None:
    model = shared_model("Llama")
    losses, documents = packed_losses(model, [SOME[0]], packing, full_sequence=True)
    for index, example in enumerate(SOME[0], 1):
        ids = torch.from_numpy(np.concatenate([example.input_ids, example.target_ids]).astype(np.int64))[None]
        alone = float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        assert losses[documents == index].sum().item() == pytest.approx(alone, rel=1e-5)


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
    model = shared_model(name)
    assert {id(parameter) for parameter in PackedT5(model).parameters()} == {
        id(parameter) for parameter in model.parameters()
    }


@pytest.mark.slow
@pytest.mark.parametrize("attending", ATTENDING)
def test_our_forward_compiles_without_a_break(attending: Attending) -> None:
    """Over batches of one bucket and of several."""
    model = OURS["untied gated T5"]()
    torch._dynamo.reset()
    layout = packed_layout(model, "flat", LossOptions(attending=attending))
    layout.module.compile(fullgraph=True, dynamic=True)
    for rows in (SOME, SOME[1:], random_sequences(7, [[(30, 9), (2, 3)]])):
        batch = layout.batch(rows)
        expected = _gradients(model, rows, "flat")
        model.zero_grad()
        losses, _ = layout.losses(batch)
        (losses * (1 + losses.detach().round())).sum().backward()
        gradients = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        assert (gradients - expected).norm() <= 1e-5 * expected.norm()
