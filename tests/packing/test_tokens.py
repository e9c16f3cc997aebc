"""Text to flat ids: those of every text by itself, and of the exemplars that fit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered_words import ROOM, Lettered, Words, word_level, words_in

from openflan.packing.tokens import Tokenize, Tokens, join, tokens_at, tokens_of
from openflan.templates.render import Rendered, TokenBudget
from openflan.templates.style import Style


def _plain(tokens: Tokens) -> list[tuple[list[int], list[int], int]]:
    return [
        (tokens.inputs(index).tolist(), tokens.targets(index).tolist(), int(tokens.pruned[index]))
        for index in range(len(tokens))
    ]


def _one_by_one(
    examples: Words, first: int, count: int, tokenizer: Lettered
) -> list[tuple[list[int], list[int], int]]:
    """The oracle: each position rendered with the room and tokenised by itself."""
    rendered = [examples[position] for position in range(first, first + count)]
    return [(tokenizer._ids(one.inputs), tokenizer._ids(one.targets), one.pruned) for one in rendered]


@settings(max_examples=40, deadline=None)
@given(first=st.integers(0, 500), count=st.integers(1, 150), token_budget=st.none() | st.integers(1, 90))
def test_tokens_are_those_of_rendering_within_the_room_position_by_position(
    first: int, count: int, token_budget: int | None
) -> None:
    examples, tokenizer = (
        Words(None if token_budget is None else TokenBudget(token_budget, words_in)),
        Lettered(),
    )
    rendered, tokens = tokens_at(examples, first, count, Tokenize(tokenizer))
    assert _plain(tokens) == _one_by_one(examples, first, count, tokenizer)
    assert rendered == [examples[position] for position in range(first, first + count)]
    assert tokens.lengths_N2.tolist() == [[words_in(one.inputs), words_in(one.targets)] for one in rendered]


def test_some_of_those_were_pruned_some_were_not() -> None:
    """Else the test above would compare nothing."""
    pruned = tokens_at(Words(ROOM), 0, 150, Tokenize(Lettered()))[1].pruned
    assert 0 < np.count_nonzero(pruned) < 50
    assert len(set(pruned.tolist())) > 2


def test_only_examples_that_are_too_long_are_rendered_twice() -> None:
    asked: list[int] = []

    class Spied(Words):
        def __getitem__(self, position: int) -> Rendered:
            asked.append(position)
            return super().__getitem__(position)

    examples = Spied(ROOM)
    tokens_at(examples, 0, 90, Tokenize(Lettered()))
    assert asked == [
        position
        for position in range(90)
        if examples.unpruned(position).style.few_shot and words_in(examples.unpruned(position).inputs) > 45
    ]


@pytest.mark.parametrize("texts", [0, 1, 127, 128, 129, 300])
def test_chunks_leave_no_trace(texts: int) -> None:
    tokenizer = word_level()
    written = [" ".join(f"w{(number * step) % 297}" for step in range(number % 7)) for number in range(texts)]
    ids, lengths = Tokenize(tokenizer)(written)
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in written]
    assert ids.tolist() == [token for one in expected for token in one]
    assert lengths.tolist() == [len(one) for one in expected]


@pytest.mark.parametrize(
    ("size", "gap", "dtype"), [(65_536, 0, np.uint16), (65_537, 0, np.uint32), (65_530, 20, np.uint32)]
)
def test_ids_are_as_wide_as_the_highest_needs(size: int, gap: int, dtype: type) -> None:
    """A vocabulary with a gap has higher ids than it has tokens."""
    ids, _ = Tokenize(word_level(size, gap=gap))(["w0 last"])
    assert ids.dtype == dtype
    assert ids.tolist() == [2, size - 1 + gap]
    assert Tokenize(Lettered(size))(["in0"])[0].dtype == (np.uint16 if size <= 65_536 else np.uint32)


def test_padding_and_truncation_of_the_tokenizers_file_neither_count_nor_change() -> None:
    tokenizer = word_level(padded=True)
    backend = tokenizer.backend_tokenizer
    assert backend.padding is not None
    before = backend.to_str()
    ids, lengths = Tokenize(tokenizer)(["w1 w2 w3 w4 w5", "w6"])
    assert ids.tolist() == [3, 4, 5, 6, 7, 8]
    assert lengths.tolist() == [5, 1]
    assert backend.to_str() == before
    assert len(backend.encode("w1 w2 w3 w4 w5").ids) == 9, (
        "the tokenizer itself still pads, and so could have been seen to"
    )


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6))
def test_parts_join_to_the_whole(cuts: list[int]) -> None:
    _, tokens = tokens_at(Words(), 0, 60, Tokenize(Lettered()))
    ends = sorted({0, 60, *cuts})
    parts = [tokens.part(first, end) for first, end in pairwise(ends)]
    joined = join(parts)
    assert _plain(joined) == _plain(tokens)
    assert len(joined.ids) == len(tokens.ids)
    assert [part.lengths_N2.tolist() for part in parts] == [
        tokens.lengths_N2[first:end].tolist() for first, end in pairwise(ends)
    ]


def test_no_more_than_255_pruned_exemplars_are_counted() -> None:
    example = Rendered("a", "a", "", "own/words", 0, Style(), "any", pruned=300)
    assert tokens_of([example], Tokenize(Lettered())).pruned.tolist() == [255]
