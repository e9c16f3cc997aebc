"""Attention in buckets of like length under boolean masks, by autograd: the slower and more general companion
of `models.bucketed`.

Serves what its fused calls do not: chunks, sinks, windows that look ahead, and one softmax over the keys of
two sides. The price is a mask for each bucket, and scores kept for the backward where no kernel is fused.

Decision: tokens go to slots and back by gathers whose backward adds zeros only where a token stands in
several slots, so no sum depends on an order of threads.

Shape suffixes as in `packing.buckets`; H query heads, G key heads, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from openflan.models.bucketed import BucketTensors
from openflan.models.masked_attention import Visibility, masked_attention
from openflan.models.one_bucket import buckets_of


class Source(NamedTuple):
    """Keys and values of one side, and which of them a query sees. `own`: queries are of the same side."""

    key_GKC: Tensor
    value_GKC: Tensor
    visibility: Visibility
    own: bool


def attend_masked_buckets(
    query_HQC: Tensor,
    sources: Sequence[Source],
    buckets: BucketTensors,
    *,
    scale: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    sinks_H: Tensor | None = None,
) -> Tensor:
    """(Q, H, C): one softmax over the keys of all sources. `buckets` are those of the queries and of the keys
    that are not theirs."""
    sides = [
        (buckets.query_slots, buckets.query_padding)
        if source.own
        else (buckets.key_slots, buckets.key_padding)
        for source in sources
    ]
    queries = query_HQC.transpose(0, 1).index_select(0, buckets.query_slots)
    states = [
        [each.transpose(0, 1).index_select(0, slots) for each in (source.key_GKC, source.value_GKC)]
        for source, (slots, _) in zip(sources, sides, strict=True)
    ]
    parts = []
    for bucket in buckets_of(buckets.shapes):
        keys, values, masks = [], [], []
        padded_queries = bucket.of_queries(buckets.query_padding[:, None, None])[:, 0]
        for source, (_, padding), (key, value) in zip(sources, sides, states, strict=True):
            of_side = bucket.of_queries if source.own else bucket.of_keys
            keys.append(of_side(key))
            values.append(of_side(value))
            hidden = of_side(padding[:, None, None])[:, 0].transpose(1, 2)
            visible = ~hidden.expand(-1, bucket.queries, -1)
            if source.own:
                # A padded query sees padding, itself above all: without a key it would give NaN.
                visible = visible | padded_queries
            pattern = source.visibility.mask(bucket.queries, keys[-1].shape[2], queries.device)
            masks.append(visible if pattern is None else visible & pattern)
        attended = masked_attention(
            bucket.of_queries(queries),
            torch.cat(keys, 2),
            torch.cat(values, 2),
            torch.cat(masks, 2)[:, None],
            scale=scale,
            dropout=dropout,
            softcap=softcap,
            sinks_H=sinks_H,
        )
        parts.append(attended.transpose(1, 2).flatten(0, 1))
    return torch.cat(parts).index_select(0, buckets.query_places)
