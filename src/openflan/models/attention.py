"""Attention of documents in one flat buffer, each within itself only, with a bias that depends on distance.

Each document has one matrix of scores, so no arithmetic is spent on pairs of different documents; on a CPU
that cost would make dense masks no faster than grouping by length. Attention is a custom operator with a
backward of its own. So models compile without a graph break, autograd does not run in the loop over
documents, and the gradient of a relative bias is summed by distance instead of being kept by pair.

Decisions: scores, softmax and sums are float32 also under autocast (float64 where the model is).
Probabilities are kept for the backward where `area` is not 0 (faster), and computed again otherwise (less
memory). Dropout of probabilities is drawn from `seed`, in the backward too.

Shape suffixes: Q queries, K keys of all documents, H heads, C channels of a head, N documents, R the longest
document.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

KEPT_BYTES = 2**28
"""The most bytes that an attention layer keeps of its probabilities between forward and backward; larger
ones are computed twice."""


def kept_area(query_offsets: Tensor, key_offsets: Tensor, heads: int) -> int:
    """Pairs of queries and keys (a head) whose probabilities are to be kept: all of them, or 0 where they
    would take more than `KEPT_BYTES`."""
    area = int((query_offsets.diff() * key_offsets.diff()).sum())
    return area if 4 * heads * area <= KEPT_BYTES else 0


@torch.library.custom_op("openflan::attend", mutates_args=())
def attend(
    query_QHC: Tensor,
    key_KHC: Tensor,
    value_KHC: Tensor,
    bias: Tensor | None,
    query_offsets: Tensor,
    key_offsets: Tensor,
    area: int,
    dropout: float,
    seed: Tensor,
) -> tuple[Tensor, Tensor]:
    """Softmax(query key + bias) value within each document, (Q, H, C), and the kept probabilities, flat.

    `bias` (H, 2 R - 1) is added at distance key - query = -(R - 1) ... R - 1, minus infinity where a query
    must not see the key; None adds nothing. `query_offsets` and `key_offsets` (N + 1, on the CPU) are where
    documents begin; every document has a key. Scores are not scaled.
    """
    # Autocast is in force inside an operator as well, and would take float32 products back to half precision.
    with torch.autocast(query_QHC.device.type, enabled=False):
        query, key, value = (_heads_first(states) for states in (query_QHC, key_KHC, value_KHC))
        out = torch.empty_like(query_QHC, memory_format=torch.contiguous_format)
        kept = query.new_empty(area * query.shape[0])
        at = 0
        draws = _generator(seed, query.device, dropout)
        for first, end, first_key, end_key in _documents(query_offsets, key_offsets):
            k, v = key[:, first_key:end_key], value[:, first_key:end_key]
            size = len(query) * (end - first) * (end_key - first_key)
            into = kept[at : at + size].view(len(query), end - first, end_key - first_key) if area else None
            weights = _probabilities(query[:, first:end], k, bias, into)
            if draws is not None:
                weights = weights * _survivors(weights, dropout, draws)
            out[first:end] = torch.bmm(weights, v).transpose(0, 1)
            at += size
        return out, kept


@attend.register_fake
def _(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Any,
    query_offsets: Any,
    key_offsets: Any,
    area: int,
    dropout: float,
    seed: Any,
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(query, memory_format=torch.contiguous_format), query.new_empty(
        area * query.shape[1], dtype=_wide(query)
    )


@torch.library.custom_op("openflan::attend_backward", mutates_args=())
def attend_backward(
    gradient_QHC: Tensor,
    query_QHC: Tensor,
    key_KHC: Tensor,
    value_KHC: Tensor,
    bias: Tensor | None,
    kept: Tensor,
    query_offsets: Tensor,
    key_offsets: Tensor,
    dropout: float,
    seed: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of query, key, value and bias; the last is empty without one."""
    with torch.autocast(query_QHC.device.type, enabled=False):
        query, key, value, gradient = (
            _heads_first(states) for states in (query_QHC, key_KHC, value_KHC, gradient_QHC)
        )
        d_query, d_key, d_value = (
            torch.empty_like(states, memory_format=torch.contiguous_format)
            for states in (query_QHC, key_KHC, value_KHC)
        )
        longest = int(query_offsets.diff().max())
        by_pair = query.new_zeros((len(query), longest, longest) if bias is not None else (0,))
        at = 0
        draws = _generator(seed, query.device, dropout)
        for first, end, first_key, end_key in _documents(query_offsets, key_offsets):
            q, k, v, g = (
                query[:, first:end],
                key[:, first_key:end_key],
                value[:, first_key:end_key],
                gradient[:, first:end],
            )
            size = len(query) * (end - first) * (end_key - first_key)
            weights = (
                kept[at : at + size].view(len(query), end - first, end_key - first_key)
                if len(kept)
                else _probabilities(q, k, bias, None)
            )
            d_weights = torch.bmm(g, v.transpose(1, 2))
            if draws is None:
                dropped = weights
            else:
                survivors = _survivors(weights, dropout, draws)
                dropped = weights * survivors
                d_weights *= survivors
            d_value[first_key:end_key] = torch.bmm(dropped.transpose(1, 2), g).transpose(0, 1)
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            d_query[first:end] = torch.bmm(d_scores, k).transpose(0, 1)
            d_key[first_key:end_key] = torch.bmm(d_scores.transpose(1, 2), q).transpose(0, 1)
            if bias is not None:
                by_pair[:, : end - first, : end - first] += d_scores
            at += size
        return d_query, d_key, d_value, by_pair if bias is None else by_distance(by_pair, bias)


@attend_backward.register_fake
def _(
    gradient: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    like = [torch.empty_like(states, memory_format=torch.contiguous_format) for states in (query, key, value)]
    return (
        like[0],
        like[1],
        like[2],
        query.new_empty((0,), dtype=_wide(query)) if bias is None else torch.empty_like(bias),
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    query, key, value, bias, query_offsets, key_offsets, _, dropout, seed = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(query, key, value, bias, output[1], query_offsets, key_offsets, seed)
    ctx.dropout = dropout


def _differentiate(ctx: Any, gradient: Tensor, _: Any) -> tuple[Tensor | None, ...]:
    query, key, value, bias, kept, query_offsets, key_offsets, seed = ctx.saved_tensors
    d_query, d_key, d_value, d_bias = attend_backward(
        gradient, query, key, value, bias, kept, query_offsets, key_offsets, ctx.dropout, seed
    )
    return d_query, d_key, d_value, None if bias is None else d_bias, None, None, None, None, None


attend.register_autograd(_differentiate, setup_context=_keep)


def at_least_float32(states: Tensor) -> Tensor:
    return states.to(_wide(states))


def _wide(states: Tensor) -> torch.dtype:
    return torch.float64 if states.dtype == torch.float64 else torch.float32


def _heads_first(states: Tensor) -> Tensor:
    """(tokens, H, C) as (H, tokens, C) in float32 at least, a view where it was that already."""
    return at_least_float32(states).transpose(0, 1)


def _documents(query_offsets: Tensor, key_offsets: Tensor) -> Iterator[tuple[int, int, int, int]]:
    queries, keys = query_offsets.tolist(), key_offsets.tolist()
    return zip(queries[:-1], queries[1:], keys[:-1], keys[1:], strict=True)


def _probabilities(query: Tensor, key: Tensor, bias: Tensor | None, into: Tensor | None) -> Tensor:
    """(H, queries, keys) of one document, written to `into` if given."""
    if bias is None:
        scores = (
            torch.bmm(query, key.transpose(1, 2), out=into)
            if into is not None
            else torch.bmm(query, key.transpose(1, 2))
        )
    else:
        length, middle = query.shape[1], bias.shape[1] // 2
        # Rows of distances that begin one further each, from the last query to the first: a view, which one
        # copy turns over.
        biases = bias[:, middle - length + 1 : middle + length].unfold(1, length, 1).flip(1)
        scores = into.copy_(biases) if into is not None else biases
        scores.baddbmm_(query, key.transpose(1, 2))
    return torch.softmax(scores, -1, out=scores)


def by_distance(by_pair: Tensor, bias: Tensor) -> Tensor:
    """Sums (H, R, R) along diagonals, as (H, 2 R - 1) in the middle of zeros like `bias`.

    Rows are laid out one element short of the stride they are read with, so that each diagonal becomes a
    column.
    """
    heads, length, _ = by_pair.shape
    skewed = by_pair.new_zeros(heads, length, 2 * length)
    skewed.as_strided((heads, length, length), (2 * length * length, 2 * length - 1, 1), length).copy_(
        by_pair
    )
    out, middle = torch.zeros_like(bias), bias.shape[1] // 2
    out[:, middle - length + 1 : middle + length] = skewed.sum(1)[:, 1:]
    return out


def _generator(seed: Tensor, device: torch.device, dropout: float) -> torch.Generator | None:
    return torch.Generator(device).manual_seed(int(seed)) if dropout > 0 else None


def _survivors(weights: Tensor, dropout: float, draws: torch.Generator) -> Tensor:
    """The factors of the weights: 0, or 1 / (1 - dropout)."""
    return torch.empty_like(weights).bernoulli_(1 - dropout, generator=draws).div_(1 - dropout)
