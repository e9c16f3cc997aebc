"""Stochastic rounding of float32 numbers to bfloat16, with bits that depend only on what is rounded.

bfloat16 has 8 bits of precision: an update that is smaller than half the distance to the next number is lost
under rounding to nearest, at every step anew. Stochastic rounding takes the upper neighbour with a
probability in proportion to the distance from the lower one, so that the mean over many steps is right.

The random bits of an element are a hash of (seed, step, parameter's name, kind of tensor, offset of the
element in the whole tensor). So they do not depend on how a tensor is divided over processes or pieces, and a
run that continues from a checkpoint rounds as one that was never stopped. The hash is plain arithmetic on
int32 tensors, which wraps around alike on every device. Trade-off: a tensor of more than 2^32 elements gets
the same bits again beyond these.
"""

from __future__ import annotations

import torch
from torch import Tensor

from openflan.randomness import combine

_LOW_BITS = 16
_FIRST_FACTOR, _SECOND_FACTOR = 0x7FEB352D, 0x846CA68B - (1 << 32)
"""Multipliers of the 32-bit mixing function "lowbias32" (Wellons 2018), the second as a signed number."""


def rounding_key(seed: int, step: int, name: str, kind: str) -> int:
    """64 bits for the rounding of one tensor at one step: `kind` is `weight`, or that of a statistic."""
    return combine(seed, "rounding", step, name, kind)


@torch.no_grad()
def round_into(target: Tensor, values: Tensor, key: int, first: int = 0) -> None:
    """Writes float32 `values` into a bfloat16 `target` of the same shape, rounded stochastically.

    `first` is the offset, in the whole contiguous tensor, of the first element of `target`, whose strides say
    how far the others are from it. Values that bfloat16 represents, infinities and NaN stay what they are.
    The contents of `values` are lost.
    """
    bits = values.view(torch.int32)
    bits += random_bits(target, key, first)
    # The upper 16 bits of a float32 are the bfloat16 below it in magnitude.
    bits &= -(1 << _LOW_BITS)
    target.copy_(values)


def store(target: Tensor, values: Tensor, key: int, first: int = 0) -> None:
    """Writes `values` into `target`: rounded stochastically if that is bfloat16 (see `round_into`), copied if
    it has another memory than `values`."""
    if target.dtype == torch.bfloat16:
        round_into(target, values, key, first)
    elif target.data_ptr() != values.data_ptr():
        target.copy_(values)


def random_bits(like: Tensor, key: int, first: int = 0) -> Tensor:
    """16 random bits for each element of `like`, int32 of its shape; see `round_into`."""
    low_key, high_key = _signed(key), _signed(key >> 32)
    bits = _offsets(like, first)
    bits ^= low_key
    _fold(bits, 16)
    bits *= _FIRST_FACTOR
    bits += high_key
    _fold(bits, 15)
    bits *= _SECOND_FACTOR
    bits >>= 32 - _LOW_BITS
    bits &= (1 << _LOW_BITS) - 1
    return bits


def _offsets(like: Tensor, first: int) -> Tensor:
    """The offset of each element, modulo 2^32, as int32 of the shape of `like`."""
    if like.is_contiguous():
        count = like.numel()
        return (torch.arange(count, dtype=torch.int32, device=like.device) + _signed(first)).view(like.shape)
    offsets = torch.full((), _signed(first), dtype=torch.int32, device=like.device)
    for dim, (size, stride) in enumerate(zip(like.shape, like.stride(), strict=True)):
        along = torch.arange(size, dtype=torch.int32, device=like.device) * _signed(stride)
        offsets = offsets + along.view(-1, *(1,) * (like.ndim - 1 - dim))
    return offsets.expand(like.shape).contiguous()


def _fold(bits: Tensor, by: int) -> None:
    """bits ^= bits >> by, the shift without the sign."""
    bits ^= (bits >> by).bitwise_and_((1 << (32 - by)) - 1)


def _signed(value: int) -> int:
    """The lower 32 bits as a signed number."""
    return ((value + (1 << 31)) & ((1 << 32) - 1)) - (1 << 31)
