"""Which of transformers' own attention functions is exact for a model's layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def transformers_implementation(model: Any) -> str:
    """`sdpa`, or `eager` where that would lose a cap on attention scores (Gemma 2) or is not supported by the
    model."""
    capped = any(getattr(part, "attn_logit_softcapping", None) is not None for part in parts_of(model.config))
    return "eager" if capped or not getattr(model, "_supports_sdpa", True) else "sdpa"


def parts_of(config: Any) -> Iterator[Any]:
    """A configuration and those within it (encoder, decoder, text)."""
    yield config
    for value in list(vars(config).values()):
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            yield from parts_of(value)
