"""Adds tokens to a tokenizer, and rows to a model's embeddings where they are needed.

T5's matrices have unused rows (32,128 for 32,100 tokens), which are used first, so such a model keeps its
size. New rows are drawn from the model's initial distribution and a seed, never from the mean of the old
ones, so that a recipe always makes the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

_MULTIPLE = 8
"""Matrix kernels are fastest for sizes that eight divides."""


def add_tokens(tokenizer: Any, tokens: Sequence[str]) -> None:
    """Adds special tokens, in this order, after those that are there. They match their exact text, without
    white space around it."""
    from tokenizers import AddedToken

    if tokens:
        tokenizer.add_tokens(
            [AddedToken(token, normalized=False, special=True) for token in tokens], special_tokens=True
        )


def grow_embeddings(model: Any, tokens: int, seed: int) -> int:
    """Grows the embeddings, and the head, to at least `tokens` rows; returns how many were added, 0 where
    there were enough."""
    rows = model.get_input_embeddings().weight.shape[0]
    if tokens <= rows:
        return 0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.resize_token_embeddings(tokens, pad_to_multiple_of=_MULTIPLE, mean_resizing=False)
    grown: int = model.get_input_embeddings().weight.shape[0] - rows
    return grown
