"""Attention of documents in one flat buffer by buckets of like length: one fused call for each bucket, for
GPUs.

`models.attention` computes document by document, which spends no arithmetic on padding and is the fastest way
on a CPU; on a GPU its launches would take longer than their work. Here documents are gathered into the
buckets of `packing.buckets`, each bucket is one `scaled_dot_product_attention` (`one_bucket`), and its output
is gathered back. All index tensors are made on the host before, so nothing here waits for the device.

Decisions: it is one operator with a backward of its own, so that compiled models do not depend on the shape
of a bucket, and so that the gradient of a relative bias is summed by distance in float32. The backward
computes each bucket again under autograd: nothing is kept but the flat states, at the price of the fused
forward once more. Tokens go to slots and back by gathers in both directions, so no sum depends on an order of
threads; the fused kernels are deterministic where cuBLAS is set to be so (`training.distributed` sets it).
States have the precision they come in, bfloat16 under autocast, and the fused kernels round the bias to it;
softmax is theirs, in float32.

Shape suffixes as in `packing.buckets`; H query heads, G key heads, C channels of a head, R the widest bucket.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from openflan.models.attention import at_least_float32, by_distance
from openflan.models.one_bucket import (
    AttentionOptions,
    bucket_attention,
    buckets_of,
    deterministic_kernels,
    dropout_draws,
    score_mask,
    with_gradients,
)
from openflan.packing.buckets import Buckets


class BucketTensors(NamedTuple):
    """`Buckets` as tensors: `shapes` on the CPU, everything else where the model is.

    `prefixes_N` are the tokens at the start of each document that see one another, documents in the order of
    the buckets.
    """

    shapes: Tensor
    query_slots: Tensor
    query_padding: Tensor
    query_places: Tensor
    key_slots: Tensor
    key_padding: Tensor
    key_places: Tensor
    prefixes_N: Tensor | None
    area: int


def tensors_of(buckets: Buckets, prefixes: Any = None) -> BucketTensors:
    """On the CPU. `prefixes` (N) are in the documents' own order."""

    def side(slots: Any, padding: Any, places: Any) -> tuple[Tensor, Tensor, Tensor]:
        return torch.from_numpy(slots), torch.from_numpy(padding), torch.from_numpy(places)

    queries = side(buckets.query_slots_S, buckets.query_padding_S, buckets.query_places_Q)
    itself = buckets.key_slots_Z is buckets.query_slots_S
    keys = queries if itself else side(buckets.key_slots_Z, buckets.key_padding_Z, buckets.key_places_K)
    ordered = None if prefixes is None else torch.from_numpy(prefixes[buckets.order_N])
    return BucketTensors(torch.from_numpy(buckets.shapes_B3), *queries, *keys, ordered, buckets.area)


def attend_in_buckets(
    query_QHC: Tensor,
    key_KGC: Tensor,
    value_KGC: Tensor,
    buckets: BucketTensors,
    *,
    bias: Tensor | None = None,
    pairs: Tensor | None = None,
    causal: bool = False,
    scale: float = 1.0,
    dropout: float = 0.0,
    window: int | None = None,
    softcap: float | None = None,
) -> Tensor:
    """Softmax(scale query key + bias) value within each document, (Q, H, C).

    `bias` (H, 2 R - 1) is as in `attention.attend`; `pairs` is what `biases_by_pair` makes of it, once for
    all layers that share it. `causal` without a bias lets a query see keys up to its own, of these the
    nearest `window`, and all of the prefix from within it; with a bias, that bias says so itself.
    """
    rate = dropout if dropout > 0 else 0.0
    seed = torch.randint(2**62, ()) if rate else buckets.shapes[0, 0]
    places = (
        buckets.query_slots,
        buckets.query_padding,
        buckets.query_places,
        buckets.key_slots,
        buckets.key_padding,
        buckets.key_places,
    )
    states = (query_QHC, key_KGC, value_KGC, bias, pairs)
    attended: Tensor = attend_buckets(
        *states,
        buckets.shapes,
        *places,
        buckets.prefixes_N,
        seed,
        causal,
        scale,
        rate,
        window or 0,
        softcap or 0.0,
    )
    return attended


@torch.library.custom_op("openflan::biases_by_pair", mutates_args=())
def biases_by_pair(bias: Tensor, shapes: Tensor, area: int) -> Tensor:
    """The bias of every pair of query and key (H, Q, K) of each bucket, one after another and flat. No
    gradient comes through it: it goes to `bias`."""
    out, at = bias.new_empty(len(bias) * area), 0
    for _, length, _ in shapes.tolist():
        size, middle = len(bias) * length * length, bias.shape[1] // 2
        out[at : at + size].view(-1, length, length).copy_(
            bias[:, middle - length + 1 : middle + length].unfold(1, length, 1).flip(1)
        )
        at += size
    return out


@biases_by_pair.register_fake
def _(bias: Tensor, shapes: Any, area: int) -> Tensor:
    return bias.new_empty(bias.shape[0] * area)


@torch.library.custom_op("openflan::attend_buckets", mutates_args=())
def attend_buckets(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    pairs: Tensor | None,
    shapes: Tensor,
    query_slots: Tensor,
    query_padding: Tensor,
    query_places: Tensor,
    key_slots: Tensor,
    key_padding: Tensor,
    key_places: Tensor,
    prefixes: Tensor | None,
    seed: Tensor,
    causal: bool,
    scale: float,
    dropout: float,
    window: int,
    softcap: float,
) -> Tensor:
    options = AttentionOptions(causal, scale, dropout, window, softcap)
    with torch.autocast(query.device.type, enabled=False), dropout_draws(seed, dropout, query.device):
        slots = [
            query.index_select(0, query_slots),
            *(states.index_select(0, key_slots) for states in (key, value)),
        ]
        out = slots[0].new_empty((*slots[0].shape[:2], value.shape[2]))
        for bucket in buckets_of(shapes):
            states = [bucket.of_queries(slots[0]), bucket.of_keys(slots[1]), bucket.of_keys(slots[2])]
            added = score_mask(bucket, options, states[0], pairs, key_padding, prefixes)
            if dropout:
                # A kernel is chosen by what needs a gradient, and another kernel than the backward's would
                # drop other pairs.
                states, added = with_gradients(states, added)
            with torch.set_grad_enabled(dropout > 0):
                bucket.of_queries(out).copy_(bucket_attention(states, added, options))
        return out.index_select(0, query_places)


@attend_buckets.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> Tensor:
    return query.new_empty((query.shape[0], query.shape[1], value.shape[2]))


def _attend_buckets_backward(
    gradient: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    pairs: Tensor | None,
    shapes: Tensor,
    query_slots: Tensor,
    query_padding: Tensor,
    query_places: Tensor,
    key_slots: Tensor,
    key_padding: Tensor,
    key_places: Tensor,
    prefixes: Tensor | None,
    seed: Tensor,
    causal: bool,
    scale: float,
    dropout: float,
    window: int,
    softcap: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of query, key, value and bias; without a bias the last is empty."""
    options, longest = AttentionOptions(causal, scale, dropout, window, softcap), int(shapes[:, 1].max())
    with (
        torch.no_grad(),
        torch.autocast(query.device.type, enabled=False),
        dropout_draws(seed, dropout, query.device),
        deterministic_kernels(query.device),
    ):
        slots = [
            query.index_select(0, query_slots),
            *(states.index_select(0, key_slots) for states in (key, value)),
        ]
        d_out = (
            gradient.to(query.dtype)
            .index_select(0, query_slots)
            .masked_fill_(query_padding[:, None, None], 0)
        )
        d_slots = [torch.empty_like(states) for states in slots]
        by_pair = None if bias is None else at_least_float32(bias).new_zeros((len(bias), longest, longest))
        for bucket in buckets_of(shapes):
            states = [bucket.of_queries(slots[0]), bucket.of_keys(slots[1]), bucket.of_keys(slots[2])]
            states, added = with_gradients(
                states, score_mask(bucket, options, states[0], pairs, key_padding, prefixes)
            )
            differentiated = states if added is None or not added.requires_grad else [*states, added]
            with torch.enable_grad():
                attended = bucket_attention(states, added, options)
            gradients = torch.autograd.grad(attended, differentiated, bucket.of_queries(d_out))
            for into, d_states in zip(
                (bucket.of_queries(d_slots[0]), bucket.of_keys(d_slots[1]), bucket.of_keys(d_slots[2])),
                gradients[:3],
                strict=True,
            ):
                into.copy_(d_states)
            if by_pair is not None:
                by_pair[:, : bucket.queries, : bucket.keys] += gradients[3].sum(0, dtype=by_pair.dtype)
        d_bias = (
            query.new_empty((0,), dtype=torch.float32)
            if by_pair is None or bias is None
            else by_distance(by_pair, bias)
        )
        return (
            d_slots[0].index_select(0, query_places),
            d_slots[1].index_select(0, key_places),
            d_slots[2].index_select(0, key_places),
            d_bias,
        )


# Not `custom_op`, inside of which autograd is off: here autograd computes each bucket's gradient.
_BACKWARD = "openflan::attend_buckets_backward"
torch.library.define(_BACKWARD, torch.library.infer_schema(_attend_buckets_backward, mutates_args=()))
torch.library.impl(_BACKWARD, "default", _attend_buckets_backward)


@torch.library.register_fake(_BACKWARD)  # type: ignore[untyped-decorator]
def _(
    gradient: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    like = [torch.empty_like(states, memory_format=torch.contiguous_format) for states in (query, key, value)]
    return (
        like[0],
        like[1],
        like[2],
        query.new_empty((0,), dtype=torch.float32) if bias is None else torch.empty_like(bias),
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:14])
    ctx.how = inputs[14:]


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    # Read once: activation checkpointing allows only one read of each.
    saved = ctx.saved_tensors
    d_query, d_key, d_value, d_bias = torch.ops.openflan.attend_buckets_backward(gradient, *saved, *ctx.how)
    return d_query, d_key, d_value, None if saved[3] is None else d_bias, *[None] * 15


attend_buckets.register_autograd(_differentiate, setup_context=_keep)
