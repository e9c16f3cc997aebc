"""The properties of a loaded model that inference depends on: how it is decoded, which ids end its text,
how long a prompt may be, and how many tokens fit into memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from openflan.errors import InputError
from openflan.inference.protocol import Request

RELATIVE_CONTEXT = 2048
"""The most input tokens of a model without a position limit: T5's `n_positions` of 512 is a length of
pretraining, FLAN v2 trains on 2048."""

DecodingMethod: TypeAlias = Literal["t5", "causal", "transformers"]
"""How a model is decoded: by one of our decoders, or by transformers' `generate`."""

_MOST_BATCH_TOKENS = {"cpu": 32_768, "cuda": 1 << 20}
_CPU_CACHE_BYTES = 2 << 30


DTYPES = ("float32", "bfloat16")
"""The number formats in which a model may generate."""

_FLOAT32_PARAMETERS = 1_500_000_000


def default_dtype(model: Any) -> str:
    """The number format in which a model generates unless one is named: float32 up to 1.5 billion parameters,
    which models called "1B" have at most, and bfloat16 above."""
    small = sum(parameter.numel() for parameter in model.parameters()) <= _FLOAT32_PARAMETERS
    return "float32" if small else "bfloat16"


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Runs a block in evaluation mode, with transformers' own attention where the model trains with ours;
    both are restored afterwards."""
    from openflan.models import causal

    training = model.training
    model.eval()
    try:
        with (
            causal.transformers_attention(model)
            if model.config._attn_implementation == causal.NAME
            else nullcontext()
        ):
            yield
    finally:
        model.train(training)


def decoding_method(model: Any, *, prefix: bool = False) -> DecodingMethod:
    """Our decoder that is exact for a model, else `transformers`; with `prefix` a prompt's tokens see one
    another."""
    if model.config.is_encoder_decoder:
        from openflan.models.t5 import FAMILIES

        return "t5" if model.config.model_type in FAMILIES else "transformers"
    from openflan.inference.decoding_check import decoding_is_exact

    return "causal" if decoding_is_exact(model, prefix=prefix) else "transformers"


def end_of_sequence(model: Any, tokenizer: Any, name: str) -> frozenset[int]:
    """The ids that end a generation; the generation settings come first, as chat models end turns with a
    token of their own."""
    for value in (
        model.generation_config.eos_token_id,
        getattr(model.config, "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        if value is not None:
            return frozenset(map(int, value if isinstance(value, list | tuple) else [value]))
    raise InputError(
        f"{name} has no end-of-sequence token, so its generations would not end; set `eos_token_id` in "
        "its generation_config.json"
    )


def context_of(config: Any, context: int | None, name: str) -> int:
    """The most tokens of a model's context. Raises InputError for more than a model with learned positions
    has."""
    limit = _position_limit(config)
    if context is None:
        return limit or RELATIVE_CONTEXT
    if context < 1:
        raise InputError(f"context is {context}, expected at least 1")
    if limit is not None and context > limit:
        if not (getattr(config, "rope_parameters", None) or getattr(config, "rope_theta", None)):
            raise InputError(
                f"{name} has {limit} positions, each of them learned: a context of {context} does not fit"
            )
        warnings.warn(
            f"{name} was trained on {limit} positions; with a context of {context} its answers to longer "
            "prompts may be meaningless",
            stacklevel=3,
        )
    return context


def within_window(config: Any, context: int, name: str) -> int:
    """The context of a prefix-LM that transformers decodes: its cache of a sliding window drops keys that
    a prompt's last token has seen."""
    from openflan.models.prefix import attention_window

    window = attention_window(config)
    if window is None or context < window:
        return context
    message = (
        f"{name}: its prompts' tokens see one another, which transformers does within a window of "
        f"{window} only: longer prompts are refused"
    )
    warnings.warn(message, stacklevel=4)
    return window - 1


def within_context(request: Request, prompt_tokens: int, context: int | None) -> Request:
    """The request, with at most the thinking tokens that the context leaves beside prompt and answer. A
    `context` of None is not shared by prompt and generation (seq2seq)."""
    if context is None or not request.thinking_tokens:
        return request
    left = max(1, context - prompt_tokens - request.max_tokens)
    return replace(request, thinking_tokens=min(request.thinking_tokens, left))


def _position_limit(config: Any) -> int | None:
    """How many positions the model has; none for relative biases (T5), whatever `n_positions` says."""
    if getattr(config, "relative_attention_num_buckets", None):
        return None
    limit = getattr(config, "max_position_embeddings", None)
    return int(limit) if limit else None


def batch_tokens_of(model: Any) -> int:
    """The tokens whose keys and values take two fifths of a GPU's free memory, or 2 GiB on a CPU."""
    import torch

    config = model.config
    layers = getattr(config, "num_decoder_layers", None) or getattr(config, "num_hidden_layers", None) or 1
    heads = (
        getattr(config, "num_key_value_heads", None)
        or getattr(config, "num_heads", None)
        or getattr(config, "num_attention_heads", None)
        or 1
    )
    width = getattr(config, "hidden_size", None) or 1
    channels = (
        getattr(config, "d_kv", None)
        or getattr(config, "head_dim", None)
        or width // (getattr(config, "num_attention_heads", None) or heads)
    )
    kind = model.device.type
    memory = int(0.4 * torch.cuda.mem_get_info(model.device)[0]) if kind == "cuda" else _CPU_CACHE_BYTES
    token = 2 * int(layers) * int(heads) * int(channels) * int(model.dtype.itemsize)
    return max(1, min(_MOST_BATCH_TOKENS.get(kind, 32_768), memory // max(1, token)))
