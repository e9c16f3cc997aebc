"""A batch on its way to the model: its arrays as tensors on the host, with all index tensors that attention
will read.

Made while the step before computes (`packing.loader`). Decision: for a GPU the tensors lie in pinned memory
and are copied without waiting, so the device meets them when it gets there; on a CPU they are the arrays
themselves. How attention goes over a flat buffer is decided here too, by the device: document by document on
a CPU, in buckets on a GPU. Price: pinned memory of a few batches, which the system cannot swap.

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
from openflan.packing.flat import FlatBatch, FlatCausalBatch, FlatSeq2SeqBatch, document_of

Batch: TypeAlias = PackedBatch | FlatBatch

Attending: TypeAlias = Literal["documents", "buckets"]
"""How attention goes over a flat buffer: document by document, or by buckets of like length."""

_ON_THE_HOST = {"input_offsets", "target_offsets", "offsets", "input_lengths_N"}


@dataclass(frozen=True, slots=True)
class Staged:
    """`tensors` are the batch's arrays by name, but for offsets; of a flat one also `documents`, the document
    of each target token, from 1.

    `buckets` are those of each attention: encoder, decoder, between them; or of the one that a causal model
    has. Empty: document by document.
    """

    batch: Batch
    tensors: Mapping[str, Tensor]
    buckets: tuple[BucketTensors, ...] = ()

    def on(self, device: torch.device) -> Staged:
        """With everything that layers read on `device`; the copies from pinned memory may still be under
        way."""
        return _each(self, lambda tensor: tensor.to(device, non_blocking=True))


def attending_on(device: torch.device) -> Attending:
    return "buckets" if device.type == "cuda" else "documents"


def stage(batch: Batch, device: torch.device, attending: Attending | None = None) -> Staged:
    """`batch` as it is copied to `device`; `attending` is what suits the device, where nothing is said."""
    arrays = {
        field.name: getattr(batch, field.name)
        for field in dataclasses.fields(batch)
        if field.name not in _ON_THE_HOST
    }
    buckets: tuple[BucketTensors, ...] = ()
    if isinstance(batch, FlatSeq2SeqBatch | FlatCausalBatch):
        arrays["documents"] = document_of(batch.target_offsets)
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
    """Every tensor moved, once where it stands twice: where documents attend to themselves, the indices of
    queries are those of keys."""
    moved: dict[int, Tensor] = {}

    def once(tensor: Tensor) -> Tensor:
        if id(tensor) not in moved:
            moved[id(tensor)] = move(tensor)
        return moved[id(tensor)]

    def of(buckets: BucketTensors) -> BucketTensors:
        found: dict[str, Any] = {
            name: once(value)
            for name, value in buckets._asdict().items()
            if isinstance(value, Tensor) and name != "shapes"
        }
        return buckets._replace(**found)

    return Staged(
        staged.batch,
        {name: once(tensor) for name, tensor in staged.tensors.items()},
        tuple(of(one) for one in staged.buckets),
    )
