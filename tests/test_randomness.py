"""Draws, seeded orders and permutations: repeatable, even, and a function of what they are for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from openflan.randomness import Draws, Permutation, combine, scramble, shuffled

STORED = 65_536
parts = st.lists(st.integers(-(2**70), 2**70) | st.text(max_size=8), min_size=1, max_size=4)
sizes = st.integers(1, 300) | st.sampled_from([STORED - 1, STORED, STORED + 1, 3 * STORED, 262_144, 262_145])


def image(size: int, *key: int | str) -> NDArray[np.int64]:
    return Permutation(size, *key)[np.arange(size)]


def is_order(values: NDArray[np.int64], size: int) -> bool:
    return bool(np.array_equal(np.sort(values), np.arange(size)))


@settings(deadline=None, max_examples=30)
@given(size=sizes, seed=st.integers(0, 2**63))
def test_a_permutation_shows_every_element_once_and_again_the_same(size: int, seed: int) -> None:
    values = image(size, seed, "rows")
    assert is_order(values, size)
    assert np.array_equal(values, image(size, seed, "rows"))


@settings(deadline=None, max_examples=60)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**63))
def test_the_computed_permutation_is_right_at_every_size_and_for_every_single_position(
    size: int, seed: int
) -> None:
    """Small sizes would use the stored table; they show every edge of the computed one, and asked one by one
    nothing hides behind a neighbour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Permutation, "_STORED", 0)
        permutation = Permutation(size, seed)
    values = np.concatenate([permutation[np.array([position])] for position in range(size)])
    assert is_order(values, size)
    assert np.array_equal(values, permutation[np.arange(size)])


@pytest.mark.parametrize("size", [STORED, STORED + 1])
def test_permutations_of_other_seeds_and_purposes_are_other_orders(size: int) -> None:
    """At the last stored size and the first computed one: two unrelated orders of so many agree in about one
    place."""
    reference = image(size, 0, "rows")
    for other in (image(size, 1, "rows"), image(size, 0, "shards"), np.arange(size)):
        assert (reference == other).sum() < 12
    assert is_order(reference, size)


@pytest.mark.parametrize("size", [STORED, STORED + 1])
def test_a_permutation_has_no_pattern_between_neighbours(size: int) -> None:
    """Steps from element to element: a shift or a stride would make one of them common, a low-entropy network
    would keep the ends together."""
    steps = np.diff(image(size, 3))
    assert Counter(steps.tolist()).most_common(1)[0][1] < 20
    assert abs(np.corrcoef(np.arange(size), image(size, 3))[0, 1]) < 0.03


@pytest.mark.parametrize("size", [10, STORED + 1])
def test_any_shape_of_positions_is_answered_in_kind(size: int) -> None:
    permutation, all_values = Permutation(size, 5), image(size, 5)
    table = np.array([[0, 9], [3, 3]])
    assert np.array_equal(permutation[table], all_values[table])
    assert permutation[np.array([], dtype=np.int64)].shape == (0,)
    for position in range(10):
        assert int(permutation[np.array(position)]) == all_values[position]


def test_a_permutation_of_billions_needs_no_table() -> None:
    permutation = Permutation(5_000_000_000, 1)
    values = permutation[np.arange(4_999_000_000, 4_999_010_000)]
    assert len(np.unique(values)) == 10_000
    assert values.min() >= 0
    assert values.max() < 5_000_000_000
    assert 2.3e9 < values.mean() < 2.7e9


def test_a_permutation_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Permutation(0, 1)


@settings(deadline=None, max_examples=50)
@given(size=st.integers(0, 2000), key=parts)
def test_shuffled_is_a_repeatable_order(size: int, key: list[int | str]) -> None:
    assert is_order(shuffled(size, *key), size)
    assert np.array_equal(shuffled(size, *key), shuffled(size, *key))


@given(key=parts)
def test_draws_repeat(key: list[int | str]) -> None:
    first, other = Draws(*key), Draws(*key)
    assert [first.bits() for _ in range(5)] == [other.bits() for _ in range(5)]


@given(first=parts, second=parts)
def test_other_parts_give_other_draws(first: list[int | str], second: list[int | str]) -> None:
    """Integers count modulo 2**64; anything else that differs must tell."""
    same = [part % 2**64 if isinstance(part, int) else part for part in first] == [
        part % 2**64 if isinstance(part, int) else part for part in second
    ]
    assert (combine(*first) == combine(*second)) == same


def test_the_order_and_the_borders_of_parts_matter() -> None:
    variants = [
        combine(*key)
        for key in [
            (1, 2),
            (2, 1),
            (12,),
            ("1", "2"),
            ("12",),
            (1, "2"),
            ("a", 1),
            (1, "a"),
            (1, 2, 0),
            (0, 1, 2),
        ]
    ]
    assert len(set(variants)) == len(variants)


def test_numbers_are_those_of_splitmix64() -> None:
    """The published first outputs of SplitMix64 from state 0, and the array form beside the scalar one."""
    assert combine(0) == 0xE220A8397B1DCDAF
    gamma = np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert [int(value) for value in scramble(gamma)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_draws_are_the_same_in_every_process() -> None:
    code = "from openflan.randomness import Draws; print(Draws(7, 'render', 'cot/gsm8k', 3).bits())"
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        assert int(done.stdout) == Draws(7, "render", "cot/gsm8k", 3).bits()


@given(key=parts, bound=st.integers(1, 2**40))
def test_below_stays_below(key: list[int | str], bound: int) -> None:
    draws = Draws(*key)
    assert all(0 <= draws.below(bound) < bound for _ in range(20))


def chi_square(counts: list[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bound", [2, 3, 16])
def test_below_is_even_along_one_stream_and_across_neighbouring_positions(seed: int, bound: int) -> None:
    """16 kinds have 15 degrees of freedom: 55 is passed once in a million even tables."""
    stream = Draws(seed)
    along = Counter(stream.below(bound) for _ in range(8_000))
    across = Counter(Draws(seed, "style", position).below(bound) for position in range(8_000))
    for counts in (along, across):
        assert chi_square([counts[kind] for kind in range(bound)]) < 55
    loaded = Counter(min(stream.below(bound), stream.below(bound)) for _ in range(8_000))
    assert chi_square([loaded[kind] for kind in range(bound)]) > 55


def test_draws_at_neighbouring_positions_are_unrelated() -> None:
    first = [Draws(0, "style", position).below(2) for position in range(8_000)]
    repeats = sum(one == other for one, other in pairwise(first))
    assert abs(repeats - 4_000) < 5 * 45  # five standard deviations


def test_chance_follows_its_probability_and_is_certain_at_the_ends() -> None:
    draws = Draws("chance")
    assert not any(draws.chance(0.0) for _ in range(1_000))
    assert all(draws.chance(1.0) for _ in range(1_000))
    assert abs(sum(draws.chance(0.3) for _ in range(10_000)) - 3_000) < 250


@settings(deadline=None)
@given(key=parts, count=st.integers(0, 12), bound=st.integers(0, 20), avoid=st.none() | st.integers(-2, 22))
def test_distinct_numbers_are_distinct_in_range_and_never_the_avoided_one(
    key: list[int | str], count: int, bound: int, avoid: int | None
) -> None:
    allowed = set(range(bound)) - {avoid}
    chosen = Draws(*key).distinct(count, bound, avoid)
    assert len(set(chosen)) == len(chosen) == min(count, len(allowed))
    assert set(chosen) <= allowed
    assert chosen == Draws(*key).distinct(count, bound, avoid)


def test_distinct_numbers_come_in_every_order() -> None:
    orders = Counter(tuple(Draws("orders", position).distinct(3, 3)) for position in range(6_000))
    assert len(orders) == 6
    assert chi_square(list(orders.values())) < 45


def test_choice_takes_every_item() -> None:
    assert {Draws("choice", position).choice("abc") for position in range(60)} == set("abc")
