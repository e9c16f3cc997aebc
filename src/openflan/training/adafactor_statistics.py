"""The statistics that Adafactor keeps of a parameter.

Matrices whose two largest dimensions both reach `FACTORED_FROM` have a vector for each of the two; all other
parameters have a number for each element.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

FACTORED_FROM = 128
"""Least size of both dimensions for factored statistics (T5X: min_dim_size_to_factor)."""


def prepare_statistics(
    state: dict[str, Any],
    parameter: Tensor,
    dtype: torch.dtype,
    own_dtype: torch.dtype,
    device: torch.device,
    momentum: float | None,
) -> None:
    """Puts zeros for all statistics of a parameter into `state`: of its own shape in `own_dtype`, sharded as
    it is, others in `dtype`."""
    state["step"] = torch.zeros((), dtype=torch.int64)
    for kind, shape in statistics_shapes(parameter.shape, momentum).items():
        own = shape == parameter.shape
        state[kind] = (
            torch.zeros_like(parameter, dtype=own_dtype)
            if own
            else torch.zeros(shape, dtype=dtype, device=device)
        )


def statistics_shapes(shape: tuple[int, ...], momentum: float | None) -> dict[str, tuple[int, ...]]:
    """What is kept of a parameter of this (whole) shape, beside `step`: `row` and `column`, or `full`;
    `momentum` if it is set."""
    if len(shape) >= 2 and sorted(shape)[-2] >= FACTORED_FROM:
        kept = {
            kind: (*shape[:lost], *shape[lost + 1 :])
            for kind, lost in zip(("row", "column"), two_largest_dims(shape), strict=True)
        }
    else:
        kept = {"full": tuple(shape)}
    return kept if momentum is None else kept | {"momentum": tuple(shape)}


@lru_cache(maxsize=4096)
def two_largest_dims(shape: tuple[int, ...]) -> tuple[int, int]:
    """The dimensions that `row` and `column` are means over: the largest, the second largest."""
    small, large = sorted(range(len(shape)), key=lambda dim: shape[dim])[-2:]
    return large, small
