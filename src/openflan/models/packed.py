"""Packed examples through a Hugging Face model, as if each were alone.

Every example of a row is a segment. A dense mask lets a token attend within its segment only: in the encoder, in the decoder (causally) and from
decoder to encoder; a causal model's positions restart with every segment. The relative position bias of T5 depends on distances alone, which
packing keeps. This is the reference path: exact for any architecture that takes 4-D masks; its price is attention over whole rows.

Shape suffixes as in `packing.batch`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from openflan.errors import InputError
from openflan.packing.batch import IGNORED, CausalBatch, PackedBatch, Seq2SeqBatch, causal_batch, seq2seq_batch
from openflan.packing.encode import Encoded


def token_losses(model: Any, batch: PackedBatch) -> tuple[Tensor, Tensor]:
    """Cross entropy of every target token, and the segment it belongs to: float32 and int64, both (R, D) or (R, L), 0 where there is no target
    token."""
    device = next(model.parameters()).device
    return _seq2seq(model, batch, device) if isinstance(batch, Seq2SeqBatch) else _causal(model, batch, device)


@torch.no_grad()
def check_packing(model: Any) -> None:
    """Raises InputError if two examples in one row have other losses than alone: the architecture ignores the masks, or counts positions over the
    whole row."""
    kind, remedy = f"a model of type {model.config.model_type}", "use T5, or a causal model that takes 4-D masks and position ids"
    first, second = (_example(model, length) for length in (7, 4))
    start = getattr(model.config, "decoder_start_token_id", None) or 0
    training = model.training
    model.eval()
    layouts = ([[first, second]], [[first]], [[second]])
    batches = [seq2seq_batch(rows, pad_id=0, start_id=start) if model.config.is_encoder_decoder else causal_batch(rows, pad_id=0) for rows in layouts]
    try:
        together, *alone = (token_losses(model, batch) for batch in batches)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{kind} cannot be packed: {' '.join(str(error).split())[:200]}; {remedy}") from error
    model.train(training)
    packed = torch.stack([together[0][together[1] == segment].sum() for segment in (1, 2)])
    single = torch.stack([losses.sum() for losses, _ in alone])
    if not torch.allclose(packed, single, rtol=1e-3, atol=1e-3):
        raise InputError(f"{kind} cannot be packed exactly: two examples have the losses {single.tolist()} alone and {packed.tolist()} in one row; {remedy}")


def _example(model: Any, length: int) -> Encoded:
    """An example of `length` different input and target tokens."""
    ids = np.arange(length, 3 * length, dtype=np.int32) % model.get_input_embeddings().weight.shape[0]
    return Encoded(ids[:length], ids[length:])


def _seq2seq(model: Any, batch: Seq2SeqBatch, device: torch.device) -> tuple[Tensor, Tensor]:
    input_segments, target_segments = _tensor(batch.input_segments_RE, device), _tensor(batch.target_segments_RD, device)
    dtype = model.dtype
    encoded = model.get_encoder()(input_ids=_tensor(batch.input_ids_RE, device), attention_mask=_mask(input_segments, input_segments, dtype))
    logits_RDV = model(
        encoder_outputs=encoded,
        attention_mask=_mask(target_segments, input_segments, dtype),
        decoder_input_ids=_tensor(batch.decoder_ids_RD, device),
        decoder_attention_mask=_mask(target_segments, target_segments, dtype, causal=True),
        use_cache=False,
    ).logits
    labels = _tensor(batch.target_ids_RD, device).masked_fill(target_segments == 0, IGNORED)
    return _cross_entropy(logits_RDV, labels), target_segments


def _causal(model: Any, batch: CausalBatch, device: torch.device) -> tuple[Tensor, Tensor]:
    segments = _tensor(batch.segments_RL, device)
    logits_RLV = model(
        input_ids=_tensor(batch.input_ids_RL, device),
        attention_mask=_mask(segments, segments, model.dtype, causal=True),
        position_ids=_tensor(batch.positions_RL, device),
        use_cache=False,
    ).logits
    labels = _tensor(batch.labels_RL, device)
    return _cross_entropy(logits_RLV, labels), segments * (labels != IGNORED)


def _mask(query_segments: Tensor, key_segments: Tensor, dtype: torch.dtype, *, causal: bool = False) -> Tensor:
    """What is added to attention scores (R, 1, queries, keys): 0 within a segment, the lowest finite number elsewhere.

    Padded queries attend everywhere, and nothing reads them. Left without a key they would give NaN where that number becomes minus infinity, as it
    does in bfloat16, and a NaN spreads through the gradient.
    """
    same = (query_segments[:, :, None] == key_segments[:, None, :]) | (query_segments == 0)[:, :, None]
    if causal:
        same = same & torch.ones(same.shape[1:], dtype=torch.bool, device=same.device).tril()
    return torch.zeros(same.shape, dtype=dtype, device=same.device).masked_fill(~same, torch.finfo(dtype).min)[:, None]


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    flat = functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), reduction="none", ignore_index=IGNORED)
    return flat.view(labels.shape)


def _tensor(array: Any, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)
