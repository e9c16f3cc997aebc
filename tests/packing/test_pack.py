"""Packing one window: complete, within both capacities, repeatable, and near the bound that no packing beats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from openflan.packing.pack import lower_bound, pack


@st.composite
def _windows(draw: st.DrawFn) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Capacities, and lengths up to them, full rows and empty targets among them; a causal row has no second capacity."""
    inputs = draw(st.integers(1, 200))
    targets = draw(st.integers(1, 60) | st.just(0))
    count = draw(st.integers(0, 300))
    seed = draw(st.integers(0, 2**32 - 1))
    shape = draw(st.sampled_from(["uniform", "short", "full"]))
    random = np.random.default_rng(seed)
    share = {"uniform": random.random((count, 2)), "short": random.random((count, 2)) ** 4, "full": np.ones((count, 2))}[shape]
    lengths = np.maximum((share * (inputs, targets)).astype(np.int64), (1, min(targets, 1)))
    return lengths, (inputs, targets)


@settings(max_examples=80, deadline=None)
@given(_windows())
def test_every_example_once_and_no_row_over_its_capacity(window: tuple[NDArray[np.int64], tuple[int, int]]) -> None:
    lengths, capacity = window
    rows = pack(lengths, capacity)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    for row in rows:
        assert (lengths[row].sum(axis=0) <= capacity).all()
    assert len(rows) >= lower_bound(lengths, capacity) - 1e-9
    assert pack(lengths.copy(), capacity) == rows


@settings(max_examples=30, deadline=None)
@given(_windows())
def test_rows_are_in_the_order_of_their_oldest_examples(window: tuple[NDArray[np.int64], tuple[int, int]]) -> None:
    rows = pack(*window)
    opened = [row[0] for row in rows]
    assert opened == sorted(opened)
    assert all(row[0] == min(row) for row in rows)


@pytest.mark.parametrize("seed", range(3))
def test_a_window_of_chain_of_thought_lengths_is_within_four_percent(seed: int) -> None:
    """Log-normal lengths at (1024, 256), medians of 150 and 30 tokens, one window of 4,096."""
    random = np.random.default_rng(seed)
    lengths = np.stack([random.lognormal(np.log(150), 0.8, 4_096), random.lognormal(np.log(30), 0.7, 4_096)], axis=1)
    lengths = np.minimum(lengths.astype(np.int64) + 1, (1_024, 256))
    assert len(pack(lengths, (1_024, 256))) <= 1.04 * lower_bound(lengths, (1_024, 256))


def test_a_causal_row_has_one_capacity() -> None:
    lengths = np.array([[6, 0], [5, 0], [4, 0], [5, 0]])
    assert sorted(map(sorted, pack(lengths, (10, 0)))) == [[0, 2], [1, 3]]


def test_the_lower_bound_is_the_fuller_side() -> None:
    assert lower_bound(np.array([[10, 5], [10, 5]]), (10, 5)) == 2
    assert lower_bound(np.array([[1, 5], [1, 5]]), (10, 4)) == 2.5
    assert lower_bound(np.array([[30, 0]]), (20, 0)) == 1.5


@pytest.mark.parametrize("lengths", [[[11, 1]], [[1, 6]], [[3, 3], [11, 6]]])
def test_an_example_that_fits_no_row_is_an_error(lengths: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="longer than a row"):
        pack(np.array(lengths), (10, 5))


def test_nothing_makes_no_rows() -> None:
    assert pack(np.empty((0, 2), dtype=np.int64), (10, 5)) == []
