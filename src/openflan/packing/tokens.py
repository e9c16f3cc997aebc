"""Text becomes token ids, many examples at once.

Ids are kept flat, as they lie on disk: one array for all examples and the places where each begins. Special
tokens (BOS, EOS) and limits are not in them, so that other capacities need no other tokens. Few-shot examples
are tokenised with all their exemplars first, and only those that turn out too long are rendered again with
fewer: measuring each one beforehand would tokenise most of them twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from openflan.packing.text_ids import TextIds
from openflan.templates.render import Rendered, TokenBudget

Ids: TypeAlias = NDArray[np.unsignedinteger[Any]]


class Examples(Protocol):
    """Rendered examples by position (`mixture.Stream`)."""

    @property
    def token_budget(self) -> TokenBudget | None:
        """How long few-shot inputs may be; None: as long as they come."""
        ...

    def __getitem__(self, position: int, /) -> Rendered: ...

    def unpruned(self, position: int, /) -> Rendered:
        """The example with all its exemplars, whether or not they fit `token_budget`."""
        ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """N examples as ids, without special tokens.

    `offsets` (2N + 1,) say where each text begins in `ids`: inputs of example n at 2n, its targets at 2n + 1.
    `ids` may hold more than these examples. `pruned` (N,) counts exemplars that were left out. The arrays may
    be mapped from a file.
    """

    ids: Ids
    offsets: NDArray[np.int64]
    pruned: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pruned)

    @property
    def lengths_N2(self) -> NDArray[np.int64]:
        """Input and target tokens of every example (N, 2)."""
        return np.diff(self.offsets).reshape(-1, 2)

    def inputs(self, number: int) -> Ids:
        return self.ids[self.offsets[2 * number] : self.offsets[2 * number + 1]]

    def targets(self, number: int) -> Ids:
        return self.ids[self.offsets[2 * number + 1] : self.offsets[2 * number + 2]]

    def part(self, first: int, end: int) -> Tokens:
        """Examples `first` to `end`, sharing the memory."""
        return Tokens(self.ids, self.offsets[2 * first : 2 * end + 1], self.pruned[first:end])


def join(parts: Sequence[Tokens]) -> Tokens:
    """The examples of several in one, without anything else that their ids hold."""
    ids = np.concatenate([part.ids[part.offsets[0] : part.offsets[-1]] for part in parts])
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Tokens(
        ids, np.concatenate([[0], np.cumsum(lengths)]), np.concatenate([part.pruned for part in parts])
    )


_CHUNK = 128
"""Texts tokenised at a time."""


class Tokenize:
    """A Hugging Face tokenizer without special tokens, padding or truncation, by its fastest call; texts stay
    text (`text_ids`)."""

    def __init__(self, tokenizer: Any) -> None:
        self.text = TextIds(tokenizer)
        self.dtype: type[np.uint16] | type[np.uint32] = (
            np.uint16 if self.text.highest <= 1 << 16 else np.uint32
        )

    def __call__(self, texts: Sequence[str]) -> tuple[Ids, NDArray[np.int64]]:
        """The ids of all texts, one after the other, and how many each has (texts,)."""
        chunks, lengths = [np.empty(0, dtype=self.dtype)], []
        # In chunks, so that encodings are read and dropped while they are still in the processor's cache.
        for first in range(0, len(texts), _CHUNK):
            ids = self.text.batch(texts[first : first + _CHUNK])
            lengths += [len(one) for one in ids]
            chunks.append(np.fromiter(chain.from_iterable(ids), dtype=self.dtype, count=sum(lengths[first:])))
        return np.concatenate(chunks), np.array(lengths, dtype=np.int64)

    def with_places(self, texts: Sequence[str]) -> tuple[list[Ids], list[list[tuple[int, int]]]]:
        """The ids of each text, and where each token begins and ends in it, in characters.

        Raises InputError for a tokenizer that does not know the places of its tokens.
        """
        ids, places = self.text.with_places(texts)
        return [np.array(one, dtype=self.dtype) for one in ids], places


def tokens_of(rendered: Sequence[Rendered], tokenize: Tokenize) -> Tokens:
    """Examples as they are."""
    ids, lengths = tokenize([text for one in rendered for text in (one.inputs, one.targets)])
    return Tokens(
        ids,
        np.concatenate([[0], np.cumsum(lengths)]),
        np.array([min(one.pruned, 255) for one in rendered], dtype=np.uint8),
    )


def tokens_at(
    examples: Examples, first: int, count: int, tokenize: Tokenize
) -> tuple[list[Rendered], Tokens]:
    """Examples `first` to `first + count` of a stream, exemplars pruned to fit its room: as text and as
    ids."""
    rendered = [examples.unpruned(position) for position in range(first, first + count)]
    tokens, token_budget = tokens_of(rendered, tokenize), examples.token_budget
    if token_budget is None:
        return rendered, tokens
    long = [
        int(index)
        for index in np.flatnonzero(tokens.lengths_N2[:, 0] > token_budget.tokens)
        if rendered[index].style.few_shot
    ]
    for index in long:
        rendered[index] = examples[first + index]
    again = tokens_of([rendered[index] for index in long], tokenize)
    parts, at = [], 0
    for number, index in enumerate(long):
        parts += [tokens.part(at, index), again.part(number, number + 1)]
        at = index + 1
    return rendered, join([*parts, tokens.part(at, count)]) if parts else tokens
