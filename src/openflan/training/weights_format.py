"""The number format in which a model's weights are held while it trains."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


@torch.no_grad()
def hold_in_bfloat16(parameters: Iterable[nn.Parameter]) -> None:
    """Rounds parameters to bfloat16, in place; the former values of each are freed before the next one is
    rounded. Weights that came from bfloat16 files keep their values. Integers stay."""
    for parameter in parameters:
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(torch.bfloat16)
