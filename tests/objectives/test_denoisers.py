"""The objectives as the papers state them, and how much room their pieces take."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.objectives.denoisers import (
    CAUSAL_LM,
    OBJECTIVES,
    PREFIX_LM,
    SPAN_CORRUPTION,
    UL2,
    UL2R,
    Denoiser,
    choose,
    with_shares,
)
from openflan.objectives.pieces import SpecialTokens, encode, fits, longest, needed_sentinels, next_piece
from openflan.packing.encode import Limits
from openflan.randomness import Draws

SENTINELS = np.arange(999, 699, -1)
EVERY = sorted(
    {denoiser for denoisers in OBJECTIVES.values() for denoiser in denoisers},
    key=lambda denoiser: denoiser.name + denoiser.kind,
)


def marks(*, bos: bool = False, modes: bool = True) -> SpecialTokens:
    return SpecialTokens(1, (2,) if bos else (), SENTINELS, {"r": 10, "s": 11, "x": 12} if modes else {})


def test_the_mixtures_are_those_of_the_papers() -> None:
    assert [(one.mode, one.mean, one.rate) for one in UL2 if one.kind == "spans"] == [
        ("r", 3, 0.15),
        ("r", 8, 0.15),
        ("x", 3, 0.5),
        ("x", 8, 0.5),
        ("x", 64, 0.15),
        ("x", 64, 0.5),
    ]
    assert [(one.mode, one.rate) for one in UL2 if one.kind == "prefix"] == [("s", 0.25)]
    shares = Counter[str | None]()
    for denoiser in UL2R:
        shares[denoiser.mode] += denoiser.share
    assert shares == {"s": 0.5, "r": 0.25, "x": 0.25}
    assert [sum(one.share for one in mixture) for mixture in (UL2, UL2R)] == [
        pytest.approx(1),
        pytest.approx(1),
    ]


def test_denoisers_are_drawn_by_their_shares() -> None:
    draws = 20_000
    seen = Counter(choose(UL2R, Draws("test", number)).name for number in range(draws))
    assert {name: count / draws for name, count in seen.items()} == {
        denoiser.name: pytest.approx(denoiser.share, abs=0.015) for denoiser in UL2R
    }


@pytest.mark.parametrize("denoiser", [one for one in EVERY if one.kind == "spans"], ids=lambda one: one.name)
def test_rates_are_met(denoiser: Denoiser) -> None:
    """Over pieces of many lengths the noise is its share of the tokens, and spans have their mean length;
    rolling splits one span in some."""
    noise, spans, tokens = 0, 0, 0
    for key in range(150):
        length = 400 + 2 * key
        pair = denoiser.apply(np.zeros(length, dtype=np.int64), SENTINELS, key)
        inside = pair.target_ids < 700
        noise, spans, tokens = noise + int(inside.sum()), spans + int((~inside).sum()), tokens + length
    assert noise / tokens == pytest.approx(denoiser.rate, abs=0.002)
    # Fewer than one span a piece cannot be; a rolled one may count twice.
    expected_spans = max(noise / denoiser.mean, 150)
    assert expected_spans * 0.9 <= spans <= expected_spans * 1.1 + 150 * denoiser.roll


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(EVERY),
    st.integers(1, 300),
    st.integers(0, 2**64 - 1),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_no_piece_takes_more_room_than_was_promised(
    denoiser: Denoiser, length: int, key: int, joint: bool, bos: bool, modes: bool
) -> None:
    around = marks(bos=bos, modes=modes)
    encoded = encode(np.zeros(length, dtype=np.int64), denoiser, around, key, joint=joint, ends=bool(key % 2))
    inputs, targets = len(encoded.input_ids), len(encoded.target_ids)
    assert targets > 0
    assert inputs > 0
    limits = Limits(*denoiser_room(denoiser, around, length), joint=False)
    assert inputs <= limits.inputs
    assert targets <= limits.targets
    assert inputs + targets <= denoiser.longest(length) + 4
    assert needed_sentinels({denoiser: length}) >= int(np.isin(encoded.target_ids, SENTINELS).sum())


def denoiser_room(denoiser: Denoiser, around: SpecialTokens, length: int) -> tuple[int, int]:
    inputs, targets = denoiser.most_per_side(length)
    return inputs + len(around.bos) + len(around.mode(denoiser)) + 1, targets + 1


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("joint", [False, True])
def test_the_longest_piece_fits_and_a_longer_one_may_not(name: str, joint: bool) -> None:
    denoisers, limits = OBJECTIVES[name], Limits(128, 96, joint)  # type: ignore[index]
    longest_piece = longest(denoisers, marks(), limits)
    assert fits(longest_piece, denoisers, marks(), limits)
    assert not fits(longest_piece + 1, denoisers, marks(), limits)
    for key in range(300):
        encoded = encode(
            np.zeros(longest_piece, dtype=np.int64),
            choose(denoisers, Draws(key)),
            marks(),
            key,
            joint=joint,
            ends=True,
        )
        if joint:
            assert len(encoded.input_ids) + len(encoded.target_ids) <= limits.sequence
        else:
            assert len(encoded.input_ids) <= limits.inputs
            assert len(encoded.target_ids) <= limits.targets


def test_t5s_length_is_found() -> None:
    assert longest(SPAN_CORRUPTION, marks(), Limits(512, 114, joint=False)) == 568


def test_too_little_room_for_anything_is_refused() -> None:
    with pytest.raises(InputError, match="do not hold one token and its special tokens"):
        longest(CAUSAL_LM, marks(), Limits(1, 1, joint=False))


@given(st.integers(1, 5_000), st.integers(1, 600))
def test_documents_are_cut_into_as_few_pieces_as_will_do_and_no_scraps(length: int, size: int) -> None:
    left, pieces = length, list[int]()
    while left:
        pieces.append(next_piece(left, size))
        left -= pieces[-1]
    assert sum(pieces) == length
    assert len(pieces) == -(-length // size)
    assert max(pieces) <= size
    assert len(pieces) == 1 or min(pieces) >= size // 8
    assert all(piece == size for piece in pieces[:-2])


def test_marks_stand_where_they_belong() -> None:
    ids = np.array([20, 21, 22, 23])
    (causal,), (prefix,), s = CAUSAL_LM, PREFIX_LM, next(one for one in UL2 if one.mode == "s")
    joint_example = encode(ids, causal, marks(), 0, joint=True, ends=True)
    assert (joint_example.input_ids.tolist(), joint_example.target_ids.tolist()) == ([1], [20, 21, 22, 23, 1])
    first = encode(ids, causal, marks(bos=True), 0, joint=True, ends=False)
    assert (first.input_ids.tolist(), first.target_ids.tolist()) == ([2], [20, 21, 22, 23])
    two_sided = encode(ids, causal, marks(bos=True), 0, joint=False, ends=False)
    assert (two_sided.input_ids.tolist(), two_sided.target_ids.tolist()) == ([1], [20, 21, 22, 23])
    announced = encode(ids, s, marks(bos=True), 0, joint=True, ends=True)
    assert (announced.input_ids.tolist(), announced.target_ids.tolist()) == ([2, 11, 20, 21, 22], [23, 1])
    assert encode(ids, s, marks(), 0, joint=False, ends=True).input_ids.tolist() == [11, 20, 21, 22, 1]
    assert encode(ids, s, marks(modes=False), 0, joint=True, ends=True).input_ids.tolist() == [20, 21, 22]
    alone = encode(ids[:1], prefix, marks(), 0, joint=True, ends=False)
    assert (alone.input_ids.tolist(), alone.target_ids.tolist()) == ([1], [20])
    spans = encode(ids, SPAN_CORRUPTION[0], marks(), 0, joint=True, ends=False)
    assert spans.target_ids[-1] == 1, "a list of spans is whole whether or not the text goes on"


def test_shares_may_be_others() -> None:
    denoisers = with_shares(UL2, {"r": 1.0, "x": 3.0})
    assert {one.mode for one in denoisers} == {"r", "x"}
    assert sum(one.share for one in denoisers if one.mode == "x") == pytest.approx(3)
    assert len({one.share for one in denoisers if one.mode == "x"}) == 1
    with pytest.raises(InputError, match="no mode s; leave the key out"):
        with_shares(PREFIX_LM, {"s": 1})
    with pytest.raises(InputError, match="sum to 0"):
        with_shares(UL2R, {"r": 0.0})
