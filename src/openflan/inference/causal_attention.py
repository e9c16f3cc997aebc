"""Attention of a causal model to cached keys and values, passed to transformers' attention interface as a
keyword argument.

Shape suffixes as in `cache`; L tokens of one forward, H query heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface

from openflan.models.causal import HARMLESS_ARGUMENTS

NAME = "openflan_decoding"
"""Our function in transformers' attention interface."""

States = list[tuple[Tensor, Tensor]]
"""Keys and values (P, G, C) of every layer."""


class CachedAttention(Protocol):
    """The keys and values that the tokens of one forward attend to."""

    def attend(
        self,
        layer: int,
        query_HLC: Tensor,
        key_GLC: Tensor,
        value_GLC: Tensor,
        scaling: float,
        window: int | None,
    ) -> Tensor:
        """(H, L, C)."""
        ...


def attend_decoding(
    module: Any,
    query_1HLC: Tensor,
    key_1GLC: Tensor,
    value_1GLC: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    cached_attention: CachedAttention | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls in every layer. Raises ValueError for an argument
    that is not known here."""
    unknown = [name for name, value in others.items() if value is not None and name not in HARMLESS_ARGUMENTS]
    if cached_attention is None or attention_mask is not None or unknown or dropout:
        raise ValueError(
            f"attention in decoding got {', '.join(unknown) or 'no cached attention, a mask or dropout'}, "
            "which it cannot compute"
        )
    scale = query_1HLC.shape[-1] ** -0.5 if scaling is None else scaling
    given_HLC = cached_attention.attend(
        int(module.layer_idx), query_1HLC[0], key_1GLC[0], value_1GLC[0], scale, sliding_window
    )
    return given_HLC.transpose(0, 1)[None].contiguous(), None


class Prefill:
    """The first forward over documents, side by side: each attends causally to itself and to a past of its
    own. Their keys and values are kept.

    The first `bidirectional` tokens of each see one another and the whole past, whatever the attention
    window: a prompt's tokens in a prefix-LM.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        pasts: Sequence[Sequence[States]],
        bidirectional: Sequence[int] | None = None,
    ) -> None:
        self.lengths = lengths
        self.pasts = pasts
        self.bidirectional = bidirectional or [0] * len(lengths)
        self.layers: States = []

    def attend(
        self,
        layer: int,
        query_HLC: Tensor,
        key_GLC: Tensor,
        value_GLC: Tensor,
        scaling: float,
        window: int | None,
    ) -> Tensor:
        if layer != len(self.layers):
            raise ValueError(f"layer {layer} attends after {len(self.layers)} others")
        self.layers.append((key_GLC.transpose(0, 1), value_GLC.transpose(0, 1)))
        grouped = query_HLC.shape[0] != key_GLC.shape[0]
        parts, first = [], 0
        for length, past, bidirectional in zip(self.lengths, self.pasts, self.bidirectional, strict=True):
            here = slice(first, first + length)
            key, value = key_GLC[:, here], value_GLC[:, here]
            if past:
                key = torch.cat([*(states[layer][0].transpose(0, 1) for states in past), key], 1)
                value = torch.cat([*(states[layer][1].transpose(0, 1) for states in past), value], 1)
            seen = _seen(length, key.shape[1], window, query_HLC.device, bidirectional)
            query = query_HLC[None, :, here]
            parts.append(
                functional.scaled_dot_product_attention(
                    query, key[None], value[None], seen, 0.0, seen is None, scale=scaling, enable_gqa=grouped
                )[0]
            )
            first += length
        return torch.cat(parts, 1)

    def states(self, document: int) -> States:
        """The keys and values of one document."""
        first = sum(self.lengths[:document])
        return [
            (key[first : first + self.lengths[document]], value[first : first + self.lengths[document]])
            for key, value in self.layers
        ]


@contextmanager
def decoding_attention(model: Any) -> Iterator[None]:
    """Puts our attention function into a causal model, and its own one back afterwards."""
    before = model.config._attn_implementation
    AttentionInterface.register(NAME, attend_decoding)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _seen(
    length: int, keys: int, window: int | None, device: torch.device, bidirectional: int
) -> Tensor | None:
    """Which of the keys each of the last `length` positions sees, (length, keys); None where each sees all
    keys up to its own."""
    if length == keys and (window is None or window >= keys) and bidirectional <= 1:
        return None
    distances = torch.arange(keys, device=device) - torch.arange(keys - length, keys, device=device)[:, None]
    seen = distances <= 0
    if window is not None:
        seen &= distances > -window
    seen[:bidirectional, : keys - length + bidirectional] = True
    return seen
