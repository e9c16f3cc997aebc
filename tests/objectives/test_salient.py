"""Marked spans: what is masked or cut is what was marked, whole texts come back, and what does not fit is
corrupted as any other text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_documents import LIMITS, Numbered, rebuilt, setting_of, words

from openflan.objectives.denoise import Pair, mask_span, restore_spans
from openflan.objectives.denoisers import CAUSAL_LM, PREFIX_LM, SPAN_CORRUPTION, UL2
from openflan.objectives.document_windows import (
    DocumentSetting,
    DocumentWindow,
    DocumentWindows,
    split_documents,
)

FEW = np.array([59, 58, 57, 56, 55])
EOS = 0


class Marked(Numbered):
    """Documents at hand, with the places of their marks."""

    def __init__(self, texts: Sequence[str], spans: Sequence[tuple[int, int] | None]) -> None:
        super().__init__(texts)
        self.spans = spans

    def salient(self, index: int) -> tuple[int, int] | None:
        return self.spans[index]


def marked(count: int, *, before: int = 4, inside: int = 2, after: int = 3) -> Marked:
    """Documents of words in a row, all different, whose marks begin and end within words."""
    texts, spans = [], []
    for index in range(count):
        parts = [f"w{index % 50 * 20 + place}" for place in range(before + inside + after)]
        text, begin = " ".join(parts), len(" ".join(parts[:before])) + 1 if before else 0
        texts.append(text)
        spans.append((begin + 1, len(" ".join(parts[: before + inside])) - 1))
    return Marked(texts, spans)


def windows_of(
    texts: Numbered, objective: str, share: float, *, length: int | None = None, seed: int = 0
) -> tuple[DocumentWindow, DocumentSetting]:
    tokenize, plain = setting_of(words(1_200), objective, joint=False, length=length)
    setting = DocumentSetting(plain.lengths, plain.special_tokens, plain.limits, seed, salient=share)
    documents, _ = split_documents(texts, 0, seed)
    return DocumentWindows(documents, tokenize, setting, size=len(texts)).make(0), setting


@st.composite
def text_and_span(draw: st.DrawFn) -> tuple[list[int], tuple[int, int]]:
    ids = draw(st.lists(st.integers(0, 60), min_size=1, max_size=60))
    begin = draw(st.integers(0, len(ids) - 1))
    return ids, (begin, draw(st.integers(begin + 1, len(ids))))


@settings(max_examples=300, deadline=None)
@given(text_and_span())
def test_the_given_span_alone_is_masked_and_nothing_is_lost(
    ids_and_span: tuple[list[int], tuple[int, int]],
) -> None:
    ids, (begin, end) = ids_and_span
    pair = mask_span(np.array(ids), (begin, end), FEW)
    assert restore_spans(pair, FEW).tolist() == ids
    if 55 in ids:  # the last sentinel stands in the text, so none is left
        assert (pair.input_ids.tolist(), pair.target_ids.tolist()) == (ids, [])
    else:
        sentinel = pair.target_ids[0]
        assert sentinel not in ids
        assert pair.target_ids[1:].tolist() == ids[begin:end]
        assert pair.input_ids.tolist() == [*ids[:begin], sentinel, *ids[end:]]


def test_a_loss_would_be_seen() -> None:
    pair = mask_span(np.arange(10), (3, 5), FEW)
    assert restore_spans(Pair(pair.input_ids, pair.target_ids[:-1]), FEW).tolist() != list(range(10))


@pytest.mark.parametrize("key", range(5))
def test_a_span_decides_what_would_have_been_drawn(key: int) -> None:
    ids, sentinels = np.arange(20), np.arange(999, 899, -1)
    masked = SPAN_CORRUPTION[0].apply(ids, sentinels, key, (4, 7))
    assert masked.target_ids.tolist() == [999, 4, 5, 6]
    cut = PREFIX_LM[0].apply(ids, sentinels, key, (4, 7))
    assert (cut.input_ids.tolist(), cut.target_ids.tolist()) == ([0, 1, 2, 3], list(range(4, 20)))
    assert CAUSAL_LM[0].apply(ids, sentinels, key, (4, 7)).target_ids.tolist() == list(range(20))
    assert UL2[6].apply(ids, sentinels, key).target_ids.tolist() != masked.target_ids.tolist()


def test_documents_are_masked_where_they_are_marked() -> None:
    """Marks count characters and tokens are whole words: a word is noise if any of its characters is
    marked."""
    texts = marked(40)
    window, setting = windows_of(texts, "span-corruption", 1.0)
    assert rebuilt([window], setting).keys() == {texts.place(number) for number in range(40)}
    for index, example in enumerate(window.encoded):
        document_index = int(window.origin(index).task.partition(":")[2]) - 1
        expected = [int(word[1:]) + 3 for word in texts.texts[document_index].split()]
        first = setting.special_tokens.sentinels[0]
        assert example.target_ids.tolist() == [first, *expected[4:6], EOS]
        assert example.input_ids.tolist() == [*expected[:4], first, *expected[6:], EOS]


def test_documents_are_cut_where_they_are_marked() -> None:
    texts = marked(40)
    window, setting = windows_of(texts, "prefix-lm", 1.0)
    assert {len(one.input_ids) for one in window.encoded} == {4 + 1}
    assert {len(one.target_ids) for one in window.encoded} == {2 + 3 + 1}
    assert len(rebuilt([window], setting)) == 40


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_marked_documents_is_met(share: float) -> None:
    window, setting = windows_of(marked(600), "span-corruption", share)
    num_masked = sum(
        example.target_ids.tolist()[1:-1] == sorted(example.target_ids.tolist()[1:-1])
        and len(example.target_ids) == 4
        for example in window.encoded
    )
    # Drawn noise of a text of nine words is one word.
    assert num_masked / 600 == pytest.approx(share, abs=0.07)
    assert len(rebuilt([window], setting)) == 600


def test_documents_without_a_mark_are_corrupted_as_ever() -> None:
    plain = marked(50)
    without = Marked(plain.texts, [None] * 50)
    listed = [
        [
            (example.input_ids.tolist(), example.target_ids.tolist())
            for example in windows_of(texts, "span-corruption", share)[0].encoded
        ]
        for texts, share in ((without, 1.0), (Numbered(plain.texts), 1.0), (plain, 0.0))
    ]
    assert listed[0] == listed[1] == listed[2]


def test_a_marked_pair_that_fits_no_row_is_corrupted_as_any_other() -> None:
    """A mark of 45 words would need 47 target tokens, and a row has 40."""
    assert LIMITS[False].targets == 40
    texts = marked(12, before=2, inside=15, after=2)
    long = Marked(
        [" ".join(f"w{word}" for word in range(46))] * 12,
        [(0, len(" ".join(f"w{word}" for word in range(45))))] * 12,
    )
    fitting, _ = windows_of(texts, "span-corruption", 1.0)
    assert {len(one.target_ids) for one in fitting.encoded} == {1 + 15 + 1}
    window, setting = windows_of(long, "span-corruption", 1.0)
    assert all(len(one.input_ids) + len(one.target_ids) > 46 for one in window.encoded)
    assert all(len(one.target_ids) < 20 for one in window.encoded)
    assert all(len(tokens) == 46 for tokens in rebuilt([window], setting).values())


def test_documents_cut_into_pieces_have_no_mark() -> None:
    window, setting = windows_of(marked(30), "span-corruption", 1.0, length=6)
    other, _ = windows_of(Numbered(marked(30).texts), "span-corruption", 0.0, length=6)
    assert [one.target_ids.tolist() for one in window.encoded] == [
        example.target_ids.tolist() for example in other.encoded
    ]
    assert len(rebuilt([window], setting)) == 30
