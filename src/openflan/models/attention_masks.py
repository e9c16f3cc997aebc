"""Masks that are added to attention scores: 0 where a query may see a key, else the lowest finite number.

Decision: the lowest finite number and not minus infinity. A query without any key would give NaN with the
latter, and a NaN spreads through the gradient.

Shape suffixes: R sequences, Q queries, K keys, B prompts, P positions of the longest prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def segment_mask(
    query_segments_RQ: Tensor, key_segments_RK: Tensor, dtype: torch.dtype, *, causal: bool = False
) -> Tensor:
    """A mask (R, 1, Q, K) under which a token sees its own segment only, with `causal` up to itself.

    Padded queries (segment 0) see every key, and nothing reads their states. Without a key they would give
    NaN where the lowest number becomes minus infinity, as it does in bfloat16.
    """
    visible = (query_segments_RQ[:, :, None] == key_segments_RK[:, None, :]) | (query_segments_RQ == 0)[
        :, :, None
    ]
    if causal:
        visible = visible & torch.ones(visible.shape[1:], dtype=torch.bool, device=visible.device).tril()
    return _added_to_scores(visible, dtype)[:, None]


def prefix_lm_mask(inputs: int, length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A mask (1, 1, length, length) of one example whose first `inputs` tokens see one another; every other
    token sees those up to itself."""
    visible = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    visible[:inputs, :inputs] = True
    return _added_to_scores(visible, dtype)[None, None]


def prompt_mask(lengths: Sequence[int], positions: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A mask (B, 1, P, P) of left-padded prompts, each token of which sees all of its prompt and no padding.

    Padded queries see the prompt too: nothing reads their states, and a query without a key would give NaN.
    """
    real = (
        torch.arange(positions, device=device)
        >= positions - torch.tensor(list(lengths), device=device)[:, None]
    )
    return _added_to_scores(real, dtype)[:, None, None].expand(-1, 1, positions, -1)


def _added_to_scores(visible: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(
        ~visible, torch.finfo(dtype).min
    )
