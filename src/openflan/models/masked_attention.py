"""Attention under a boolean mask, for what fused calls with a window alone do not serve: chunks, sinks and
windows that look ahead.

Shape suffixes: B documents of one bucket, or 1; H query heads, G key heads, Q queries, K keys, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Visibility:
    """Which keys of its own document a query sees, by position: `behind` keys before its own and `ahead`
    after it at most (None: all), and none outside its chunk of `chunk` positions (None: no chunks)."""

    behind: int | None = None
    ahead: int | None = 0
    chunk: int | None = None

    def mask(self, queries: int, keys: int, device: torch.device) -> Tensor | None:
        """(queries, keys), True where the key is seen; None where every key is."""
        if self.behind is None and self.ahead is None and self.chunk is None:
            return None
        query, key = (torch.arange(size, device=device) for size in (queries, keys))
        distance = key[None, :] - query[:, None]
        visible = torch.ones(queries, keys, dtype=torch.bool, device=device)
        if self.ahead is not None:
            visible &= distance <= self.ahead
        if self.behind is not None:
            visible &= distance >= -self.behind
        if self.chunk is not None:
            visible &= query[:, None] // self.chunk == key[None, :] // self.chunk
        return visible


def masked_attention(
    query_BHQC: Tensor,
    key_BGKC: Tensor,
    value_BGKC: Tensor,
    visible: Tensor | None,
    *,
    scale: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    sinks_H: Tensor | None = None,
) -> Tensor:
    """(B, H, Q, C). `visible` is boolean and broadcasts to (B, H, Q, K); None: every key is seen.

    `softcap` bounds the scores. `sinks_H` are the scores of one more key for each head, whose value is zero.
    """
    query, key, value = query_BHQC, key_BGKC, value_BGKC
    if softcap is None and sinks_H is None:
        grouped = query.shape[1] != key.shape[1]
        return functional.scaled_dot_product_attention(
            query, key, value, visible, dropout, scale=scale, enable_gqa=grouped
        )
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = torch.matmul(query, key.transpose(2, 3)) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if visible is not None:
        scores = scores.masked_fill(~visible, float("-inf"))
    if sinks_H is not None:
        sinks = sinks_H.to(scores.dtype)[None, :, None, None].expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, sinks], -1)
    wide = torch.float64 if scores.dtype == torch.float64 else torch.float32
    weights = torch.softmax(scores, -1, dtype=wide).to(value.dtype)
    if sinks_H is not None:
        weights = weights[..., :-1]
    return torch.matmul(functional.dropout(weights, dropout), value)
