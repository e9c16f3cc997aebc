"""Tries whether our decoding of causal models is exact for a model.

Its log-probabilities are compared with those of transformers' own forward, on two short prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from openflan.inference.batching import Prompt
from openflan.inference.causal_attention import decoding_attention
from openflan.inference.causal_decoding import CausalDecoder
from openflan.models.attention_masks import prefix_lm_mask

_LENGTH_BOUND = {"dynamic", "longrope"}
"""Kinds of rotary positions that depend on the longest sequence of a forward, so that a generation would
depend on its batch."""


@torch.inference_mode()
def decoding_is_exact(model: Any, *, prefix: bool = False) -> bool:
    """Whether our decoding gives the log-probabilities of transformers' forward, on two prompts with the
    same beginning; with `prefix` their tokens see one another."""
    if _rope_type(model.config) in _LENGTH_BOUND:
        return False
    size = model.get_input_embeddings().weight.shape[0]
    ids = [
        tuple((7 * index + 3 * (index > 5) * number + 1) % size for index in range(9 + number))
        for number in range(2)
    ]
    own = [_own_logits(model, one, len(one) - 2 if prefix else 0)[-3:].float().log_softmax(-1) for one in ids]
    try:
        with decoding_attention(model):
            decoder = CausalDecoder(model, prefix=prefix)
            prompts = [Prompt(one[:-2], [], 0 if prefix else 5) for one in ids]
            decoder.admit(prompts)
            for prompt in prompts:
                decoder.add(prompt)
            steps = [
                decoder.step([one[index - 3] for one in ids]).float().log_softmax(-1) for index in range(3)
            ]
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError, IndexError):
        return False
    tolerance = 1e-3 if model.dtype == torch.float32 else 0.25
    return all(
        torch.allclose(step[number], own[number][index], atol=tolerance, rtol=tolerance)
        for index, step in enumerate(steps)
        for number in range(2)
    )


def _own_logits(model: Any, ids: Sequence[int], prefix: int) -> Tensor:
    """The logits (tokens, vocabulary) of transformers' own forward; the first `prefix` tokens see one
    another."""
    mask = prefix_lm_mask(prefix, len(ids), model.dtype, model.device) if prefix else None
    logits: Tensor = model(
        input_ids=torch.tensor([ids], device=model.device), attention_mask=mask, use_cache=False
    ).logits[0]
    return logits


def _rope_type(config: Any) -> str:
    settings = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    return (
        str(settings.get("rope_type", settings.get("type", "default")))
        if isinstance(settings, dict)
        else "default"
    )
