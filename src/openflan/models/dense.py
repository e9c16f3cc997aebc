"""Logits of packed sequences under dense masks: a token sees its own segment only.

Some models need more than a mask. T5Gemma's layers have windows, so that each kind of layer has a mask of its
own. BART's family and BLOOM read positions by the place in the sequence (`restarting_positions`). Switch
Transformers' encoder takes padding masks only (`masked`).

Shape suffixes as in `packing.batch`; V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from openflan.models.attention_masks import segment_mask
from openflan.models.flat_seq2seq import positions_if_taken, window_of_decoder, window_of_encoder
from openflan.models.masked import PADDING_MASKS_ONLY, encode_with_mask
from openflan.models.masked_attention import Visibility
from openflan.models.restarting_positions import restarting_positions

_MASK_BY_KIND = ("t5gemma", "t5gemma2")
"""`model_type` of the encoder-decoders that take a mask for each kind of layer."""


def seq2seq_logits(
    model: Any,
    input_ids_RE: Tensor,
    input_segments_RE: Tensor,
    decoder_ids_RD: Tensor,
    segments_RD: Tensor,
    *,
    longest: tuple[int, int],
) -> Tensor:
    """(R, D, V) of an encoder-decoder; `segments_RD` are those of the targets. `longest`: the tokens of the
    longest segment on either side."""
    encoder, decoder, dtype = model.get_encoder(), model.get_decoder(), model.dtype
    by_kind = model.config.model_type in _MASK_BY_KIND
    input_positions, target_positions = (
        _positions(segments) for segments in (input_segments_RE, segments_RD)
    )

    def masks(mask: Tensor, window: Visibility | None) -> Any:
        if not by_kind:
            return mask
        narrow = mask if window is None else _within(mask, window)
        return {"full_attention": mask, "sliding_attention": narrow}

    own = segment_mask(input_segments_RE, input_segments_RE, dtype)
    if model.config.model_type in PADDING_MASKS_ONLY:
        encoded = encode_with_mask(model, input_ids_RE, own)
    else:
        with restarting_positions(encoder, input_positions, longest[0]):
            encoded = encoder(
                input_ids=input_ids_RE,
                attention_mask=masks(own, window_of_encoder(encoder) if by_kind else None),
                **positions_if_taken(encoder, input_positions),
            )
    causal = segment_mask(segments_RD, segments_RD, dtype, causal=True)
    with restarting_positions(decoder, target_positions, longest[1]):
        logits: Tensor = model(
            encoder_outputs=encoded,
            attention_mask=masks(segment_mask(segments_RD, input_segments_RE, dtype), None),
            decoder_input_ids=decoder_ids_RD,
            decoder_attention_mask=masks(causal, window_of_decoder(decoder) if by_kind else None),
            use_cache=False,
            **positions_if_taken(model, target_positions, "decoder_position_ids"),
        ).logits
    return logits


def causal_logits(
    model: Any, input_ids_RL: Tensor, segments_RL: Tensor, positions_RL: Tensor, *, longest: int
) -> Tensor:
    """(R, L, V) of a causal model. `longest`: the tokens of the longest segment."""
    mask = segment_mask(segments_RL, segments_RL, model.dtype, causal=True)
    with restarting_positions(model.base_model, positions_RL, longest):
        logits: Tensor = model(
            input_ids=input_ids_RL, attention_mask=mask, position_ids=positions_RL, use_cache=False
        ).logits
    return logits


def _positions(segments_RL: Tensor) -> Tensor:
    """The position of each token in its segment, (R, L); 0 for padding."""
    places = torch.arange(segments_RL.shape[1], device=segments_RL.device).expand_as(segments_RL)
    begins = torch.ones_like(segments_RL, dtype=torch.bool)
    begins[:, 1:] = segments_RL[:, 1:] != segments_RL[:, :-1]
    return (places - torch.where(begins, places, 0).cummax(1).values) * (segments_RL > 0)


def _within(mask: Tensor, window: Visibility) -> Tensor:
    visible = window.mask(mask.shape[-2], mask.shape[-1], mask.device)
    return mask if visible is None else mask.masked_fill(~visible, torch.finfo(mask.dtype).min)
