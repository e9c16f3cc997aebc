"""What packing does to examples, by task: lengths, truncation, losses and packing efficiency.

It is counted on the first examples of the stream that training reads, not on another sample, so the numbers
are those of the first steps. Trade-off: a task that the mixture draws rarely is measured on few examples, or
on none; how many stands beside every mean.

Shape suffixes: N examples; 2 the input and the target side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.packing.encode import Encoded, Limits
from openflan.templates.render import Rendered


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over some examples.

    `drawn` examples, of which `kept` reach a sequence and `dropped` do not. `input_tokens` and
    `target_tokens` are those of the kept without and with loss, special tokens included, after truncation;
    `truncated` examples lost `cut_tokens` at the end of their inputs, `thinned` ones lost `pruned` exemplars.
    """

    drawn: int = 0
    kept: int = 0
    dropped: int = 0
    input_tokens: int = 0
    target_tokens: int = 0
    truncated: int = 0
    cut_tokens: int = 0
    thinned: int = 0
    pruned: int = 0

    def values(self) -> dict[str, Any]:
        """Return plain values for the ledger: the counts, and the mean tokens of a kept example, or None."""
        return {
            "drawn": self.drawn,
            "mean_input_tokens": self.input_tokens / self.kept if self.kept else None,
            "mean_target_tokens": self.target_tokens / self.kept if self.kept else None,
            "truncated": self.truncated,
            "dropped": self.dropped,
            "pruned_exemplars": self.pruned,
        }


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of one side of the examples, none of them truncated, pruned or dropped.

    `histogram` counts the examples above the bound before and up to each bound.
    """

    mean: float
    median: float
    p90: float
    p99: float
    longest: int
    histogram: Mapping[int, int]

    def values(self) -> dict[str, Any]:
        return {
            "mean": self.mean,
            "median": self.median,
            "p90": self.p90,
            "p99": self.p99,
            "longest": self.longest,
            "histogram": {str(bound): count for bound, count in self.histogram.items()},
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """What packing the first examples of a stream showed."""

    limits: Limits
    sequences: int
    total: Tally
    tasks: Mapping[str, Tally]
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def tokens_per_sequence(self) -> float:
        return (self.total.input_tokens + self.total.target_tokens) / self.sequences

    @property
    def examples_per_sequence(self) -> float:
        return self.total.kept / self.sequences

    @property
    def fill(self) -> float:
        """Tokens divided by the capacity of all sequences."""
        return self.tokens_per_sequence / (self.limits.inputs + self.limits.targets)

    @property
    def fill_inputs(self) -> float | None:
        """Input tokens divided by the capacity for inputs; None if inputs and targets share one sequence."""
        return None if self.limits.joint else self.total.input_tokens / (self.sequences * self.limits.inputs)

    @property
    def fill_targets(self) -> float | None:
        return (
            None if self.limits.joint else self.total.target_tokens / (self.sequences * self.limits.targets)
        )

    def counts(self) -> dict[str, int]:
        """Examples seen, and what became of those that did not stay whole."""
        counts = {
            "examples": self.total.drawn,
            "truncated": self.total.truncated,
            "pruned exemplars": self.total.pruned,
        }
        return counts | {
            f"dropped: {reason.replace('-', ' ')}": count for reason, count in self.dropped.items()
        }

    def values(self) -> dict[str, Any]:
        """Return plain values for ledger.json."""
        return {
            "examples": self.total.drawn,
            "rows": self.sequences,
            "examples_per_row": self.examples_per_sequence,
            "tokens_per_row": self.tokens_per_sequence,
            "input_tokens": self.total.input_tokens,
            "target_tokens": self.total.target_tokens,
            "fill_inputs": self.fill_inputs,
            "fill_targets": self.fill_targets,
            "fill": self.fill,
            "counts": self.counts(),
        }


def measure(
    examples: Sequence[Rendered],
    encoded: Sequence[Encoded],
    sequences: Sequence[Sequence[int]],
    limits: Limits,
) -> Measured:
    """Tallies the examples of some windows. `sequences` are the packed sequences, as numbers of examples.

    Raises ValueError if the sequences do not hold every kept example exactly once.
    """
    if sorted(number for sequence in sequences for number in sequence) != [
        number for number, ids in enumerate(encoded) if ids.keeps
    ]:
        raise ValueError("the sequences do not hold every kept example exactly once")
    tasks: dict[str, Tally] = {}
    for example, ids in zip(examples, encoded, strict=True):
        tasks[example.task] = _plus(tasks.get(example.task, Tally()), _one(example, ids))
    return Measured(
        limits,
        len(sequences),
        summed(tasks.values()),
        tasks,
        dict(Counter(one.dropped for one in encoded if one.dropped)),
    )


def summed(tallies: Iterable[Tally]) -> Tally:
    """One tally over all of them."""
    total = Tally()
    for tally in tallies:
        total = _plus(total, tally)
    return total


def lengths(tokens_N: NDArray[np.int64], bounds: Sequence[int]) -> Lengths:
    """The distribution of some lengths; `bounds` ascend, and the last reaches the longest."""
    ascending = np.sort(tokens_N)
    below = np.searchsorted(ascending, np.array(bounds), side="right")
    median, p90, p99 = (
        float(ascending[min(len(ascending) - 1, int(share * len(ascending)))]) for share in (0.5, 0.9, 0.99)
    )
    counts = np.diff(below, prepend=0)
    return Lengths(
        float(ascending.mean()),
        median,
        p90,
        p99,
        int(ascending[-1]),
        {bound: int(count) for bound, count in zip(bounds, counts, strict=True)},
    )


def _one(example: Rendered, ids: Encoded) -> Tally:
    return Tally(
        drawn=1,
        kept=int(ids.keeps),
        dropped=int(not ids.keeps),
        input_tokens=ids.num_context,
        target_tokens=ids.num_learned,
        truncated=int(ids.truncated > 0),
        cut_tokens=ids.truncated,
        thinned=int(example.pruned > 0),
        pruned=example.pruned,
    )


def _plus(one: Tally, other: Tally) -> Tally:
    return Tally(*(getattr(one, part.name) + getattr(other, part.name) for part in fields(Tally)))
