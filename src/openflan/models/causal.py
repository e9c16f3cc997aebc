"""Causal models over a flat buffer: Hugging Face's forward, with attention document by document.

The documents are one sequence of tokens whose positions restart, without a mask. transformers passes keyword
arguments on to the attention function; ours gets there where documents begin, or, for a GPU, in which buckets
of like length they are (`models.bucketed`). Any other attention function would ignore these arguments and let
documents see each other. So the model keeps ours while it trains (activation checkpointing runs it again in
the backward); within `transformers_attention` it has its own.

Shape suffixes as in `packing.flat`; H query heads, G key heads, C channels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

from openflan.models.bucketed import BucketTensors, attend_in_buckets
from openflan.models.implementation import transformers_implementation
from openflan.models.loss import head_losses, token_cross_entropy
from openflan.models.masked_attention import Visibility, masked_attention
from openflan.models.masked_buckets import Source, attend_masked_buckets

NAME = "openflan_documents"
"""Our function in transformers' attention interface."""

HARMLESS_ARGUMENTS = {
    "is_causal",
    "position_ids",
    "cache_position",
    "use_cache",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "return_dict",
}
"""Keyword arguments of an attention function that do not change which token sees which, or that ask for
what ours does anyway."""

_RESCALED_BY = {
    "final_logit_softcapping": None,
    "logit_scale": 1.0,
    "logits_scaling": 1.0,
    "lm_head_multiplier": 1.0,
}
"""Settings by which a model changes its logits after the head, and the value at which it does not."""

_MULTIPLIED = ("cohere", "cohere2")
"""`model_type` of the models whose logits are the head's times `logit_scale`; the factor may be applied to
the head's input instead."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Where documents begin and end; `prefixes` are the tokens at the start of each that see one another
    (prefix-LM).

    With `buckets`, which then contain the prefixes, attention runs bucket by bucket.
    """

    offsets: tuple[int, ...]
    prefixes: tuple[int, ...] | None = None
    buckets: BucketTensors | None = None


class PackedCausal(nn.Module):
    """A root whose forward gives token losses of a flat batch."""

    def __init__(self, model: Any) -> None:
        """`model` is a causal model of transformers, whose attention function is replaced. Raises
        ValueError where it cannot be replaced."""
        super().__init__()
        register()
        if model.config._attn_implementation != NAME:
            model.set_attn_implementation(NAME)
        if model.config._attn_implementation != NAME:
            raise ValueError("its attention function cannot be replaced")
        self.model = model

    def forward(
        self,
        input_ids_L: Tensor,
        positions_L: Tensor,
        predicting_T: Tensor,
        target_ids_T: Tensor,
        *,
        documents: Documents,
        z_loss: float = 0.0,
        chunk: int = 0,
    ) -> Tensor:
        """The loss of every target token, float32 (T). `z_loss`, `chunk`: see `loss`; a model that changes
        its logits after the head is not chunked."""
        inputs = {
            "input_ids": input_ids_L[None],
            "position_ids": positions_L[None],
            "attention_mask": None,
            "use_cache": False,
            "documents": documents,
        }
        config = self.model.config
        multiplied = config.model_type in _MULTIPLIED
        changed = {name for name, idle in _RESCALED_BY.items() if getattr(config, name, idle) != idle}
        if chunk and not changed - ({"logit_scale"} if multiplied else set()):
            hidden = self.model.base_model(**inputs).last_hidden_state[0, predicting_T]
            if multiplied:
                hidden = hidden * config.logit_scale
            return head_losses(
                self.model.get_output_embeddings(), hidden, target_ids_T, z_loss=z_loss, chunk=chunk
            )
        return token_cross_entropy(
            self.model(**inputs, logits_to_keep=predicting_T).logits[0], target_ids_T, z_loss=z_loss
        )


def register() -> None:
    """Registers our function with transformers; a second call changes nothing."""
    AttentionInterface.register(NAME, attend_documents)


@contextmanager
def transformers_attention(model: Any, name: str | None = None) -> Iterator[None]:
    """Puts transformers' own attention into a packed causal model, for generation and evaluation between
    steps; ours is put back afterwards.

    `name` is the implementation that the model had before it was packed; None means the one of
    `transformers_implementation`.
    """
    before = model.config._attn_implementation
    model.set_attn_implementation(name or transformers_implementation(model))
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def attend_documents(
    module: Any,
    query_1HLC: Tensor,
    key_1GLC: Tensor,
    value_1GLC: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    documents: Documents | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls in every layer. `s_aux` (H) are the scores of sinks.
    Raises ValueError without `documents`, and for an argument that is not known here."""
    unknown = [name for name, value in others.items() if value is not None and name not in HARMLESS_ARGUMENTS]
    if (
        documents is None
        or attention_mask is not None
        or unknown
        or key_1GLC.shape[2] != documents.offsets[-1]
    ):
        raise ValueError(
            f"attention by documents got {', '.join(unknown) or 'no documents, a mask or a cache'}, "
            "which it cannot serve"
        )
    query_1HLC = _scaled_by_position(module, query_1HLC, documents)
    chunk = _chunk(module)
    if documents.buckets is not None:
        states = (query_1HLC, key_1GLC, value_1GLC)
        if s_aux is None and chunk is None:
            attended = _attend_in_buckets(
                *states, documents.buckets, scaling, dropout, sliding_window, softcap
            )
        elif documents.prefixes is None:
            visibility = Visibility(None if sliding_window is None else sliding_window - 1, chunk=chunk)
            attended = _attend_masked(
                *states, documents.buckets, visibility, scaling, dropout, softcap, s_aux
            )
        else:
            raise ValueError("inputs that see one another do not go with chunks and sinks in buckets")
        return attended, None
    prefixes = documents.prefixes or (0,) * (len(documents.offsets) - 1)
    parts = []
    for (first, end), prefix in zip(itertools.pairwise(documents.offsets), prefixes, strict=True):
        query, key, value = (states[:, :, first:end] for states in (query_1HLC, key_1GLC, value_1GLC))
        visible = _visible(end - first, prefix, sliding_window, query.device)
        if chunk is not None and chunk < end - first:
            visible = _within_chunks(visible, end - first, chunk, prefix, query.device)
        parts.append(_attend(query, key, value, scaling, dropout, visible, softcap, s_aux))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _chunk(module: Any) -> int | None:
    """The positions of a chunk in a layer that attends within chunks; None in any other."""
    config: Any = getattr(module, "config", None)
    kinds = getattr(config, "layer_types", None)
    index = getattr(module, "layer_idx", None)
    if not kinds or index is None or kinds[index] != "chunked_attention":
        return None
    return int(config.attention_chunk_size)


def _scaled_by_position(module: Any, query_1HLC: Tensor, documents: Documents) -> Tensor:
    """Queries that a model scaled by their place in the sequence (Llama 4, in layers without rotary
    positions), scaled by their position in the document instead."""
    if not getattr(module, "attn_temperature_tuning", False) or getattr(module, "use_rope", True):
        return query_1HLC
    places = torch.arange(documents.offsets[-1], device=query_1HLC.device)
    starts = torch.tensor(documents.offsets, device=query_1HLC.device)
    positions = places - torch.repeat_interleave(starts[:-1], starts.diff())
    of_place, of_position = (
        torch.log1p(torch.floor((each.float() + 1) / module.floor_scale)) * module.attn_scale + 1
        for each in (places, positions)
    )
    scaled: Tensor = query_1HLC * (of_position / of_place).to(query_1HLC.dtype)[:, None]
    return scaled


def _attend_masked(
    query_1HLC: Tensor,
    key_1GLC: Tensor,
    value_1GLC: Tensor,
    buckets: BucketTensors,
    visibility: Visibility,
    scaling: float | None,
    dropout: float,
    softcap: float | None,
    sinks_H: Tensor | None,
) -> Tensor:
    kind = query_1HLC.device.type
    query, key, value = (states[0] for states in (query_1HLC, key_1GLC, value_1GLC))
    if torch.is_autocast_enabled(kind):
        query, key, value = (states.to(torch.get_autocast_dtype(kind)) for states in (query, key, value))
    source = Source(key, value, visibility, True)
    return attend_masked_buckets(
        query, [source], buckets, scale=scaling, dropout=dropout, softcap=softcap, sinks_H=sinks_H
    )[None]


def _attend_in_buckets(
    query_1HLC: Tensor,
    key_1GLC: Tensor,
    value_1GLC: Tensor,
    buckets: BucketTensors,
    scaling: float | None,
    dropout: float,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    kind = query_1HLC.device.type
    query, key, value = (one[0].transpose(0, 1) for one in (query_1HLC, key_1GLC, value_1GLC))
    if torch.is_autocast_enabled(kind):
        # As autocast does with scaled_dot_product_attention; norms of queries and keys may have left them in
        # float32.
        query, key, value = (one.to(torch.get_autocast_dtype(kind)) for one in (query, key, value))
    scale = query_1HLC.shape[-1] ** -0.5 if scaling is None else scaling
    return attend_in_buckets(
        query, key, value, buckets, causal=True, scale=scale, dropout=dropout, window=window, softcap=softcap
    )[None]


def _visible(length: int, prefix: int, window: int | None, device: torch.device) -> Tensor | None:
    """Which key each query sees (length, length); None for all up to itself."""
    narrow = window is not None and window < length
    if prefix <= 1 and not narrow:
        return None
    ones = torch.ones(length, length, dtype=torch.bool, device=device)
    visible = ones.tril()
    if narrow:
        visible &= ones.triu(1 - int(window or 0))
    visible[:prefix, :prefix] = True
    return visible


def _within_chunks(
    visible: Tensor | None, length: int, chunk: int, prefix: int, device: torch.device
) -> Tensor:
    chunks = torch.arange(length, device=device) // chunk
    within = (chunks[:, None] == chunks[None, :]).tril()
    narrowed = within if visible is None else within & visible
    narrowed[:prefix, :prefix] = True
    return narrowed


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float | None,
    dropout: float,
    visible: Tensor | None,
    softcap: float | None,
    sinks_H: Tensor | None,
) -> Tensor:
    if softcap is None and sinks_H is None and visible is None:
        grouped = query.shape[1] != key.shape[1]
        return functional.scaled_dot_product_attention(
            query, key, value, None, dropout, True, scale=scaling, enable_gqa=grouped
        )
    if visible is None:
        visible = Visibility().mask(query.shape[2], key.shape[2], query.device)
    return masked_attention(
        query, key, value, visible, scale=scaling, dropout=dropout, softcap=softcap, sinks_H=sinks_H
    )
