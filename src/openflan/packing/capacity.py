"""Which capacities suit a mixture: proposed from the lengths of its examples.

Two aims conflict. Small sequences cost less memory and less attention, but truncate or drop what is longer
than they are; and since inputs and targets run out independently, a pair of capacities whose ratio is not
that of the tokens leaves one side of every sequence empty. For a stated share of examples that may be
touched, two pairs are proposed: the smallest, and the fullest within four times the smallest on each side.
Their fills are those of sequences that were packed, not an estimate. Trade-off: one packing a pair, some tens
of milliseconds on a window.

Shape suffixes: N examples; 2 the input and the target side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openflan.packing.pack import WINDOW, pack_windows

LOSSES = (0.05, 0.01, 0.001)
"""Shares of examples that may be touched, for which the ledger proposes capacities."""

REACH = 4
"""How many times the smallest capacity the fullest one may be, on each side."""

SMALLEST = 8


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pair of capacities in tokens and what it does to the examples measured.

    `loss` is the share that may be touched, `touched` the share that is: truncated, dropped, or short of an
    exemplar. Fills are shares of the sequences' tokens; those of the sides are None if both share one
    sequence.
    """

    kind: Literal["smallest", "fullest"]
    loss: float
    inputs: int
    targets: int
    touched: float
    examples_per_sequence: float
    fill: float
    fill_inputs: float | None
    fill_targets: float | None

    def values(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "loss": self.loss,
            "inputs": self.inputs,
            "targets": self.targets,
            "touched": self.touched,
            "examples_per_row": self.examples_per_sequence,
            "fill": self.fill,
            "fill_inputs": self.fill_inputs,
            "fill_targets": self.fill_targets,
        }


def sizes(longest: int) -> list[int]:
    """The capacities that are considered, ascending: 8, 12, 16, 24, 32, 48, ..., up to the first that holds
    `longest`."""
    capacities = [SMALLEST]
    while capacities[-1] < longest:
        power = 1 << (capacities[-1].bit_length() - 1)
        capacities.append(power * 3 // 2 if capacities[-1] == power else power * 2)
    return capacities


def needs(
    lengths_N2: NDArray[np.int64], few_shot_N: NDArray[np.bool_], token_budget: float
) -> NDArray[np.int64]:
    """The least capacities (N, 2) that leave each example whole: its length, and for one with exemplars the
    inputs of whose share `token_budget` it may take, EOS apart."""
    wanted = lengths_N2.copy()
    text = np.maximum(lengths_N2[:, 0] - 1, 0)
    wanted[few_shot_N, 0] = np.maximum(
        wanted[few_shot_N, 0], np.ceil(text[few_shot_N] / token_budget - 1e-9).astype(np.int64)
    )
    return wanted


def touched(needs_N2: NDArray[np.int64], capacity_2: tuple[int, int]) -> float:
    """The share of examples that need more than the capacities give."""
    return float(np.any(needs_N2 > np.array(capacity_2), axis=1).mean())


def propose(
    lengths_N2: NDArray[np.int64],
    needs_N2: NDArray[np.int64],
    *,
    joint: bool,
    losses: Sequence[float] = LOSSES,
) -> list[Proposal]:
    """For each loss the smallest pair, then the fullest where that is another.

    `lengths_N2` are the examples' tokens, nothing truncated, `needs_N2` the capacities that leave them whole.
    `joint`: both sides share one sequence. The smallest pair has the least sum, of equal sums the one that
    touches less.
    """
    found: list[Proposal] = []
    packed = cache(partial(_packed, lengths_N2, needs_N2, joint))
    for loss in losses:
        least = smallest(needs_N2, loss)
        small = best = replace(packed(least), loss=loss)
        # A single sequence has no sides to balance: a longer one is always fuller, so the smallest is enough.
        for most, pair in [] if joint else _balanced(lengths_N2, least):
            if most <= best.fill:
                break
            full = replace(packed(pair), kind="fullest", loss=loss)
            best = full if full.fill > best.fill else best
        found += [small] if best is small else [small, best]
    return found


def smallest(needs_N2: NDArray[np.int64], loss: float) -> tuple[int, int]:
    """The pair of `sizes` with the least sum that touches at most the share `loss` of the examples."""
    longest = needs_N2.max(axis=0)
    best, best_key = (sizes(int(longest[0]))[-1], sizes(int(longest[1]))[-1]), (math.inf, 1.0)
    for inputs in sizes(int(longest[0])):
        for targets in sizes(int(longest[1])):
            share = touched(needs_N2, (inputs, targets))
            if share <= loss and (inputs + targets, share) < best_key:
                best, best_key = (inputs, targets), (inputs + targets, share)
    return best


def _balanced(lengths_N2: NDArray[np.int64], least: tuple[int, int]) -> list[tuple[float, tuple[int, int]]]:
    """For each inputs' capacity within reach, the targets' capacity whose sequences could be fullest, and how
    full; the fullest first, then the smallest."""
    choices = [[size for size in sizes(REACH * side) if side <= size <= REACH * side] for side in least]
    best = [
        max(
            ((_most(lengths_N2, (inputs, targets)), (inputs, targets)) for targets in choices[1]),
            key=lambda one: one[0],
        )
        for inputs in choices[0]
    ]
    return sorted(best, key=lambda one: (-one[0], one[1]))


def _most(lengths_N2: NDArray[np.int64], capacity_2: tuple[int, int]) -> float:
    """The fill that no packing can beat: tokens over the capacity of as many sequences as the fuller side
    needs."""
    kept = _truncated(lengths_N2, capacity_2, joint=False)
    sequences = (kept.sum(axis=0) / np.array(capacity_2)).max()
    return float(kept.sum() / (sequences * sum(capacity_2))) if sequences else 0.0


def _packed(
    lengths_N2: NDArray[np.int64], needs_N2: NDArray[np.int64], joint: bool, capacity_2: tuple[int, int]
) -> Proposal:
    inputs, targets = capacity_2
    kept = _truncated(lengths_N2, capacity_2, joint=joint)
    whole = np.stack([kept.sum(axis=1), np.zeros(len(kept), dtype=np.int64)], axis=1) if joint else kept
    windows = [whole[first : first + WINDOW] for first in range(0, len(whole), WINDOW)]
    sequences = sum(
        len(packed) for packed in pack_windows(windows, (inputs + targets, 0) if joint else capacity_2)
    )
    tokens = kept.sum(axis=0)
    return Proposal(
        kind="smallest",
        loss=0.0,
        inputs=inputs,
        targets=targets,
        touched=touched(needs_N2, capacity_2),
        examples_per_sequence=len(kept) / sequences,
        fill=float(tokens.sum()) / (sequences * (inputs + targets)),
        fill_inputs=None if joint else float(tokens[0]) / (sequences * inputs),
        fill_targets=None if joint else float(tokens[1]) / (sequences * targets),
    )


def _truncated(
    lengths_N2: NDArray[np.int64], capacity_2: tuple[int, int], *, joint: bool
) -> NDArray[np.int64]:
    """Lengths under other capacities: inputs are truncated, examples whose targets do not fit are dropped.
    Exemplars would be pruned completely, not truncated; where few examples are touched the difference is
    below what is printed."""
    inputs, targets = capacity_2
    kept = lengths_N2[lengths_N2[:, 1] <= targets]
    token_budget = inputs + targets - kept[:, 1] if joint else inputs
    return np.stack([np.minimum(kept[:, 0], token_budget), kept[:, 1]], axis=1)
