"""Documents without end, and the packed windows that training reads of them.

An epoch over the documents is a seeded permutation, another one in each epoch. Document k of training is
therefore found without reading the ones before. Windows of a fixed number of documents are tokenised,
divided, corrupted and packed by themselves. A window is a function of the recipe and its number alone, so a
run resumes to the same bits. Text is tokenised without the tokens that were added for the objective. A
document that contains the text of such a token does not get its id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from openflan.errors import InputError
from openflan.objectives.denoise import Ids
from openflan.objectives.denoisers import Denoiser, choose
from openflan.objectives.pieces import SpecialTokens, encode, next_piece
from openflan.packing.encode import Encoded, Fit, Limits
from openflan.packing.example_windows import packed_windows
from openflan.packing.pack import Packed
from openflan.packing.packed_stream import PackedStream, PackedWindow
from openflan.packing.tokens import Tokenize
from openflan.randomness import Draws, Permutation, combine

_EPOCHS = 4
"""Permutations that stay in memory: a window may lie across the border of two epochs, and validation has its
own."""


class Texts(Protocol):
    """Documents by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> str: ...

    def place(self, index: int) -> str:
        """The location of a document, for messages."""
        ...


@runtime_checkable
class Salient(Protocol):
    """Documents that may mark their most important span, as characters from `begin` to `end`."""

    def salient(self, index: int, /) -> tuple[int, int] | None: ...


class Documents:
    """Documents in a new seeded order in each epoch."""

    def __init__(
        self, texts: Texts, numbers: Callable[[NDArray[np.int64]], NDArray[np.int64]], count: int, seed: int
    ) -> None:
        """`numbers` turns 0 to `count` - 1 into document numbers of `texts`."""
        self.count = count
        self.place = texts.place
        self._texts = texts
        self._numbers = numbers
        self._order: Callable[[int], Permutation] = lru_cache(maxsize=_EPOCHS)(
            lambda number: Permutation(count, seed, "documents", number)
        )

    def number(self, position: int) -> int:
        """The document at a position of training, of which there is no last."""
        epoch, within = divmod(position, self.count)
        return int(self._numbers(self._order(epoch)[np.array([within])])[0])

    def text(self, index: int) -> str:
        return self._texts[index]

    def salient(self, index: int) -> tuple[int, int] | None:
        return self._texts.salient(index) if isinstance(self._texts, Salient) else None


def split_documents(texts: Texts, held_back: int, seed: int) -> tuple[Documents, Documents | None]:
    """The documents to train on, and `held_back` others, the same whatever the seed, to measure the loss on
    (None for 0).

    Raises InputError if that leaves none to train on.
    """
    total = len(texts)
    if held_back >= total:
        raise InputError(
            f"validation.documents holds back {held_back:,} documents, and there are {total:,}; hold "
            "back fewer"
        )
    order = Permutation(total, "validation", "documents")
    training = Documents(texts, lambda numbers: order[numbers + held_back], total - held_back, seed)
    return training, Documents(texts, lambda numbers: order[numbers], held_back, seed) if held_back else None


@dataclass(frozen=True, slots=True)
class Piece:
    """Where an example came from: `row` counts the pieces of the document at `task`."""

    task: str
    row: int


@dataclass(frozen=True, slots=True)
class DocumentSetting:
    """What becomes of documents: `lengths` are the most tokens of each denoiser's pieces, `joined` if
    documents stand one after another before they are divided. `salient` is the share of documents that
    are divided or corrupted at their marked span."""

    lengths: Mapping[Denoiser, int]
    special_tokens: SpecialTokens
    limits: Limits
    seed: int
    joined: bool = False
    salient: float = 0.0

    @property
    def denoisers(self) -> tuple[Denoiser, ...]:
        return tuple(self.lengths)


class DocumentWindow(PackedWindow[Piece]):
    """Packed pieces of some documents."""

    def __init__(
        self, encoded: Sequence[Encoded], pieces: Sequence[Piece], packed: Packed, tally: Counter[str]
    ) -> None:
        """`pieces` says where each example of `encoded` came from, `tally` is what `counts` returns."""
        super().__init__(packed)
        self.encoded = encoded
        self.pieces = pieces
        self._tally = tally

    def encoded_example(self, index: int) -> Encoded:
        return self.encoded[index]

    def origin(self, index: int) -> Piece:
        return self.pieces[index]

    def counts(self) -> Counter[str]:
        """The numbers of documents, of their tokens, of their pieces, and of the pieces of each denoiser."""
        return self._tally


DocumentStream: TypeAlias = PackedStream[DocumentWindow]
"""The packed sequences of some documents."""


class DocumentWindows:
    """Makes windows of `size` documents each."""

    def __init__(self, documents: Documents, tokenize: Tokenize, setting: DocumentSetting, size: int) -> None:
        self._documents = documents
        self._tokenize = tokenize
        self._setting = setting
        self._size = size

    def stream(self, sequences_per_window: Sequence[int] = ()) -> DocumentStream:
        """The packed sequences. `sequences_per_window` is what `index` gave in an earlier run."""
        return PackedStream(self._setting.limits, self.make, sequences_per_window=sequences_per_window)

    def make(self, window_index: int) -> DocumentWindow:
        """Raises InputError if none of its documents holds a token."""
        setting, denoisers, first = self._setting, self._setting.denoisers, window_index * self._size
        numbers = [self._documents.number(position) for position in range(first, first + self._size)]
        texts, marked = self._tokens(numbers)
        tokens, empty = sum(map(len, texts)), sum(not len(text) for text in texts)
        if setting.joined:
            numbers, texts, marked = numbers[:1], [self._joined(texts)], [None]
        encoded, origins, tally = list[Encoded](), list[Piece](), Counter[str]()
        for position, (document, text, span) in enumerate(zip(numbers, texts, marked, strict=True), first):
            row = begin = 0
            while begin < len(text):
                key = combine(setting.seed, "piece", position, row)
                denoiser = choose(denoisers, Draws(key, "denoiser"))
                end = begin + next_piece(len(text) - begin, setting.lengths[denoiser])
                is_complete = (
                    span is not None
                    and end - begin == len(text)
                    and Draws(key, "salient").chance(setting.salient)
                )
                example = encode(
                    text[begin:end],
                    denoiser,
                    setting.special_tokens,
                    key,
                    joint=setting.limits.joint,
                    ends=end == len(text),
                    span=span if is_complete else None,
                )
                if is_complete and not setting.limits.fit(example):
                    example = encode(
                        text[begin:end],
                        denoiser,
                        setting.special_tokens,
                        key,
                        joint=setting.limits.joint,
                        ends=True,
                    )
                encoded.append(example)
                origins.append(Piece(self._documents.place(document), row))
                tally[f"pieces: {denoiser.name}"] += 1
                row, begin = row + 1, end
        if not encoded:
            raise InputError(
                f"{self._documents.place(numbers[0])} and the {self._size - 1:,} documents drawn after "
                "it hold no token; look at the data"
            )
        tally |= Counter({"documents": self._size, "tokens": tokens, "empty documents": empty})
        lengths_N2 = np.array([[len(one.input_ids), len(one.target_ids)] for one in encoded], dtype=np.int64)
        nothing = np.zeros(len(encoded), dtype=np.int64)
        (packed,) = packed_windows([Fit(lengths_N2, nothing, nothing.astype(np.int8))], setting.limits)
        return DocumentWindow(encoded, origins, packed, tally)

    def _tokens(self, numbers: Sequence[int]) -> tuple[list[Ids], list[tuple[int, int] | None]]:
        """The ids of documents, and the tokens of their marked spans where those are wanted."""
        texts = [self._documents.text(number) for number in numbers]
        if not self._setting.salient:
            ids, lengths = self._tokenize(texts)
            return np.split(ids, np.cumsum(lengths)[:-1]), [None] * len(texts)
        listed, places = self._tokenize.with_places(texts)
        return list(listed), [
            _tokens_of(self._documents.salient(index), spans)
            for index, spans in zip(numbers, places, strict=True)
        ]

    def _joined(self, texts: Sequence[Ids]) -> Ids:
        """All documents of a window as one text, EOS between them."""
        border = np.array([self._setting.special_tokens.eos], dtype=texts[0].dtype)
        parts = [part for text in texts if len(text) for part in (text, border)]
        return np.concatenate(parts[:-1]) if parts else texts[0]


def _tokens_of(span: tuple[int, int] | None, places: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The tokens that hold any character of a span."""
    if span is None:
        return None
    inside = [number for number, (begin, end) in enumerate(places) if end > span[0] and begin < span[1]]
    return (inside[0], inside[-1] + 1) if inside else None
