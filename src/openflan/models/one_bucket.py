"""Attention within one bucket of documents of like length: what is added to its scores, the fused call, and
the random numbers and kernels that the call uses.

Shape suffixes as in `models.bucketed`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from openflan.models.attention import at_least_float32


@dataclass(frozen=True, slots=True)
class AttentionOptions:
    causal: bool
    scale: float
    dropout: float
    window: int
    softcap: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket: its sizes, and where it begins among documents, query slots, key slots and pairs of one
    head."""

    documents: int
    queries: int
    keys: int
    first: int
    query_slot: int
    key_slot: int
    pair: int

    def of_queries(self, slots: Tensor) -> Tensor:
        """(S, heads, C) as this bucket's (documents, heads, queries, C), a view."""
        bucket_slots = slots[self.query_slot : self.query_slot + self.documents * self.queries]
        return bucket_slots.view(self.documents, self.queries, *slots.shape[1:]).transpose(1, 2)

    def of_keys(self, slots: Tensor) -> Tensor:
        bucket_slots = slots[self.key_slot : self.key_slot + self.documents * self.keys]
        return bucket_slots.view(self.documents, self.keys, *slots.shape[1:]).transpose(1, 2)


def buckets_of(shapes: Tensor) -> Iterator[Bucket]:
    """The buckets of `shapes` (B, 3): documents, queries and keys of each."""
    first = query_slot = key_slot = pair = 0
    for documents, queries, keys in shapes.tolist():
        yield Bucket(documents, queries, keys, first, query_slot, key_slot, pair)
        first, query_slot, key_slot, pair = (
            first + documents,
            query_slot + documents * queries,
            key_slot + documents * keys,
            pair + queries * keys,
        )


def score_mask(
    bucket: Bucket,
    options: AttentionOptions,
    query: Tensor,
    pairs: Tensor | None,
    key_padding: Tensor,
    prefixes: Tensor | None,
) -> Tensor | None:
    """What is added to scores, in the queries' dtype, or (bool) which keys are seen; None where each query
    sees all keys up to its own.

    A causal query never sees the padding behind its document, so that padding needs no mask there.
    """
    hidden = key_padding[bucket.key_slot : bucket.key_slot + bucket.documents * bucket.keys].view(
        bucket.documents, 1, 1, bucket.keys
    )
    if pairs is not None:
        heads = query.shape[1]
        biases = (
            pairs[heads * bucket.pair : heads * (bucket.pair + bucket.queries * bucket.keys)]
            .view(1, heads, bucket.queries, bucket.keys)
            .to(query.dtype)
        )
        return (
            biases.expand(bucket.documents, -1, -1, -1)
            if options.causal
            else biases.masked_fill(hidden, float("-inf"))
        )
    if not options.causal:
        return ~hidden
    narrow = 0 < options.window < bucket.keys
    if prefixes is None and not narrow and not options.softcap:
        return None
    positions = torch.arange(bucket.keys, device=query.device)
    ahead = positions[None, :] - positions[:, None]
    visible = (ahead <= 0)[None]
    if narrow:
        visible = visible & (ahead > -options.window)
    if prefixes is not None:
        inside = positions < prefixes[bucket.first : bucket.first + bucket.documents, None]
        visible = visible | (inside[:, :, None] & inside[:, None, :])
    return visible[:, None]


def bucket_attention(states: Sequence[Tensor], added: Tensor | None, options: AttentionOptions) -> Tensor:
    """(documents, H, queries, C) of the queries, keys and values of one bucket."""
    query, key, value = states
    if query.shape[1] != key.shape[1] and added is not None:
        # Fused kernels take fewer key heads only without a mask.
        key, value = (one.repeat_interleave(query.shape[1] // one.shape[1], 1) for one in (key, value))
    if not options.softcap:
        return functional.scaled_dot_product_attention(
            query,
            key,
            value,
            added,
            dropout_p=options.dropout,
            is_causal=added is None,
            scale=options.scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
    scores = torch.matmul(query, key.transpose(2, 3)) * (options.scale / options.softcap)
    scores = torch.tanh(scores) * options.softcap
    seen = scores if added is None else scores.masked_fill(~added, float("-inf"))
    weights = torch.softmax(seen, -1, dtype=at_least_float32(scores).dtype).to(query.dtype)
    return torch.matmul(functional.dropout(weights, options.dropout), value)


def with_gradients(states: list[Tensor], added: Tensor | None) -> tuple[list[Tensor], Tensor | None]:
    """Detached copies of the tensors that get a gradient; a boolean mask gets none."""
    leaves = [one.detach().requires_grad_() for one in states]
    return leaves, added if added is None or added.dtype == torch.bool else added.detach().requires_grad_()


@contextmanager
def dropout_draws(seed: Tensor, dropout: float, device: torch.device) -> Iterator[None]:
    """Draws of dropout begin at `seed`; afterwards the generator continues as if nothing had been drawn."""
    if not dropout:
        yield
        return
    devices = [] if device.type == "cpu" else [torch.device(device.type, device.index or 0)]
    with torch.random.fork_rng(devices, device_type="cuda" if device.type == "cpu" else device.type):
        generator = (
            torch.default_generator
            if device.type == "cpu"
            else torch.cuda.default_generators[device.index or 0]
        )
        generator.manual_seed(int(seed))
        yield


def deterministic_kernels(device: torch.device) -> Any:
    """A context with deterministic kernels on a GPU. Matrix products would raise where cuBLAS is not set
    for it; there torch chooses the kernels."""
    if device.type != "cuda" or os.environ.get("CUBLAS_WORKSPACE_CONFIG") not in (":4096:8", ":16:8"):
        return nullcontext()
    return _deterministic()


@contextmanager
def _deterministic() -> Iterator[None]:
    """Not with `warn_only`, under which fused attention is not deterministic."""
    enabled, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True)
    # Else every new tensor would be filled first.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
