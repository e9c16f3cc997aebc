"""Windows of 4,096 examples of a mixture: rendered, tokenised and packed, or read from a build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np

from openflan.errors import InputError
from openflan.packing.encode import REASONS, Encoded, Encoder, Fit, Limits
from openflan.packing.losses import remedy
from openflan.packing.pack import WINDOW, Packed, pack_windows
from openflan.packing.packed_stream import PackedStream, PackedWindow
from openflan.packing.store import Store
from openflan.packing.tokens import Examples, Tokens, tokens_at
from openflan.templates.render import Rendered


class ExampleWindow(PackedWindow[Rendered]):
    """A packed window of rendered examples. Its origins are the examples as text."""

    def __init__(
        self,
        first: int,
        tokens: Tokens,
        packed: Packed,
        encoder: Encoder,
        examples: Examples,
        rendered: Sequence[Rendered] = (),
    ) -> None:
        """`first` is the position of its first example. `rendered` are its examples as text if they exist
        already; otherwise they are rendered when they are needed."""
        super().__init__(packed)
        self.first = first
        self.tokens = tokens
        self._encoder = encoder
        self._examples = examples
        self._rendered = rendered

    @cached_property
    def fit(self) -> Fit:
        """What the limits make of its examples."""
        return self._encoder.fit(self.tokens)

    @cached_property
    def examples(self) -> tuple[Rendered, ...]:
        """Its examples as text."""
        return tuple(self.origin(number) for number in range(len(self.tokens)))

    @cached_property
    def encoded(self) -> tuple[Encoded, ...]:
        """Its examples as token ids; those that are dropped have none."""
        return tuple(
            self._encoder.encoded(self.tokens, number, int(dropped))
            for number, dropped in enumerate(self.fit.dropped_N)
        )

    def encoded_example(self, number: int) -> Encoded:
        return self._encoder.encoded(self.tokens, number)

    def origin(self, number: int) -> Rendered:
        return self._rendered[number] if self._rendered else self._examples[self.first + number]

    def positions(self, number: int) -> list[int]:
        """Positions in the mixture's stream of the examples of a sequence."""
        return [self.first + example for example in self.packed.sequence(number).tolist()]

    def longest(self) -> tuple[int, int]:
        """The most input and target tokens of its examples, with special tokens and without truncation."""
        inputs, targets = self.tokens.lengths_N2.max(axis=0).tolist()
        return inputs + self._encoder.special_tokens.inputs, targets + len(self._encoder.special_tokens.after)

    def counts(self) -> Counter[str]:
        """How many examples it has, and how many were truncated, dropped (by reason) or lost exemplars."""
        counts = Counter(examples=len(self.tokens))
        counts["truncated"] = int((self.fit.truncated_N > 0).sum())
        counts["pruned exemplars"] = int(self.tokens.pruned.sum(dtype=np.int64))
        for code, reason in enumerate(REASONS[1:], 1):
            if num_dropped := int((self.fit.dropped_N == code).sum()):
                counts[f"dropped: {reason.replace('-', ' ')}"] = num_dropped
        return counts


ExampleStream: TypeAlias = PackedStream[ExampleWindow]
"""The packed sequences of a mixture."""


def packed_examples(
    examples: Examples,
    encoder: Encoder,
    sequences_per_window: Sequence[int] = (),
    window: int = WINDOW,
    built: Store | None = None,
) -> ExampleStream:
    """The packed sequences of a stream of examples, in windows of `window` examples each.

    `sequences_per_window` is what `index` gave in an earlier run. `built` holds windows that were made ahead.
    The stream raises InputError for a window of which no example fits, and, under the policy `error`, for the
    first example that does not fit.
    """

    def make(number: int) -> ExampleWindow:
        rendered, tokens = tokens_at(examples, number * window, window, encoder.tokenize)
        fit = encoder.fit(tokens)
        encoder.refuse(fit, rendered.__getitem__)
        (packed,) = packed_windows([fit], encoder.limits)
        return ExampleWindow(number * window, tokens, packed, encoder, examples, rendered)

    def read(number: int) -> ExampleWindow | None:
        stored = built.window(number) if built else None
        return None if stored is None else ExampleWindow(number * window, *stored, encoder, examples)

    on_disk = built.sequences_per_window() if built else []
    return PackedStream(
        encoder.limits,
        make,
        read=read,
        sequences_per_window=max(on_disk, sequences_per_window, key=len),
    )


def packed_windows(fits: Sequence[Fit], limits: Limits) -> list[Packed]:
    """The sequences of each window, made of the examples that it keeps. Raises InputError if a window keeps
    none."""
    capacity = (limits.sequence, 0 if limits.joint else limits.targets)
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
