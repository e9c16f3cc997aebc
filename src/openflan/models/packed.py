"""Packed examples through a model, as if each were alone.

Three layouts, the first of which a model passes is taken (`packing_check`):
- flat: documents one after another in one buffer, attention document by document (on a CPU) or in buckets of
  like length (on a GPU). No arithmetic is
  spent on pairs of different documents, and next to none on padding, which makes it the fast path. T5, mT5
  and umT5 by our own forward, causal models by
  transformers' attention interface.
- dense: every example of a row is a segment, and a 4-D mask lets a token attend within its segment only. The
  reference: exact for any architecture
  that takes such masks; its price is attention over whole rows.
- none: one example a row and an ordinary padding mask, for everything else.

Nothing is taken on trust: an architecture that ignores masks, carries state or counts positions over the
whole row is found by `packing_check`.

Shape suffixes as in `packing.batch` and `packing.flat`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from openflan.models.attention import at_least_float32, kept_area
from openflan.models.causal import Documents, PackedCausal
from openflan.models.masked import NEEDED_BY, encoded_under
from openflan.models.prefix import window_of
from openflan.models.staged import Attending, Batch, Staged, longest_of, stage
from openflan.models.t5 import FAMILIES, PackedT5, Reach
from openflan.packing.batch import IGNORED, CausalBatch, Seq2SeqBatch, causal_batch, seq2seq_batch
from openflan.packing.encode import Encoded
from openflan.packing.flat import FlatCausalBatch, FlatSeq2SeqBatch, flat_causal_batch, flat_seq2seq_batch

Packing: TypeAlias = Literal["flat", "dense", "none"]


def prepare_batch(
    model: Any,
    rows: Sequence[Sequence[Encoded]],
    pad_id: int,
    packing: Packing = "flat",
    *,
    everything: bool = False,
) -> Batch:
    """Rows of examples in the layout of `packing`; `model` is a Hugging Face model or the root that
    `packed_model` made of one.

    With `everything`, a causal model's loss is on every token but a document's first, not on targets only.
    """
    config = _hugging_face(model).config
    if packing == "none":
        rows = [[example] for row in rows for example in row]
    if config.is_encoder_decoder:
        start = _start(config)
        return (
            flat_seq2seq_batch(rows, start_id=start)
            if packing == "flat"
            else seq2seq_batch(rows, pad_id=pad_id, start_id=start)
        )
    if packing == "flat":
        return flat_causal_batch(rows, everything=everything)
    batch = causal_batch(rows, pad_id=pad_id)
    return _labelled_everywhere(batch) if everything else batch


def packed_model(model: Any) -> nn.Module:
    """The root module for flat batches, over the modules of a Hugging Face model: made once, it is what is
    compiled, sharded and called.

    A causal model trains with our attention function from then on (see `causal.ordinary_attention`). Raises
    ValueError for a family without one.
    """
    return _forward_of(model) if model.config.is_encoder_decoder else PackedCausal(model)


def token_losses(
    model: Any,
    batch: Batch | Staged,
    *,
    z_loss: float = 0.0,
    chunk: int = 0,
    prefix: bool = False,
    attending: Attending | None = None,
) -> tuple[Tensor, Tensor]:
    """Cross entropy of every target token in float32, and the segment or document it belongs to (int64, from
    1).

    Both are (D) or (T) for flat batches, else (R, D) or (R, L) with 0 where there is no target token. `model`
    is a Hugging Face model, for flat batches also `packed_model` of one. `z_loss` times the squared log of
    the softmax's denominator is added; `chunk` > 0 computes no more logits than of that many tokens at once
    (flat batches); `prefix` lets a causal document's inputs see one another (flat batches). How attention
    goes over a flat batch was decided when it was staged; one that is not yet is staged as `attending` says,
    or as suits the device.
    """
    device = next(model.parameters()).device
    staged = (batch if isinstance(batch, Staged) else stage(batch, device, attending)).on(device)
    if isinstance(staged.batch, FlatSeq2SeqBatch | FlatCausalBatch):
        return _flat(model, staged, z_loss, chunk, prefix), staged.tensors["documents"]
    if prefix or chunk:
        raise ValueError("prefixes and chunks need a flat batch")
    return (_seq2seq if isinstance(staged.batch, Seq2SeqBatch) else _causal)(model, staged, z_loss)


def _hugging_face(model: Any) -> Any:
    return model.model if isinstance(model, PackedCausal) else model


def _start(config: Any) -> int:
    start = getattr(config, "decoder_start_token_id", None)
    return 0 if start is None else int(start)


def _flat(model: Any, staged: Staged, z_loss: float, chunk: int, prefix: bool) -> Tensor:
    batch, tensors, buckets = staged.batch, staged.tensors, staged.buckets
    if isinstance(batch, FlatSeq2SeqBatch):
        root = model if isinstance(model, PackedT5) else _forward_of(model)
        inputs, targets = torch.from_numpy(batch.input_offsets), torch.from_numpy(batch.target_offsets)
        sides = ((inputs, inputs), (targets, targets), (targets, inputs))
        heads = root.config.num_heads
        reaches = tuple(
            Reach(*side, 0, buckets[number]) if buckets else Reach(*side, kept_area(*side, heads))
            for number, side in enumerate(sides)
        )
        ids = (tensors[name] for name in ("input_ids_E", "decoder_ids_D", "target_ids_D"))
        losses: Tensor = root(*ids, reaches, longest=longest_of(staged), z_loss=z_loss, chunk=chunk)
        return losses
    if not isinstance(batch, FlatCausalBatch):
        raise TypeError("a flat batch is needed")
    inside = buckets[0] if buckets and prefix else buckets[0]._replace(prefixes_N=None) if buckets else None
    places = Documents(
        tuple(batch.offsets.tolist()), tuple(batch.input_lengths_N.tolist()) if prefix else None, inside
    )
    before = _hugging_face(model).config._attn_implementation
    causal = model if isinstance(model, PackedCausal) else PackedCausal(model)
    arrays = (tensors[name] for name in ("input_ids_L", "positions_L", "predicting_T", "target_ids_T"))
    try:
        found: Tensor = causal(*arrays, documents=places, z_loss=z_loss, chunk=chunk)
        return found
    finally:
        if causal is not model:
            model.set_attn_implementation(before)


def _forward_of(model: Any) -> PackedT5:
    if model.config.model_type not in FAMILIES:
        raise ValueError("there is no forward for flat batches of this family")
    return PackedT5(model)


def _seq2seq(model: Any, staged: Staged, z_loss: float) -> tuple[Tensor, Tensor]:
    tensors = staged.tensors
    input_segments, target_segments = tensors["input_segments_RE"], tensors["target_segments_RD"]
    dtype = model.dtype
    input_ids, decoder_ids = tensors["input_ids_RE"], tensors["decoder_ids_RD"]
    if _single(staged.batch, "target_segments_RD"):
        masks = {"attention_mask": input_segments, "decoder_attention_mask": target_segments}
        logits_RDV = model(
            input_ids=input_ids, decoder_input_ids=decoder_ids, **masks, use_cache=False
        ).logits
    else:
        inputs_mask = _mask(input_segments, input_segments, dtype)
        if model.config.model_type in NEEDED_BY:
            encoded = encoded_under(model, input_ids, inputs_mask)
        else:
            encoded = model.get_encoder()(input_ids=input_ids, attention_mask=inputs_mask)
        logits_RDV = model(
            encoder_outputs=encoded,
            attention_mask=_mask(target_segments, input_segments, dtype),
            decoder_input_ids=decoder_ids,
            decoder_attention_mask=_mask(target_segments, target_segments, dtype, causal=True),
            use_cache=False,
        ).logits
    labels = tensors["target_ids_RD"].masked_fill(target_segments == 0, IGNORED)
    return _cross_entropy(logits_RDV, labels, z_loss), target_segments


def _causal(model: Any, staged: Staged, z_loss: float) -> tuple[Tensor, Tensor]:
    tensors = staged.tensors
    segments = tensors["segments_RL"]
    single = _single(staged.batch, "segments_RL")
    window = window_of(model.config)
    if not single and window is not None and segments.shape[1] > window:
        raise ValueError(
            f"rows of {segments.shape[1]:,} tokens reach over its attention window of {window:,}, which "
            "a dense mask does not keep"
        )
    logits_RLV = model(
        input_ids=tensors["input_ids_RL"],
        attention_mask=segments if single else _mask(segments, segments, model.dtype, causal=True),
        position_ids=tensors["positions_RL"],
        use_cache=False,
    ).logits
    labels = tensors["labels_RL"]
    return _cross_entropy(logits_RLV, labels, z_loss), segments * (labels != IGNORED)


def _single(batch: Any, segments: str) -> bool:
    """Whether every row holds one example, so that a padding mask says all; asked of the arrays, for which
    nothing waits."""
    return bool((getattr(batch, segments) <= 1).all())


def _mask(
    query_segments: Tensor, key_segments: Tensor, dtype: torch.dtype, *, causal: bool = False
) -> Tensor:
    """What is added to attention scores (R, 1, queries, keys): 0 within a segment, the lowest finite number
    elsewhere.

    Padded queries attend everywhere, and nothing reads them. Left without a key they would give NaN where
    that number becomes minus infinity, as it does in bfloat16, and a NaN spreads through the gradient.
    """
    same = (query_segments[:, :, None] == key_segments[:, None, :]) | (query_segments == 0)[:, :, None]
    if causal:
        same = same & torch.ones(same.shape[1:], dtype=torch.bool, device=same.device).tril()
    return torch.zeros(same.shape, dtype=dtype, device=same.device).masked_fill(
        ~same, torch.finfo(dtype).min
    )[:, None]


def _cross_entropy(logits: Tensor, labels: Tensor, z_loss: float) -> Tensor:
    logits = at_least_float32(logits)
    losses = functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), reduction="none", ignore_index=IGNORED
    ).view(labels.shape)
    return losses + z_loss * torch.logsumexp(logits, -1).square() * (labels != IGNORED) if z_loss else losses


def _labelled_everywhere(batch: CausalBatch) -> CausalBatch:
    labels = np.full_like(batch.labels_RL, IGNORED)
    follows = (batch.segments_RL[:, 1:] == batch.segments_RL[:, :-1]) & (batch.segments_RL[:, 1:] > 0)
    labels[:, :-1][follows] = batch.input_ids_RL[:, 1:][follows]
    return dataclasses.replace(batch, labels_RL=labels)
