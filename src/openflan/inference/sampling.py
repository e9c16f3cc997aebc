"""Drawing the next token.

A draw is the inverse cumulative distribution at a number that belongs to (request, sample, position), so
samples depend neither on the rest of the batch nor on the order of computation. Probabilities are summed in
the order of token ids and in float64: batches that differ in the last bits of their logits then move the
borders between tokens by as little, whereas an order by probability would swap neighbours. Price: of two
nearly equal tokens at the border of the top k either may be kept.

Shape suffixes: B generations, V vocabulary, K kept tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from openflan.inference.protocol import Request
from openflan.randomness import combine

_BITS = 53
"""The bits of a float64's significand."""


def sampling_key_of(request: Request) -> int:
    """A 64-bit key of all that a request's draws depend on; its length and its number of samples are not
    part of it."""
    before = [part for turn in request.before for part in (turn.role, turn.content)]
    return combine(
        "sampling", request.prompt, repr(request.temperature), request.top_k, request.seed, *before
    )


def uniform(sampling_key: int, sample: int, position: int) -> float:
    """The number in [0, 1) that decides a position of a sample."""
    return float((combine(sampling_key, sample, position) >> (64 - _BITS)) * 2.0**-_BITS)


def draw_tokens(logits_BV: Tensor, uniforms: Sequence[float], temperature: float, top_k: int) -> list[int]:
    """A token for each generation, from its `top_k` likeliest (0: from all) at `temperature` > 0."""
    vocabulary = logits_BV.shape[1]
    ids_BK = None
    # MPS has no float64, in which the sums below are made.
    kept = logits_BV.float().cpu() if logits_BV.device.type == "mps" else logits_BV.float()
    if 0 < top_k < vocabulary:
        ids_BK = torch.topk(kept, top_k, sorted=False).indices.sort(-1).values
        kept = kept.gather(1, ids_BK)
    cumulative_BK = torch.softmax(kept.double() / temperature, -1).cumsum(-1)
    # Rounding may leave the last sum a hair below 1.
    target_B1 = (
        torch.tensor(uniforms, dtype=torch.float64, device=kept.device)[:, None] * cumulative_BK[:, -1:]
    )
    places_B1 = (cumulative_BK <= target_B1).sum(-1, keepdim=True).clamp(max=kept.shape[1] - 1)
    token_ids: list[int] = (places_B1 if ids_BK is None else ids_BK.gather(1, places_B1))[:, 0].tolist()
    return token_ids
