"""Random choices that depend on what they are for, never on what was drawn before.

Every choice in openflan derives from (seed, purpose, position). Any part of a run can therefore be repeated,
resumed or computed on another machine by itself. `Draws` is a counter-based generator (SplitMix64). Creating
one costs a hash of a few integers, which matters because every rendered example has its own. numpy's
generators take 20 microseconds to seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(value: int) -> int:
    """SplitMix64's output function: one bijective scramble of 64 bits."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def key_of(text: str) -> int:
    """Return 64 bits for a name, equal on every machine and in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def combine(*parts: int | str) -> int:
    """Return 64 bits from a seed, names and positions. The order of the parts matters."""
    state = 0
    for part in parts:
        state = _mix((state + _GOLDEN + (key_of(part) if isinstance(part, str) else part)) & _MASK)
    return state


class Draws:
    """A stream of random draws for one purpose and position."""

    __slots__ = ("_state",)

    def __init__(self, *parts: int | str) -> None:
        self._state = combine(*parts)

    def bits(self) -> int:
        self._state = (self._state + _GOLDEN) & _MASK
        return _mix(self._state)

    def below(self, bound: int) -> int:
        """Return a whole number in [0, bound). The bias for bounds under 2**32 is below 1e-9."""
        return (self.bits() * bound) >> 64

    def chance(self, probability: float) -> bool:
        return self.bits() < probability * 2.0**64

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def distinct(self, count: int, bound: int, avoid: int | None = None) -> list[int]:
        """Return `count` different whole numbers in [0, bound), none equal to `avoid`; fewer if there are not
        enough."""
        available = bound - (1 if avoid is not None and 0 <= avoid < bound else 0)
        chosen: list[int] = []
        while len(chosen) < min(count, available):
            draw = self.below(bound)
            if draw != avoid and draw not in chosen:
                chosen.append(draw)
        return chosen


def scramble(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output function on whole arrays."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def shuffled(size: int, *parts: int | str) -> NDArray[np.int64]:
    """Return a seeded order of range(size), shape (size,): the order that sorts 64-bit keys."""
    with np.errstate(over="ignore"):
        keys = scramble(
            np.uint64(combine(*parts)) + np.arange(1, size + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        )
    return np.argsort(keys, kind="stable")


class Permutation:
    """A seeded permutation of range(size): any element without computing the others.

    Up to 65,536 elements it is a stored table. Above, it is a balanced Feistel network of four rounds over
    the next even power of two. The network is applied until the value is inside the range, fewer than four
    times on average. A task of a billion rows costs no memory.
    """

    _STORED = 1 << 16

    def __init__(self, size: int, *parts: int | str) -> None:
        if size < 1:
            raise ValueError("a permutation needs at least one element")
        self.size = size
        self._table = shuffled(size, *parts) if size <= self._STORED else None
        self._half = ((size - 1).bit_length() + 1) // 2
        self._keys = [np.uint64(combine(*parts, round_)) for round_ in range(4)]

    def __getitem__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The elements at `positions` (any shape, each in [0, size))."""
        if self._table is not None:
            return self._table[positions]
        out = self._network(positions.astype(np.uint64).reshape(-1))
        outside = out >= np.uint64(self.size)
        while outside.any():
            out[outside] = self._network(out[outside])
            outside = out >= np.uint64(self.size)
        return out.astype(np.int64).reshape(positions.shape)

    def _network(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        half = np.uint64(self._half)
        mask = np.uint64((1 << self._half) - 1)
        left, right = values >> half, values & mask
        with np.errstate(over="ignore"):
            for key in self._keys:
                left, right = right, left ^ (scramble(right + key) & mask)
        return (left << half) | right
