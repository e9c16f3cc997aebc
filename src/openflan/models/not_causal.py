"""Refuses models without an encoder that see the tokens which they would learn to write."""

from __future__ import annotations

from typing import Any

import torch

from openflan.errors import InputError
from openflan.models.probe import FAILURES, probe_of
from openflan.models.random_documents import random_documents, tensor_on, without_dropout


class NotCausal(InputError):
    """Raised for a model without an encoder that sees the tokens which it would learn to write."""


@torch.no_grad()
def refuse_not_causal(model: Any) -> None:
    """Raises NotCausal for a model without an encoder in which a token changes the logits before it."""
    if model.config.is_encoder_decoder:
        return
    try:
        probe = probe_of(model)
    except FAILURES:
        probe = model
    ids = tensor_on(random_documents(probe, ((8, 8),))[0].input_ids, probe)[None]
    other = ids.clone()
    other[0, -1] = (other[0, -1] + 1) % probe.get_input_embeddings().weight.shape[0]
    try:
        with without_dropout(probe):
            before, after = (probe(input_ids=one, use_cache=False).logits[0, :-1] for one in (ids, other))
    except FAILURES:
        return
    if (before - after).abs().max() > 1e-3 * before.abs().max():
        raise NotCausal(
            f"a model of type {model.config.model_type} is an encoder: each token sees those after it, "
            "so it cannot learn to write; "
            "use an encoder-decoder such as T5, or a causal model"
        )
