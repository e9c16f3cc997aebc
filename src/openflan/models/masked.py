"""Dense segment masks for encoders that take padding masks only.

Switch Transformers builds its encoder's mask itself, from a padding mask. Its attention function is looked up
by name and gets the forward's keyword arguments, so ours reads the segment mask from them. The model has our
function's name for one forward; under that name transformers makes no causal mask of a padding mask.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface

PADDING_MASKS_ONLY = ("switch_transformers",)
"""`model_type` of the models whose encoder takes no 4-D mask."""

_NAME = "openflan_masked"


def encode_with_mask(model: Any, input_ids_RE: Tensor, mask_R1EE: Tensor) -> Any:
    """The encoder's output with `mask_R1EE` added to its scores. Raises ValueError under activation
    checkpointing, which would lose the mask."""
    if any(getattr(module, "gradient_checkpointing", False) for module in model.modules()):
        raise ValueError("segment masks do not outlive the forward, which activation checkpointing needs")
    AttentionInterface.register(_NAME, _attend)
    before = model.config._attn_implementation
    model.set_attn_implementation(_NAME)
    try:
        return model.get_encoder()(input_ids=input_ids_RE, segment_mask=mask_R1EE)
    finally:
        model.set_attn_implementation(before)


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    segment_mask: Tensor,
    position_bias: Tensor,
    scaling: float = 1.0,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[Tensor, None]:
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling + position_bias + segment_mask
    weights = functional.dropout(torch.softmax(scores, dim=-1), dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None
