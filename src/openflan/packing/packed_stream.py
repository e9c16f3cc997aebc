"""Packed sequences by position: the one integer that says where training stands.

The examples are divided into windows, and each window is packed by itself. So the number of sequences of each
window is all the index there is: sequence k of training does not depend on the batch size, and after a
restart it is found from the index without looking at anything before it. A window is made when it is needed,
or read from a build that was made ahead; this changes only the time it takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from threading import RLock
from typing import Any, Generic, TypeVar

from openflan.packing.encode import Encoded, Limits
from openflan.packing.pack import Packed

_MADE = 3
"""Windows that were made here and stay in memory; they hold their text."""

_READ = 4_096
"""Windows of a build that stay open: they are views of its files and cost no memory."""

Origin = TypeVar("Origin", covariant=True)
"""Where an example came from; it has a `task` and a `row`."""


class PackedWindow(ABC, Generic[Origin]):
    """Some examples, by their numbers from 0, and the sequences that they are packed into."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self.packed)

    def sequence(self, number: int) -> list[Encoded]:
        """The examples of a sequence, as token ids."""
        return [self.encoded_example(example) for example in self.packed.sequence(number).tolist()]

    def origins(self, number: int) -> list[Origin]:
        """Where the examples of a sequence came from."""
        return [self.origin(example) for example in self.packed.sequence(number).tolist()]

    @abstractmethod
    def encoded_example(self, number: int) -> Encoded:
        """The token ids of an example that was packed."""

    @abstractmethod
    def origin(self, number: int) -> Origin:
        """Where an example came from, for messages."""

    @abstractmethod
    def counts(self) -> Counter[str]:
        """How many examples the window has, and how many of them were changed or dropped, by what was
        done."""


Window = TypeVar("Window", bound=PackedWindow[Any])


def _not_built(number: int) -> None:
    return None


class PackedStream(Generic[Window]):
    """Packed sequences by position, without end. Several threads may read it at the same time."""

    def __init__(
        self,
        limits: Limits,
        make: Callable[[int], Window],
        *,
        read: Callable[[int], Window | None] = _not_built,
        sequences_per_window: Sequence[int] = (),
    ) -> None:
        """`make` makes window 0, 1, ...; it is a function of that number alone. `read` gives a window that
        was made ahead, None if there is none. `sequences_per_window` is what is known of the first windows,
        from the build or from `index` of an earlier run: they need not be made to find a position."""
        self.limits = limits
        self._ends = list(accumulate(sequences_per_window))
        self._counts: dict[int, Counter[str]] = {}
        self._lock = RLock()
        self._make = make
        self._made = lru_cache(maxsize=_MADE)(self._new_window)
        self._read = lru_cache(maxsize=_READ)(read)

    def window(self, number: int) -> Window:
        """Raises InputError if none of its examples fits, or if the files of a build are damaged."""
        with self._lock:
            return self._read(number) or self._made(number)

    def index(self, num_sequences: int | None = None) -> list[int]:
        """Sequences of each window: of the windows that hold the first `num_sequences` sequences, or of all
        that are known."""
        with self._lock:
            ends = self._ends
            if num_sequences is not None:
                ends = ends[: bisect_right(ends, num_sequences - 1) + 1 if num_sequences else 0]
            return [end - start for start, end in zip([0, *ends], ends, strict=False)]

    def counts(self, number: int) -> Counter[str]:
        """The counts of a window (`PackedWindow.counts`). A window that was made before is not made again."""
        if number not in self._counts:
            self._counts[number] = self.window(number).counts()
        return self._counts[number]

    def sequences(self, first: int, count: int) -> list[list[Encoded]]:
        """Sequences `first` to `first + count` of training, each a list of its examples' token ids."""
        return [window.sequence(within) for window, within in self.locate(first, count)]

    def locate(self, first: int, count: int) -> list[tuple[Window, int]]:
        """The window of each of these sequences, and the sequence's number within it."""
        return [self._locate(position) for position in range(first, first + count)]

    def _locate(self, position: int) -> tuple[Window, int]:
        with self._lock:
            while not self._ends or position >= self._ends[-1]:
                num_sequences = len(self.window(len(self._ends)))
                self._ends.append((self._ends[-1] if self._ends else 0) + num_sequences)
            number = bisect_right(self._ends, position)
            start = self._ends[number - 1] if number else 0
            return self.window(number), position - start

    def _new_window(self, number: int) -> Window:
        window = self._make(number)
        self._counts[number] = window.counts()
        return window
