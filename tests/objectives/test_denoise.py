"""Span corruption and cuts against T5's published numbers, and against the text that went in."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.objectives.denoise import Pair, corrupt_spans, noise_counts, noise_mask, restore_spans, split

SENTINELS = np.arange(32_099, 31_999, -1)

IDS = st.lists(st.integers(0, 60), max_size=80)
FEW = np.array([59, 58, 57, 56, 55])


def rebuilt(pair: Pair, sentinels: set[int]) -> list[int]:
    """The text by hand: each sentinel of the targets stands for what follows it there, from the first on."""
    spans: dict[int, list[int]] = {}
    for token in pair.target_ids.tolist():
        if token in sentinels and token not in spans:
            spans[token] = []
        else:
            spans[next(reversed(spans))].append(token)
    return [inner for token in pair.input_ids.tolist() for inner in spans.get(token, [token])]


@settings(max_examples=300, deadline=None)
@given(IDS, st.floats(0.01, 0.99), st.floats(1, 70), st.booleans(), st.integers(0, 2**64 - 1))
def test_nothing_is_lost_even_of_texts_that_hold_sentinels(
    ids: list[int], rate: float, mean: float, roll: bool, key: int
) -> None:
    pair = corrupt_spans(np.array(ids, dtype=np.int64), rate, mean, FEW, key, roll=roll)
    assert restore_spans(pair, FEW).tolist() == ids


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 31_999), max_size=300),
    st.floats(0.05, 0.6),
    st.floats(1, 10),
    st.booleans(),
    st.integers(0, 2**64 - 1),
)
def test_an_independent_reader_rebuilds_the_text(
    ids: list[int], rate: float, mean: float, roll: bool, key: int
) -> None:
    pair = corrupt_spans(np.array(ids, dtype=np.int64), rate, mean, SENTINELS, key, roll=roll)
    assert rebuilt(pair, set(SENTINELS.tolist())) == ids


def test_the_readers_would_see_a_loss() -> None:
    ids = np.arange(1, 101)
    pair = corrupt_spans(ids, 0.15, 3, SENTINELS, 1)
    worse = Pair(pair.input_ids, np.delete(pair.target_ids, 1))
    assert restore_spans(worse, SENTINELS).tolist() != ids.tolist()
    assert rebuilt(worse, set(SENTINELS.tolist())) != ids.tolist()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 600), st.floats(0.05, 0.6), st.floats(1, 10), st.booleans(), st.integers(0, 2**64 - 1))
def test_sentinels_descend_and_each_stands_once_on_either_side(
    length: int, rate: float, mean: float, roll: bool, key: int
) -> None:
    pair = corrupt_spans(np.arange(length), rate, mean, SENTINELS, key, roll=roll)
    sides = [ids[ids >= 32_000].tolist() for ids in (pair.input_ids, pair.target_ids)]
    assert sides[0] == sides[1] == list(range(32_099, 32_099 - len(sides[0]), -1))
    spans = np.flatnonzero(pair.input_ids >= 32_000)
    assert np.all(np.diff(spans) > 1), "two spans of noise touch"


@pytest.mark.parametrize(
    ("length", "rate", "mean", "noise", "spans"),
    [
        (568, 0.15, 3.0, 85, 28),  # T5: 568 tokens give 512 inputs and 114 targets, EOS included
        (512, 0.15, 3.0, 77, 26),
        (10, 0.15, 3.0, 2, 1),  # 1.5 rounds to the even 2; 2 / 3 to 1
        (30, 0.15, 3.0, 4, 1),  # 4.5 rounds to the even 4
        (2, 0.15, 3.0, 1, 1),
        (3, 0.99, 1.0, 2, 1),  # one token always stays, and two spans would need two
        (100, 0.5, 64.0, 50, 1),
        (1, 0.15, 3.0, 0, 0),
        (0, 0.15, 3.0, 0, 0),
    ],
)
def test_counts_are_those_of_t5(length: int, rate: float, mean: float, noise: int, spans: int) -> None:
    assert noise_counts(length, rate, mean) == (noise, spans)
    mask = noise_mask(length, rate, mean, key=5)
    assert mask.sum() == noise
    assert (np.diff(np.concatenate([[0], mask.astype(int)])) == 1).sum() == spans


def test_t5s_lengths_come_out() -> None:
    pair = corrupt_spans(np.arange(568), 0.15, 3.0, SENTINELS, 3)
    assert (len(pair.input_ids) + 1, len(pair.target_ids) + 1) == (512, 114)


def test_every_way_to_lay_spans_is_as_likely() -> None:
    """Seven tokens, three of noise in two spans: two ways to part the noise, three for the four that stay."""
    draws = 6_000
    seen = Counter(tuple(noise_mask(7, 3 / 7, 1.5, key).tolist()) for key in range(draws))
    assert len(seen) == 6
    expected = draws / 6
    assert sum((count - expected) ** 2 / expected for count in seen.values()) < 20.5, (
        "chi-square of five degrees of freedom, one in a thousand"
    )


def test_without_roll_the_end_is_noise_and_the_start_is_not_with_it_all_places_are_alike() -> None:
    plain = np.mean([noise_mask(40, 0.15, 64, key) for key in range(400)], axis=0)
    rolled = np.mean([noise_mask(40, 0.15, 64, key, roll=True) for key in range(4_000)], axis=0)
    assert plain[0] == 0
    assert plain[-6:].min() == 1
    assert np.abs(rolled - 0.15).max() < 0.03


def test_sentinels_that_do_not_suffice_make_fewer_spans_not_less_noise() -> None:
    pair = corrupt_spans(np.arange(50), 0.5, 1.0, FEW + 1_000, 0)
    assert (pair.target_ids >= 1_000).sum() == 5
    assert len(pair.target_ids) == 25 + 5
    held = corrupt_spans(np.array([1, 2, 55, 4]), 0.5, 1.0, FEW, 0)
    assert held.target_ids.tolist() == []
    assert held.input_ids.tolist() == [1, 2, 55, 4], "no sentinel is left after the last"


def test_the_same_key_gives_the_same_another_key_another() -> None:
    first, again, other = (corrupt_spans(np.arange(200), 0.15, 3.0, SENTINELS, key) for key in (7, 7, 8))
    assert first.input_ids.tolist() == again.input_ids.tolist()
    assert first.target_ids.tolist() == again.target_ids.tolist()
    assert first.input_ids.tolist() != other.input_ids.tolist()


def test_cuts_fall_anywhere_between_two_tokens() -> None:
    draws = 5_000
    cuts = Counter(len(split(np.arange(6), key).input_ids) for key in range(draws))
    assert sorted(cuts) == [1, 2, 3, 4, 5]
    assert max(abs(count - draws / 5) for count in cuts.values()) < 150, "five standard deviations"


@given(st.integers(0, 400), st.one_of(st.none(), st.floats(0.01, 0.99)), st.integers(0, 2**64 - 1))
def test_a_cut_keeps_every_token_in_its_place(length: int, rate: float | None, key: int) -> None:
    pair = split(np.arange(length), key, rate)
    assert [*pair.input_ids, *pair.target_ids] == list(range(length))
    if length == 1:
        assert len(pair.target_ids) == 1
    if length > 1:
        assert len(pair.input_ids) > 0
        assert len(pair.target_ids) > 0
    if rate is not None and length > 1:
        assert (
            abs(len(pair.target_ids) - length * rate)
            <= max(0.51, 1 - length * rate, 1 - length * (1 - rate)) + 1e-6
        )
