"""The token that begins every text of a decoder."""

from __future__ import annotations

from typing import Any


def decoder_start(config: Any, generation: Any = None) -> int:
    """The id of the token before a decoder's first one, from an encoder-decoder's generation settings, else
    from its configuration. T5Gemma's configurations state it as the decoder's `bos_token_id` only."""
    stated = (
        getattr(generation, "decoder_start_token_id", None),
        getattr(config, "decoder_start_token_id", None),
        getattr(getattr(config, "decoder", None), "bos_token_id", None),
    )
    return next((int(start) for start in stated if start is not None), 0)
