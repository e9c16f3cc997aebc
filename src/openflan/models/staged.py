"""A batch as tensors on the host, with all index tensors that attention will read.

Made while the step before computes (`packing.loader`). Decision: for a GPU the tensors are in pinned memory
and are copied without waiting; on a CPU they share the arrays' memory. How attention runs over a flat buffer
is decided here too, by the device: document by document on a CPU, in buckets on a GPU. Price: pinned memory
of a few batches, which the system cannot swap.

Shape suffixes as in `packing.flat`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from openflan.models.bucketed import BucketTensors, tensors_of
from openflan.packing.batch import PackedBatch
from openflan.packing.buckets import bucketed
from openflan.packing.flat import FlatBatch, FlatCausalBatch, FlatSeq2SeqBatch, document_of, positions_of

Batch: TypeAlias = PackedBatch | FlatBatch

Attending: TypeAlias = Literal["documents", "buckets"]
"""How attention runs over a flat buffer: document by document, or in buckets of like length."""

_ON_THE_HOST = {"input_offsets", "target_offsets", "offsets", "input_lengths_N"}


@dataclass(frozen=True, slots=True)
class Staged:
    """A batch and its tensors. `tensors` are the batch's arrays by name, without offsets; for a flat batch
    also `documents`, the document of each target token, from 1, and of an encoder-decoder the positions of
    inputs and targets, which restart with every document.

    `buckets` are those of each attention: encoder, decoder, between them; or of the one that a causal model
    has. Empty: document by document.
    """

    batch: Batch
    tensors: Mapping[str, Tensor]
    buckets: tuple[BucketTensors, ...] = ()

    def on(self, device: torch.device) -> Staged:
        """The batch with all tensors that layers read on `device`; copies from pinned memory may still be
        running."""
        return _each(self, lambda tensor: tensor.to(device, non_blocking=device.type == "cuda"))


def attending_on(device: torch.device) -> Attending:
    return "buckets" if device.type == "cuda" else "documents"


def stage(batch: Batch, device: torch.device, attending: Attending | None = None) -> Staged:
    """The tensors of a batch that will be copied to `device`; `attending` None means what suits the
    device."""
    arrays = {
        field.name: getattr(batch, field.name)
        for field in dataclasses.fields(batch)
        if field.name not in _ON_THE_HOST
    }
    buckets: tuple[BucketTensors, ...] = ()
    if isinstance(batch, FlatSeq2SeqBatch | FlatCausalBatch):
        arrays["documents"] = document_of(batch.target_offsets)
        if isinstance(batch, FlatSeq2SeqBatch):
            arrays["input_positions_E"] = positions_of(batch.input_offsets)
            arrays["target_positions_D"] = positions_of(batch.target_offsets)
        if (attending or attending_on(device)) == "buckets":
            buckets = _buckets(batch)
    staged = Staged(batch, {name: torch.from_numpy(array) for name, array in arrays.items()}, buckets)
    return _each(staged, Tensor.pin_memory) if device.type == "cuda" else staged


def longest_document(staged: Staged) -> int:
    """The tokens of the longest document of an encoder-decoder's flat batch, or the width of the widest
    bucket."""
    if staged.buckets:
        return max(int(one.shapes[:, 1].max()) for one in staged.buckets[:2])
    batch = staged.batch
    if not isinstance(batch, FlatSeq2SeqBatch):
        raise TypeError("a batch of an encoder-decoder is needed")
    return int(max(np.diff(batch.input_offsets).max(), np.diff(batch.target_offsets).max()))


def _buckets(batch: FlatBatch) -> tuple[BucketTensors, ...]:
    if isinstance(batch, FlatCausalBatch):
        return (tensors_of(bucketed(batch.offsets, batch.offsets), batch.input_lengths_N),)
    inputs, targets = batch.input_offsets, batch.target_offsets
    return tuple(
        tensors_of(bucketed(*sides)) for sides in ((inputs, inputs), (targets, targets), (targets, inputs))
    )


def _each(staged: Staged, move: Callable[[Tensor], Tensor]) -> Staged:
    """Moves every tensor once, even if it occurs twice: where documents attend to themselves, queries and
    keys share index tensors."""
    moved: dict[int, Tensor] = {}

    def once(tensor: Tensor) -> Tensor:
        if id(tensor) not in moved:
            moved[id(tensor)] = move(tensor)
        return moved[id(tensor)]

    def of(buckets: BucketTensors) -> BucketTensors:
        moved_tensors: dict[str, Any] = {
            name: once(value)
            for name, value in buckets._asdict().items()
            if isinstance(value, Tensor) and name != "shapes"
        }
        return buckets._replace(**moved_tensors)

    return Staged(
        staged.batch,
        {name: once(tensor) for name, tensor in staged.tensors.items()},
        tuple(of(one) for one in staged.buckets),
    )
