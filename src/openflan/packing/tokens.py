"""Text becomes token ids, many examples at once.

Ids are kept flat, as they lie on disk: one array for all examples and the places where each begins. Special
tokens (BOS, EOS) and limits are not in them, so that other capacities need no other tokens; only
conversations have those that their chat template writes. Few-shot examples
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

from openflan.errors import InputError
from openflan.packing.chat_layout import ChatExample, ChatLayout, Learn
from openflan.packing.text_ids import AddedTokens, TextIds
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

    Conversations have two arrays more. `learned` says of each of `ids` whether the loss is on it; targets
    then begin with the first that is. `cuttable` (N,) counts the tokens at the end of the user's text that
    may be left out of the inputs.
    """

    ids: Ids
    offsets: NDArray[np.int64]
    pruned: NDArray[np.uint8]
    learned: NDArray[np.bool_] | None = None
    cuttable: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.pruned)

    @property
    def lengths_N2(self) -> NDArray[np.int64]:
        """Input and target tokens of every example (N, 2). Tokens of a conversation that are not learned
        count as inputs, wherever they stand."""
        lengths_N2 = np.diff(self.offsets).reshape(-1, 2)
        if self.learned is None:
            return lengths_N2
        starts = self.offsets[::2]
        learned = self.learned[starts[0] : starts[-1]]
        before = np.concatenate([[0], np.cumsum(learned, dtype=np.int64)])
        learned_N = np.diff(before[starts - starts[0]])
        return np.stack([lengths_N2.sum(axis=1) - learned_N, learned_N], axis=1)

    @property
    def texts_N(self) -> NDArray[np.int64]:
        """Tokens of the text of every example's inputs (N,), without those that a chat template writes."""
        return self.lengths_N2[:, 0] if self.cuttable is None else self.cuttable.astype(np.int64)

    def inputs(self, number: int) -> Ids:
        return self.ids[self.offsets[2 * number] : self.offsets[2 * number + 1]]

    def targets(self, number: int) -> Ids:
        return self.ids[self.offsets[2 * number + 1] : self.offsets[2 * number + 2]]

    def learned_targets(self, number: int) -> NDArray[np.bool_] | None:
        """Which of an example's targets are learned; None: all."""
        if self.learned is None:
            return None
        return self.learned[self.offsets[2 * number + 1] : self.offsets[2 * number + 2]]

    def part(self, first: int, end: int) -> Tokens:
        """Examples `first` to `end`, sharing the memory."""
        return Tokens(
            self.ids,
            self.offsets[2 * first : 2 * end + 1],
            self.pruned[first:end],
            self.learned,
            None if self.cuttable is None else self.cuttable[first:end],
        )


def join(parts: Sequence[Tokens]) -> Tokens:
    """The examples of several in one, without anything else that their ids hold."""
    ids = np.concatenate([part.ids[part.offsets[0] : part.offsets[-1]] for part in parts])
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    learned = [part.learned[part.offsets[0] : part.offsets[-1]] for part in parts if part.learned is not None]
    cuttable = [part.cuttable for part in parts if part.cuttable is not None]
    return Tokens(
        ids,
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([part.pruned for part in parts]),
        np.concatenate(learned) if learned else None,
        np.concatenate(cuttable) if cuttable else None,
    )


_CHUNK = 128
"""Texts tokenised at a time."""


class Tokenize:
    """A Hugging Face tokenizer without special tokens, padding or truncation, by its fastest call; texts stay
    text (`text_ids`). `chat` writes conversations; None in other layouts."""

    def __init__(
        self,
        tokenizer: Any,
        *,
        chat: bool = False,
        learn: Learn = "all",
        added_tokens: AddedTokens = "ids",
    ) -> None:
        """Raises InputError with `chat` for a tokenizer without a chat template."""
        self._tokenizer = tokenizer
        self.text = TextIds(tokenizer, added_tokens)
        self.chat = ChatLayout(tokenizer, self.text, learn) if chat else None
        self.dtype: type[np.uint16] | type[np.uint32] = (
            np.uint16 if self.text.highest <= 1 << 16 else np.uint32
        )

    @property
    def unknown(self) -> int | None:
        """The id of what the vocabulary cannot write; None for one that can write everything. A token that is
        also something else, such as the end of a sequence, does not tell."""
        tokenizer = self._tokenizer
        number = getattr(tokenizer, "unk_token_id", None)
        roles = ("bos_token_id", "eos_token_id", "pad_token_id")
        return (
            None
            if number is None or number in [getattr(tokenizer, role, None) for role in roles]
            else int(number)
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
    if tokenize.chat is not None:
        return _chat_tokens(rendered, tokenize, tokenize.chat)
    ids, lengths = tokenize([text for one in rendered for text in (one.inputs, one.targets)])
    return Tokens(
        ids,
        np.concatenate([[0], np.cumsum(lengths)]),
        np.array([min(one.pruned, 255) for one in rendered], dtype=np.uint8),
    )


def _chat_tokens(rendered: Sequence[Rendered], tokenize: Tokenize, chat: ChatLayout) -> Tokens:
    """Examples in the chat template."""
    plain = [one.conversation is None and chat.is_plain(one.inputs, one.targets) for one in rendered]
    texts = tokenize.text.batch(
        [
            text
            for one, is_plain in zip(rendered, plain, strict=True)
            if is_plain
            for text in (one.inputs, one.targets)
        ]
    )
    of_texts = iter(zip(texts[::2], texts[1::2], strict=True))
    examples = [
        _around(chat, *next(of_texts)) if is_plain else _written(chat, one)
        for one, is_plain in zip(rendered, plain, strict=True)
    ]
    sides = [side for one in examples for side in (one.input_ids, one.target_ids)]
    flags = [side for one in examples for side in ([False] * len(one.input_ids), one.learned)]
    total = sum(map(len, sides))
    return Tokens(
        np.fromiter(chain.from_iterable(sides), dtype=tokenize.dtype, count=total),
        np.concatenate([[0], np.cumsum([len(side) for side in sides], dtype=np.int64)]),
        np.array([min(one.pruned, 255) for one in rendered], dtype=np.uint8),
        np.fromiter(chain.from_iterable(flags), dtype=np.bool_, count=total),
        np.array([one.cuttable for one in examples], dtype=np.int32),
    )


def _around(chat: ChatLayout, inputs: Sequence[int], targets: Sequence[int]) -> ChatExample:
    around = chat.around
    assert around is not None  # noqa: S101  (of a plain example)
    target_ids = [*targets, *around.after]
    return ChatExample(
        [*around.before, *inputs, *around.between], target_ids, [True] * len(target_ids), len(inputs)
    )


def _written(chat: ChatLayout, example: Rendered) -> ChatExample:
    """Raises InputError naming task and row where the template refuses the example."""
    source = f"{example.task} row {example.row}"
    try:
        if example.conversation is None:
            return chat.pair(example.inputs, example.targets, source)
        return chat.example_of(example.conversation, source)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


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
        for index in np.flatnonzero(tokens.texts_N > token_budget.tokens)
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
