"""Attention in buckets: the oracle is softmax under a mask over all pairs of the buffer, in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from packed_losses import packed_batch

from openflan.models.bucketed import attend_in_buckets, biases_by_pair, tensors_of
from openflan.models.packed import LossOptions, packed_layout
from openflan.models.staged import Staged, stage
from openflan.packing.buckets import bucketed
from openflan.packing.encode import Encoded

QUERIES, KEYS = (3, 1, 20, 5, 33), (7, 40, 2, 9, 18)
CPU = torch.device("cpu")


def offsets(lengths: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def places(lengths: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """The document and the position within it, of each token."""
    documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    return documents, torch.cat([torch.arange(length) for length in lengths])


def states(queries: int, keys: int, heads: int = 4, key_heads: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    sizes = ((queries, heads), (keys, key_heads), (keys, key_heads))
    return [
        torch.randn(*size, 8, generator=generator, dtype=torch.float64, requires_grad=True) for size in sizes
    ]


def over_all_pairs(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scores_added: torch.Tensor,
    scale: float,
    softcap: float = 0.0,
) -> torch.Tensor:
    key, value = (one.repeat_interleave(query.shape[1] // one.shape[1], 1) for one in (key, value))
    scores = torch.einsum("qhc,khc->hqk", query, key) * scale
    if softcap:
        scores = torch.tanh(scores / softcap) * softcap
    return torch.einsum("hqk,khc->qhc", torch.softmax(scores + scores_added, -1), value)


def compare(found: torch.Tensor, expected: torch.Tensor, leaves: list[torch.Tensor]) -> None:
    weights = torch.randn(found.shape, dtype=found.dtype, generator=torch.Generator().manual_seed(5))
    assert (found - expected).abs().max() <= 1e-12
    gradients = [
        torch.autograd.grad((out * weights).sum(), leaves, retain_graph=True) for out in (found, expected)
    ]
    for gradient, other in zip(*gradients, strict=True):
        assert (gradient - other).abs().max() <= 1e-11 * other.abs().max()


def nowhere(seen: torch.Tensor) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=torch.float64).masked_fill(~seen, -torch.inf)


def test_queries_see_the_keys_of_their_document() -> None:
    leaves = states(sum(QUERIES), sum(KEYS))
    buckets = tensors_of(bucketed(offsets(QUERIES), offsets(KEYS)))
    assert len(buckets.shapes) > 1
    seen = places(QUERIES)[0][:, None] == places(KEYS)[0]
    compare(attend_in_buckets(*leaves, buckets), over_all_pairs(*leaves, nowhere(seen), 1.0), leaves)


@pytest.mark.parametrize("causal", [False, True])
def test_a_bias_by_distance_and_its_gradient(causal: bool) -> None:
    leaves = states(sum(KEYS), sum(KEYS))
    buckets = tensors_of(bucketed(offsets(KEYS), offsets(KEYS)))
    longest = int(buckets.shapes[:, 1].max())
    table = torch.randn(4, 2 * longest - 1, dtype=torch.float64, requires_grad=True)
    distances = torch.arange(1 - longest, longest)
    bias = table.masked_fill(distances > 0, -torch.inf) if causal else table
    documents, at = places(KEYS)
    apart = at[None, :] - at[:, None]
    seen = documents[:, None] == documents
    expected = over_all_pairs(
        *leaves, bias[:, (apart + longest - 1).clamp(0, 2 * longest - 2)] + nowhere(seen), 1.0
    )
    pairs = biases_by_pair(bias.detach(), buckets.shapes, buckets.area)
    compare(
        attend_in_buckets(*leaves, buckets, bias=bias, pairs=pairs, causal=causal), expected, [*leaves, table]
    )


@pytest.mark.parametrize(
    ("prefix", "window", "softcap"),
    [(False, None, None), (True, None, None), (False, 6, None), (True, 6, None), (True, None, 2.0)],
)
@pytest.mark.parametrize("key_heads", [4, 2])
def test_causal_documents(prefix: bool, window: int | None, softcap: float | None, key_heads: int) -> None:
    leaves = states(sum(KEYS), sum(KEYS), key_heads=key_heads)
    prefixes = np.array([3, 40, 0, 1, 11])
    buckets = tensors_of(bucketed(offsets(KEYS), offsets(KEYS)), prefixes if prefix else None)
    documents, at = places(KEYS)
    seen = at[None, :] <= at[:, None]
    if window:
        seen &= at[:, None] - at[None, :] < window
    if prefix:
        inside = at < torch.from_numpy(prefixes)[documents]
        seen |= inside[:, None] & inside
    seen &= documents[:, None] == documents
    attended = attend_in_buckets(*leaves, buckets, causal=True, scale=0.5, window=window, softcap=softcap)
    compare(attended, over_all_pairs(*leaves, nowhere(seen), 0.5, softcap or 0.0), leaves)


@pytest.mark.parametrize("bias", [True, False])
def test_dropout_has_the_gradient_of_its_own_draws(bias: bool) -> None:
    """Finite differences: the backward must drop what the forward dropped."""
    buckets = tensors_of(bucketed(offsets(KEYS), offsets(KEYS)))
    longest = int(buckets.shapes[:, 1].max())
    leaves = [
        *states(sum(KEYS), sum(KEYS)),
        torch.randn(4, 2 * longest - 1, dtype=torch.float64, requires_grad=True),
    ]
    weights = torch.randn(sum(KEYS), 4, 8, dtype=torch.float64)

    def call(*given: torch.Tensor, dropout: float = 0.5) -> torch.Tensor:
        torch.manual_seed(2)
        by = (
            {"bias": given[3], "pairs": biases_by_pair(given[3].detach(), buckets.shapes, buckets.area)}
            if bias
            else {}
        )
        return attend_in_buckets(*given[:3], buckets, dropout=dropout, **by)

    dropped = call(*leaves)
    (dropped * weights).sum().backward()
    assert torch.equal(dropped, call(*leaves))
    assert not torch.equal(dropped, call(*leaves, dropout=0.0))
    for index, leaf in enumerate(leaves[: 4 if bias else 3]):
        direction = torch.randn_like(leaf)
        ends = [
            (
                call(*(one.detach() + (step * direction if one is leaf else 0) for one in leaves)) * weights
            ).sum()
            for step in (1e-4, -1e-4)
        ]
        assert leaf.grad is not None
        assert (leaf.grad * direction).sum().item() == pytest.approx(
            ((ends[0] - ends[1]) / 2e-4).item(), rel=1e-5
        ), index


def test_draws_of_dropout_take_one_number_of_the_generator() -> None:
    """So that what is drawn after an attention layer does not depend on its buckets."""
    leaves, buckets = states(sum(KEYS), sum(KEYS)), tensors_of(bucketed(offsets(KEYS), offsets(KEYS)))
    torch.manual_seed(0)
    attend_in_buckets(*leaves, buckets, dropout=0.5).sum().backward()
    after = torch.rand(3)
    torch.manual_seed(0)
    torch.randint(2**62, ())
    assert torch.equal(torch.rand(3), after)


def test_the_same_bits_every_time() -> None:
    leaves, buckets = (
        [one.detach().float().requires_grad_() for one in states(sum(KEYS), sum(KEYS))],
        tensors_of(bucketed(offsets(KEYS), offsets(KEYS))),
    )
    gradients = [
        torch.autograd.grad(attend_in_buckets(*leaves, buckets).square().sum(), leaves) for _ in range(2)
    ]
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "d_model": 24,
    "d_kv": 8,
    "d_ff": 40,
    "num_layers": 2,
    "num_heads": 3,
    "decoder_start_token_id": 0,
}
LLAMA: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
MODELS: dict[str, Callable[[], Any]] = {
    "T5": lambda: hf.T5ForConditionalGeneration(hf.T5Config(**SIZES)),
    "umT5": lambda: hf.UMT5ForConditionalGeneration(hf.UMT5Config(**SIZES)),
    "Llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**LLAMA)),
}


def rows() -> list[list[Encoded]]:
    random = np.random.default_rng(0)
    return [
        [
            Encoded(*(random.integers(3, 61, size).astype(np.int32) for size in pair))
            for pair in zip(KEYS, QUERIES, strict=True)
        ]
    ]


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_nothing_waits_for_the_device(name: str, prefix: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that holds no numbers refuses whatever would read one back, which on a GPU would stop the
    forward until it is there."""
    if prefix and name != "Llama":
        pytest.skip("prefixes are of causal models")
    # Autocast does not know such a device.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: False)
    model = MODELS[name]()
    batch = stage(packed_batch(model, rows()), CPU, "buckets")
    layout = packed_layout(model.to("meta"), "flat", LossOptions(prefix=prefix))
    losses, _ = layout.losses(batch)
    losses.sum().backward()
    assert losses.device.type == "meta"
    with pytest.raises(RuntimeError, match="meta"):
        losses.sum().item()


@pytest.mark.parametrize("name", MODELS)
def test_batches_for_a_gpu_are_pinned_once_and_bucketed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed to see what would be asked of it."""
    asked = list[int]()

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        asked.append(id(tensor))
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    batch = packed_batch(MODELS[name](), rows())
    staged = stage(batch, torch.device("cuda"))
    assert len(asked) == len(set(asked)) >= len(staged.tensors)
    assert len(staged.buckets) == (1 if name == "Llama" else 3)
    for own in staged.buckets[:2]:
        assert own.key_slots is own.query_slots
    moved = staged.on(torch.device("meta"))
    assert all(tensor.device.type == "meta" for tensor in moved.tensors.values())
    for bucket in moved.buckets:
        assert bucket.shapes.device.type == "cpu"
        assert {
            value.device.type
            for field, value in bucket._asdict().items()
            if isinstance(value, torch.Tensor) and field != "shapes"
        } == {"meta"}
    monkeypatch.setattr(torch.Tensor, "pin_memory", None)
    plain = stage(batch, CPU)
    assert isinstance(plain, Staged)
    assert plain.buckets == ()
    name_of_targets = "target_ids_T" if name == "Llama" else "target_ids_D"
    assert np.shares_memory(plain.tensors[name_of_targets].numpy(), getattr(batch, name_of_targets))
