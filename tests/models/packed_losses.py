"""Losses of packed sequences in one call, after which the model has its own attention function again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from openflan.models.packed import LossOptions, Packing, temporary_layout
from openflan.models.staged import Batch, Staged
from openflan.packing.encode import Encoded


def packed_batch(
    model: Any, sequences: Sequence[Sequence[Encoded]], packing: Packing = "flat", **options: Any
) -> Batch:
    with temporary_layout(model, packing, LossOptions(**options)) as layout:
        return layout.batch(sequences)


def batch_losses(
    model: Any, batch: Batch | Staged, packing: Packing = "flat", **options: Any
) -> tuple[Tensor, Tensor]:
    with temporary_layout(model, packing, LossOptions(**options)) as layout:
        return layout.losses(batch)


def packed_losses(
    model: Any, sequences: Sequence[Sequence[Encoded]], packing: Packing = "flat", **options: Any
) -> tuple[Tensor, Tensor]:
    with temporary_layout(model, packing, LossOptions(**options)) as layout:
        return layout.losses(layout.batch(sequences))
