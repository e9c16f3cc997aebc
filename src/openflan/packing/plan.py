"""Position in training to packed row: the one integer.

The stream is cut into windows of 4,096 examples; each is rendered, tokenised and packed by itself, so the
number of rows of each window is all the index there is. Row k of training is the same for any batch split,
and after a restart it is found from the index without looking at anything before it. Windows are made when
they are needed, or read from a build that was made ahead; which of the two changes nothing but the time it
takes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from threading import RLock
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from openflan.errors import InputError
from openflan.packing.encode import REASONS, Encoded, Encoder, Fit, Limits
from openflan.packing.losses import remedy
from openflan.packing.pack import Packed, pack_windows
from openflan.packing.tokens import Examples, Tokens, tokens_at
from openflan.templates.render import Rendered

WINDOW = 4_096
"""Examples that are packed together."""

_HELD = 3
_VIEWED = 4_096


class Window:
    """One packed window: its examples' ids, what the limits make of them, and rows of example numbers."""

    def __init__(
        self,
        first: int,
        tokens: Tokens,
        packed: Packed,
        encoder: Encoder,
        examples: Examples,
        rendered: Sequence[Rendered] = (),
    ) -> None:
        """`first` is the position of its first example. `rendered` are its examples as text where they are at
        hand; else they are rendered when asked for."""
        self.first = first
        self.tokens = tokens
        self.packed = packed
        self._encoder = encoder
        self._examples = examples
        self._rendered = rendered

    @cached_property
    def fit(self) -> Fit:
        return self._encoder.fit(self.tokens)

    @cached_property
    def examples(self) -> tuple[Rendered, ...]:
        """Its examples as text."""
        return tuple(self.example(number) for number in range(len(self.tokens)))

    @cached_property
    def encoded(self) -> tuple[Encoded, ...]:
        return tuple(
            self._encoder.encoded(self.tokens, number, int(dropped))
            for number, dropped in enumerate(self.fit.dropped_N)
        )

    @cached_property
    def rows(self) -> tuple[tuple[int, ...], ...]:
        """Example numbers of every row."""
        return tuple(tuple(self.members(row).tolist()) for row in range(len(self)))

    def __len__(self) -> int:
        """Rows."""
        return len(self.packed.starts) - 1

    def members(self, row: int) -> NDArray[np.int64]:
        """Example numbers of a row."""
        return self.packed.members[self.packed.starts[row] : self.packed.starts[row + 1]]

    def row(self, row: int) -> list[Encoded]:
        return [self._encoder.encoded(self.tokens, number) for number in self.members(row).tolist()]

    def example(self, number: int) -> Rendered:
        return self._rendered[number] if self._rendered else self._examples[self.first + number]

    def longest(self) -> tuple[int, int]:
        """The most input and target tokens of its examples, marks included and nothing cut."""
        inputs, targets = self.tokens.lengths_N2.max(axis=0).tolist()
        return inputs + self._encoder.special_tokens.inputs, targets + len(self._encoder.special_tokens.after)

    def counts(self) -> Counter[str]:
        """Examples seen, and how many were truncated, dropped (by reason) or lost exemplars."""
        found = Counter(examples=len(self.tokens))
        found["truncated"] = int((self.fit.truncated_N > 0).sum())
        found["pruned exemplars"] = int(self.tokens.pruned.sum(dtype=np.int64))
        for code, reason in enumerate(REASONS[1:], 1):
            if number := int((self.fit.dropped_N == code).sum()):
                found[f"dropped: {reason.replace('-', ' ')}"] = number
        return found


class Built(Protocol):
    """Windows that lie on disk (`packing.build`)."""

    def rows_per_window(self) -> Sequence[int]:
        """Rows of the windows from the first on, up to the first that is missing."""
        ...

    def window(self, number: int) -> tuple[Tokens, Packed] | None:
        """None: it has not been built."""
        ...


class Source(Protocol):
    """Where an example came from, for messages."""

    @property
    def task(self) -> str: ...

    @property
    def row(self) -> int: ...


class PackedWindow(Protocol):
    """What a plan needs of a window: its rows, and what each example in them came from."""

    def __len__(self) -> int:
        """Rows."""
        ...

    def members(self, row: int) -> NDArray[np.int64]:
        """Example numbers of a row."""
        ...

    def row(self, row: int) -> list[Encoded]: ...

    def example(self, number: int) -> Source: ...

    def counts(self) -> Counter[str]:
        """What became of its examples."""
        ...


W = TypeVar("W", bound=PackedWindow)
W_co = TypeVar("W_co", bound=PackedWindow, covariant=True)


class Windows(Protocol[W_co]):
    """Windows by number, each a function of its number alone."""

    @property
    def limits(self) -> Limits: ...

    def rows_per_window(self) -> Sequence[int]:
        """Rows of the windows that are known without making them, from the first on."""
        ...

    def read(self, number: int) -> W_co | None:
        """A window that was made ahead; None if it was not."""
        ...

    def make(self, number: int) -> W_co: ...


class WindowPlan(Generic[W]):
    """Packed rows by position, without end, over windows of any kind. May be asked from several threads."""

    def __init__(self, windows: Windows[W], rows_per_window: Sequence[int] = ()) -> None:
        """`rows_per_window` is what `index` said in an earlier run: windows that are known need not be made
        again."""
        self.limits: Limits = windows.limits
        on_disk = windows.rows_per_window()
        self._ends = list(accumulate(rows_per_window if len(rows_per_window) > len(on_disk) else on_disk))
        self._counts: dict[int, Counter[str]] = {}
        self._lock = RLock()
        # Windows of a build are views of its files: they cost no memory. Those made here hold their text.
        self._make = windows.make
        self._new = lru_cache(maxsize=_HELD)(self._new_window)
        self._read = lru_cache(maxsize=_VIEWED)(windows.read)

    def window(self, number: int) -> W:
        """Raises InputError if none of its examples fits, or if a build's files are damaged."""
        with self._lock:
            return self._read(number) or self._new(number)

    def index(self, rows: int | None = None) -> list[int]:
        """Rows of each window: of those that hold the first `rows` rows of training, or of all that are
        known."""
        with self._lock:
            ends = (
                self._ends
                if rows is None
                else self._ends[: bisect_right(self._ends, rows - 1) + 1 if rows else 0]
            )
            return [end - start for start, end in zip([0, *ends], ends, strict=False)]

    def counts(self, number: int) -> Counter[str]:
        """What `Window.counts` says, without making a window again that was made before."""
        if number not in self._counts:
            self._counts[number] = self.window(number).counts()
        return self._counts[number]

    def rows(self, first: int, count: int) -> list[list[Encoded]]:
        """Rows `first` to `first + count` of training, each a list of its examples' ids."""
        return [window.row(row) for window, row in map(self._locate, range(first, first + count))]

    def sources(self, first: int, count: int) -> Sequence[Sequence[Source]]:
        """Where the examples of the same rows came from."""
        return [
            [window.example(int(number)) for number in window.members(row)]
            for window, row in map(self._locate, range(first, first + count))
        ]

    def _locate(self, position: int) -> tuple[W, int]:
        with self._lock:
            while not self._ends or position >= self._ends[-1]:
                rows = len(self.window(len(self._ends)))
                self._ends.append((self._ends[-1] if self._ends else 0) + rows)
            number = bisect_right(self._ends, position)
            start = self._ends[number - 1] if number else 0
            return self.window(number), position - start

    def _new_window(self, number: int) -> W:
        window = self._make(number)
        self._counts[number] = window.counts()
        return window


class Plan(WindowPlan[Window]):
    """Packed rows of a stream of examples."""

    def __init__(
        self,
        examples: Examples,
        encoder: Encoder,
        rows_per_window: Sequence[int] = (),
        window: int = WINDOW,
        built: Built | None = None,
    ) -> None:
        """`rows_per_window` is what `index` said in an earlier run: windows that are known need not be made
        again."""
        super().__init__(_OfExamples(examples, encoder, window, built), rows_per_window)

    def sources(self, first: int, count: int) -> list[list[Rendered]]:
        """The same rows as text, with where each example came from."""
        return [
            [window.example(int(number)) for number in window.members(row)]
            for window, row in map(self._locate, range(first, first + count))
        ]

    def positions(self, first: int, count: int) -> list[list[int]]:
        """The same rows as positions of the stream."""
        return [
            [window.first + int(number) for number in window.members(row)]
            for window, row in map(self._locate, range(first, first + count))
        ]


class _OfExamples:
    """A stream of examples cut into windows of `size`."""

    def __init__(self, examples: Examples, encoder: Encoder, size: int, built: Built | None) -> None:
        self.limits = encoder.limits
        self._examples = examples
        self._encoder = encoder
        self._size = size
        self._built = built

    def rows_per_window(self) -> Sequence[int]:
        return self._built.rows_per_window() if self._built else ()

    def read(self, number: int) -> Window | None:
        found = self._built.window(number) if self._built else None
        return None if found is None else Window(number * self._size, *found, self._encoder, self._examples)

    def make(self, number: int) -> Window:
        rendered, tokens = tokens_at(self._examples, number * self._size, self._size, self._encoder.tokenize)
        fit = self._encoder.fit(tokens)
        self._encoder.refuse(fit, rendered.__getitem__)
        (packed,) = packed_windows([fit], self.limits)
        return Window(number * self._size, tokens, packed, self._encoder, self._examples, rendered)


def packed_windows(fits: Sequence[Fit], limits: Limits) -> list[Packed]:
    """The rows of each window, of the examples that it keeps. Raises InputError if a window keeps none."""
    capacity = (limits.row, 0 if limits.joint else limits.targets)
    kept, lengths = [fit.kept for fit in fits], []
    for fit, numbers in zip(fits, kept, strict=True):
        if not len(numbers):
            longest = (int(fit.lengths_N2[:, 0].max()), int(fit.lengths_N2[:, 1].max()))
            raise InputError(
                f"none of {len(fit.dropped_N):,} examples fits {limits.inputs:,} input and "
                f"{limits.targets:,} target tokens "
                f"(`packing.inputs`, `packing.targets`): the longest have {longest[0]:,} and "
                f"{longest[1]:,}; set {remedy(longest, limits)}"
            )
        lengths_N2 = fit.lengths_N2[numbers]
        lengths.append(
            np.stack([lengths_N2.sum(axis=1), np.zeros(len(numbers), dtype=np.int64)], axis=1)
            if limits.joint
            else lengths_N2
        )
    return [
        Packed(numbers[packed.members], packed.starts)
        for numbers, packed in zip(kept, pack_windows(lengths, capacity), strict=True)
    ]
