"""Position in training to packed row: the one integer.

The stream is cut into windows of 4,096 examples; each is rendered, tokenised and packed by itself, so the number of rows of each window is all the
index there is. Row k of training is the same for any batch split, and after a restart it is found from the index without looking at anything before
it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

import numpy as np

from openflan.errors import InputError
from openflan.packing.encode import Encoded, Encoder
from openflan.packing.pack import pack
from openflan.templates.render import Rendered

WINDOW = 4_096
"""Examples that are packed together."""


class Examples(Protocol):
    """Rendered examples by position (`mixture.Stream`)."""

    def __getitem__(self, position: int, /) -> Rendered: ...


@dataclass(frozen=True, slots=True)
class Window:
    """One packed window: its examples, their ids, and rows of example numbers."""

    first: int
    examples: tuple[Rendered, ...]
    encoded: tuple[Encoded, ...]
    rows: tuple[tuple[int, ...], ...]

    def counts(self) -> Counter[str]:
        """Examples seen, and how many were truncated, dropped (by reason) or lost exemplars."""
        found = Counter(examples=len(self.examples))
        found["truncated"] = sum(1 for example in self.encoded if example.cut)
        found["pruned exemplars"] = sum(example.pruned for example in self.examples)
        for example in self.encoded:
            if example.dropped:
                found[f"dropped: {example.dropped.replace('-', ' ')}"] += 1
        return found


class Plan:
    """Packed rows by position, without end."""

    def __init__(self, examples: Examples, encoder: Encoder, rows_per_window: Sequence[int] = (), window: int = WINDOW) -> None:
        """`rows_per_window` is what `index` said in an earlier run: windows that are known need not be made again."""
        self.limits = encoder.limits
        self._examples = examples
        self._encoder = encoder
        self._size = window
        self._ends = list(accumulate(rows_per_window))
        self.window = lru_cache(maxsize=2)(self._make_window)

    @property
    def index(self) -> list[int]:
        """Rows of every window so far."""
        return [end - start for start, end in zip([0, *self._ends], self._ends, strict=False)]

    def rows(self, first: int, count: int) -> list[list[Encoded]]:
        """Rows `first` to `first + count` of training, each a list of its examples' ids."""
        return [[window.encoded[number] for number in window.rows[row]] for window, row in map(self._locate, range(first, first + count))]

    def sources(self, first: int, count: int) -> list[list[Rendered]]:
        """The same rows as text, with where each example came from."""
        return [[window.examples[number] for number in window.rows[row]] for window, row in map(self._locate, range(first, first + count))]

    def _locate(self, position: int) -> tuple[Window, int]:
        while not self._ends or position >= self._ends[-1]:
            rows = len(self.window(len(self._ends)).rows)
            self._ends.append((self._ends[-1] if self._ends else 0) + rows)
        number = bisect_right(self._ends, position)
        start = self._ends[number - 1] if number else 0
        return self.window(number), position - start

    def _make_window(self, number: int) -> Window:
        first = number * self._size
        examples = tuple(self._examples[position] for position in range(first, first + self._size))
        encoded = tuple(self._encoder.encode(examples))
        kept = [place for place, example in enumerate(encoded) if example.keeps]
        if not kept:
            raise InputError(
                f"none of {len(examples):,} examples fits {self.limits.inputs:,} input and {self.limits.targets:,} target tokens; "
                "raise `packing.inputs` or `packing.targets`"
            )
        lengths = np.array([self._lengths(encoded[place]) for place in kept], dtype=np.int64)
        rows = pack(lengths, (self.limits.row, 0 if self.limits.joint else self.limits.targets))
        return Window(first, examples, encoded, tuple(tuple(kept[place] for place in row) for row in rows))

    def _lengths(self, example: Encoded) -> tuple[int, int]:
        if self.limits.joint:
            return len(example.input_ids) + len(example.target_ids), 0
        return len(example.input_ids), len(example.target_ids)
