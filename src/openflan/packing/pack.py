"""Which examples share a sequence: packing against two capacities at once.

A sequence has capacities for input tokens and for target tokens, and either may be used up first. A pool
holds the oldest examples: the oldest one opens a sequence, then the best fitting one of the pool joins it,
until none fits. Windows are packed independently, so a sequence is found by (window, number) without history;
and many windows are packed at once, one example of each in a step, which makes plain numpy fast. A window's
sequences do not depend on its neighbours, nor on the machine: only elementwise float32 operations that IEEE
754 rounds in one way take part, never a matrix product, whose order of summation varies. Trade-off: the last
sequences of a window are emptier, and a group of windows takes as long as its longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WINDOW = 4_096
"""Examples that are packed together."""

POOL = 100
"""Examples that compete for a sequence. Twice as many gain some 0.1 % of sequences and take half as long
again (docs/diary.md)."""

GROUP = 256
"""Windows that advance together; more gain no speed, and this many of 4,096 examples take 45 MB, results
included."""

_EXACT = 1 << 24
"""Whole numbers up to here are exact in float32."""

# What is known of an example while it waits: its direction scaled by its suitability (2), its tokens (2), and
# minus its number, from -1 down.
_FIELDS = 5
_EMPTY = np.array([0, 0, 2 * _EXACT, 2 * _EXACT, -2 * _EXACT], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Packed:
    """The sequences of one window, as flat arrays.

    Sequence k holds the examples `members[starts[k] : starts[k + 1]]`, its oldest first. `members`
    (examples,) holds every example number of the window once; `starts` (sequences + 1,) ends with their
    count. Of a window that is read from a build `members` may hold more than its own.
    """

    members: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self.starts) - 1

    def sequence(self, number: int) -> NDArray[np.int64]:
        """The example numbers of a sequence."""
        return self.members[self.starts[number] : self.starts[number + 1]]

    def sequences(self) -> list[list[int]]:
        """The example numbers of each sequence."""
        members, starts = self.members.tolist(), self.starts.tolist()
        return [members[start:end] for start, end in pairwise(starts)]


def pack_windows(lengths: Sequence[NDArray[np.int64]], capacity_2: tuple[int, int]) -> list[Packed]:
    """Sequences of example numbers for each window: every example exactly once, in sequences that fit.

    `lengths` holds one array (N, 2) a window, of any N: the input and target tokens of its examples.
    `capacity_2` are a sequence's capacities; the second may be 0 where the second lengths are. Sequences are
    in the order of their first members, which are the oldest of their sequences. Raises ValueError if an
    example fits no sequence, or if a window or a capacity is larger than 16,777,216.
    """
    if max(capacity_2, default=0) > _EXACT or any(len(lengths_N2) > _EXACT for lengths_N2 in lengths):
        raise ValueError(f"windows and sequences hold at most {_EXACT:,} examples and tokens")
    if any(np.any(lengths_N2 > capacity_2) for lengths_N2 in lengths):
        raise ValueError("an example is longer than a sequence")
    groups = (lengths[start : start + GROUP] for start in range(0, len(lengths), GROUP))
    return [
        packed for group in groups for packed in _pack_group(group, np.array(capacity_2, dtype=np.float32))
    ]


def lower_bound(lengths_N2: NDArray[np.int64], capacity_2: tuple[int, int]) -> float:
    """Sequences that no packing can beat: the fuller side's tokens over its capacity."""
    totals = lengths_N2.sum(axis=0)
    return max(float(total) / size for total, size in zip(totals, capacity_2, strict=True) if size)


# Below, W counts windows, P the members of a pool, F the fields of an example, N the examples of the longest
# window.


def _pack_group(lengths: Sequence[NDArray[np.int64]], capacity_2: NDArray[np.float32]) -> list[Packed]:
    """Every step places one example of each window: the best that fits its open sequence, or the oldest,
    which then opens the next."""
    sizes = [len(lengths_N2) for lengths_N2 in lengths]
    windows, longest = len(sizes), max(sizes)
    weight_2: NDArray[np.float32] = np.divide(1, np.maximum(capacity_2, 1), dtype=np.float32)
    waiting_NFW = np.tile(_EMPTY[:, None], (longest + POOL, 1, windows))
    for window, lengths_N2 in enumerate(lengths):
        waiting_NFW[: len(lengths_N2), :, window] = _fields(lengths_N2, weight_2)
    placed_NW = np.empty((longest, windows), dtype=np.int64)
    opens_NW = np.empty((longest, windows), dtype=np.bool_)

    pool_FWP = np.ascontiguousarray(waiting_NFW[:POOL].transpose(1, 2, 0))
    direction_2WP, tokens_2WP, oldest_WP = pool_FWP[:2], pool_FWP[2:4], pool_FWP[4]
    slots_FS = pool_FWP.reshape(_FIELDS, windows * POOL)
    first_slot_W = np.arange(windows) * POOL
    # No sequence is open yet, so nothing fits and the oldest of each window opens its first.
    left_2W = np.full((2, windows), -1, dtype=np.float32)
    towards_2W = np.zeros_like(left_2W)
    # Every step works in the same few arrays; making them anew would cost a third of the time.
    along_2WP, over_2WP = np.empty_like(direction_2WP), np.empty(tokens_2WP.shape, dtype=np.bool_)
    score_WP, excluded_WP = np.empty_like(oldest_WP), np.empty(oldest_WP.shape, dtype=np.bool_)
    slot_W, best_W, picked_FW = (
        np.empty(windows, dtype=np.intp),
        np.empty(windows, dtype=np.float32),
        np.empty((_FIELDS, windows), dtype=np.float32),
    )
    for step in range(longest):
        np.multiply(direction_2WP, towards_2W[:, :, None], out=along_2WP)
        np.add(along_2WP[0], along_2WP[1], out=score_WP)
        np.greater(tokens_2WP, left_2W[:, :, None], out=over_2WP)
        np.logical_or(over_2WP[0], over_2WP[1], out=excluded_WP)
        # Scores are never negative, so one search finds the best that fits, or the oldest if none does.
        np.copyto(score_WP, oldest_WP, where=excluded_WP)
        np.argmax(score_WP, axis=1, out=slot_W)
        slot_W += first_slot_W
        score_WP.reshape(-1).take(slot_W, out=best_W, mode="clip")
        slots_FS.take(slot_W, axis=1, out=picked_FW, mode="clip")
        slots_FS[:, slot_W] = waiting_NFW[step + POOL]
        np.less(best_W, 0, out=opens_NW[step])
        placed_NW[step] = picked_FW[4]
        np.copyto(left_2W, capacity_2[:, None], where=opens_NW[step])
        left_2W -= picked_FW[2:4]
        np.multiply(left_2W, weight_2[:, None], out=towards_2W)
    return [
        Packed(
            -1 - placed_NW[:size, window],
            np.append(np.flatnonzero(opens_NW[:size, window]), size).astype(np.int64),
        )
        for window, size in enumerate(sizes)
    ]


def _fields(lengths_N2: NDArray[np.int64], weight_2: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the search needs to know of each example of a window (N, fields).

    The suitability of an example is the cosine between it and what is left of the sequence, both as shares of
    the capacities, times the square root of its size: it should be large and leave both sides equally full.
    Of the cosine only the dot product depends on the sequence; the rest goes into the direction here, once an
    example.
    """
    share_N2 = lengths_N2.astype(np.float32) * weight_2
    inputs_N, targets_N = share_N2.T
    length_N = np.maximum(np.sqrt(inputs_N * inputs_N + targets_N * targets_N), np.float32(1e-12))
    suitability_N = np.sqrt(inputs_N + targets_N) / length_N
    fields_NF = np.empty((len(lengths_N2), _FIELDS), dtype=np.float32)
    fields_NF[:, :2] = share_N2 * suitability_N[:, None]
    fields_NF[:, 2:4] = lengths_N2
    fields_NF[:, 4] = -1 - np.arange(len(lengths_N2))
    return fields_NF
