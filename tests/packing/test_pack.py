"""Packing windows: complete, each by itself, within both capacities, repeatable, and near the bound that no
packing beats."""

from random import Random
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from openflan.packing import pack as packing
from openflan.packing.pack import POOL, Packed, lower_bound, pack_windows

Window = tuple[NDArray[np.int64], tuple[int, int]]


@st.composite
def _windows(draw: st.DrawFn) -> Window:
    """Capacities and a window of lengths up to them."""
    capacity = draw(_CAPACITIES)
    return draw(_lengths(capacity)), capacity


@st.composite
def _neighbours(draw: st.DrawFn) -> tuple[list[NDArray[np.int64]], tuple[int, int]]:
    """Capacities and several windows of different sizes, empty ones among them."""
    capacity = draw(_CAPACITIES)
    return draw(st.lists(_lengths(capacity), min_size=1, max_size=5)), capacity


_CAPACITIES = st.tuples(st.integers(1, 200), st.integers(1, 60) | st.just(0))


@st.composite
def _lengths(draw: st.DrawFn, capacity: tuple[int, int]) -> NDArray[np.int64]:
    """Full rows and empty targets among them; a causal row has no second capacity."""
    count = draw(st.integers(0, 300))
    seed = draw(st.integers(0, 2**32 - 1))
    shape = draw(st.sampled_from(["uniform", "short", "full", "empty"]))
    random = np.random.default_rng(seed)
    share = {
        "uniform": random.random((count, 2)),
        "short": random.random((count, 2)) ** 4,
        "full": np.ones((count, 2)),
        "empty": np.zeros((count, 2)),
    }[shape]
    return np.maximum((share * capacity).astype(np.int64), (0 if shape == "empty" else 1, 0))


def _mistakes(rows: list[list[int]], lengths: NDArray[np.int64], capacity: tuple[int, int]) -> list[str]:
    """What is wrong with a packing, in plain Python: the independent judge of all that is packed here."""
    mistakes = []
    if sorted(number for row in rows for number in row) != list(range(len(lengths))):
        mistakes.append("not every example once")
    if any(
        sum(int(lengths[number][side]) for number in row) > capacity[side] for row in rows for side in (0, 1)
    ):
        mistakes.append("a row over its capacity")
    if not all(rows):
        mistakes.append("an empty row")
    if [min(row) for row in rows if row] != [row[0] for row in rows if row]:
        mistakes.append("a row that its oldest does not open")
    if [row[0] for row in rows if row] != sorted(row[0] for row in rows if row):
        mistakes.append("rows out of order")
    return mistakes


def _same(one: Packed, other: Packed) -> bool:
    return np.array_equal(one.members, other.members) and np.array_equal(one.starts, other.starts)


@settings(max_examples=80, deadline=None)
@given(_windows())
def test_every_example_once_and_no_row_over_its_capacity(window: Window) -> None:
    lengths, capacity = window
    packed = pack_windows([lengths], capacity)[0]
    assert _mistakes(packed.sequences(), lengths, capacity) == []
    assert len(packed.sequences()) >= lower_bound(lengths, capacity) - 1e-9
    assert _same(pack_windows([lengths.copy()], capacity)[0], packed)


@pytest.mark.parametrize(
    ("rows", "mistake"),
    [
        ([[0, 1], [2]], "not every example once"),
        ([[0, 1], [2, 3], [3]], "not every example once"),
        ([[0, 3], [1], [2]], "a row over its capacity"),
        ([[0, 1], [2, 3], []], "an empty row"),
        ([[1, 0], [2, 3]], "a row that its oldest does not open"),
        ([[2, 3], [0, 1]], "rows out of order"),
    ],
)
def test_the_judge_of_packings_sees_each_mistake(rows: list[list[int]], mistake: str) -> None:
    lengths = np.array([[6, 1], [4, 3], [4, 1], [5, 1]])
    assert _mistakes([[0, 1], [2, 3]], lengths, (10, 4)) == []
    assert mistake in _mistakes(rows, lengths, (10, 4))


@settings(max_examples=40, deadline=None)
@given(_neighbours(), st.integers(1, 3), st.randoms(use_true_random=False))
def test_a_window_is_packed_alike_whichever_windows_lie_beside_it(
    windows: tuple[list[NDArray[np.int64]], tuple[int, int]], group: int, random: Random
) -> None:
    lengths, capacity = windows
    together = pack_windows(lengths, capacity)
    assert all(
        _mistakes(packed.sequences(), item, capacity) == []
        for item, packed in zip(lengths, together, strict=True)
    )
    assert all(
        _same(pack_windows([item], capacity)[0], packed)
        for item, packed in zip(lengths, together, strict=True)
    )
    order = random.sample(range(len(lengths)), len(lengths))
    assert all(
        _same(together[index], packed)
        for index, packed in zip(
            order, pack_windows([lengths[place] for place in order], capacity), strict=True
        )
    )
    with patch.object(packing, "GROUP", group):
        assert all(map(_same, pack_windows(lengths, capacity), together))


def test_windows_with_other_lengths_are_packed_otherwise() -> None:
    """Else the test above could not fail."""
    windows = [_log_normal(seed, count) for seed, count in ((0, 600), (1, 600), (0, 500))]
    first, second, third = pack_windows(windows, (1_024, 256))
    assert not _same(first, second)
    assert not _same(first, third)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(POOL + 1, 400))
def test_rows_are_those_of_a_search_in_plain_python(seed: int, count: int) -> None:
    """One example at a time, in exact fractions of the row, with the suitability as the diary has it: size
    times the square of the cosine.

    Where the two best are within float32's error of each other either may be taken, so the search follows the
    packing and judges every choice.
    """
    lengths, capacity = _log_normal(seed, count), (1_024, 256)
    share = [(int(inputs) / capacity[0], int(targets) / capacity[1]) for inputs, targets in lengths]
    placed, waiting = 0, list(range(count))
    for row in pack_windows([lengths], capacity)[0].sequences():
        token_budget = list(capacity)
        for position, index in enumerate(row):
            pool = waiting[:POOL]
            fits = [one for one in pool if all(lengths[one][side] <= token_budget[side] for side in (0, 1))]
            if position == 0:
                assert index == waiting[0]
            else:
                worth = {
                    item: _worth(share[item], (token_budget[0] / capacity[0], token_budget[1] / capacity[1]))
                    for item in fits
                }
                assert worth[index] >= max(worth.values()) * (1 - 1e-5)
            token_budget = [token_budget[side] - int(lengths[index][side]) for side in (0, 1)]
            waiting.remove(index)
            placed += 1
        assert not any(
            all(lengths[item][side] <= token_budget[side] for side in (0, 1)) for item in waiting[:POOL]
        )
    assert placed == count


def _worth(share: tuple[float, float], left: tuple[float, float]) -> float:
    along = share[0] * left[0] + share[1] * left[1]
    return along**2 / (share[0] ** 2 + share[1] ** 2) * (share[0] + share[1])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=6))
def test_tiny_windows_take_few_rows_more_than_the_best_packing(lengths: list[tuple[int, int]]) -> None:
    """The best by trying every way. Two neighbouring rows together are over a capacity, so there are at most
    2 x 2 times as many rows as the best has."""
    rows = pack_windows([np.array(lengths)], (6, 3))[0].sequences()
    assert _mistakes(rows, np.array(lengths), (6, 3)) == []
    best = _fewest(lengths, [])
    assert best <= len(rows) <= 4 * best
    if best == 1:
        assert len(rows) == 1


def _fewest(lengths: list[tuple[int, int]], rows: list[tuple[int, int]]) -> int:
    if not lengths:
        return len(rows)
    (inputs, targets), rest = lengths[0], lengths[1:]
    joined = [
        _fewest(rest, [*rows[:index], (row[0] + inputs, row[1] + targets), *rows[index + 1 :]])
        for index, row in enumerate(rows)
        if row[0] + inputs <= 6 and row[1] + targets <= 3
    ]
    return min([*joined, _fewest(rest, [*rows, (inputs, targets)])])


def test_windows_of_chain_of_thought_lengths_are_within_three_percent() -> None:
    """Log-normal lengths at (1024, 256), medians of 150 and 30 tokens, and the same without any choice of
    examples: far from it."""
    windows = [_log_normal(seed, 4_096) for seed in range(3)]
    for window, packed in zip(windows, pack_windows(windows, (1_024, 256)), strict=True):
        assert len(packed.starts) - 1 <= 1.03 * lower_bound(window, (1_024, 256))
    with patch.object(packing, "POOL", 1):
        assert len(pack_windows([windows[0]], (1_024, 256))[0].sequences()) > 1.2 * lower_bound(
            windows[0], (1_024, 256)
        )


def _log_normal(seed: int, count: int) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    lengths = np.stack(
        [random.lognormal(np.log(150), 0.8, count), random.lognormal(np.log(30), 0.7, count)], axis=1
    )
    return np.minimum(lengths.astype(np.int64) + 1, (1_024, 256))


def test_a_causal_row_has_one_capacity() -> None:
    lengths = np.array([[6, 0], [5, 0], [4, 0], [5, 0]])
    assert sorted(map(sorted, pack_windows([lengths], (10, 0))[0].sequences())) == [[0, 2], [1, 3]]


def test_the_lower_bound_is_the_fuller_side() -> None:
    assert lower_bound(np.array([[10, 5], [10, 5]]), (10, 5)) == 2
    assert lower_bound(np.array([[1, 5], [1, 5]]), (10, 4)) == 2.5
    assert lower_bound(np.array([[30, 0]]), (20, 0)) == 1.5


@pytest.mark.parametrize("lengths", [[[11, 1]], [[1, 6]], [[3, 3], [11, 6]]])
def test_an_example_that_fits_no_row_is_an_error(lengths: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="longer than a sequence"):
        pack_windows([np.array(lengths)], (10, 5))[0].sequences()


def test_nothing_makes_no_rows() -> None:
    nothing = np.empty((0, 2), dtype=np.int64)
    assert pack_windows([nothing], (10, 5))[0].sequences() == []
    assert pack_windows([], (10, 5)) == []
    assert [packed.sequences() for packed in pack_windows([nothing, np.array([[3, 1]])], (10, 5))] == [
        [],
        [[0]],
    ]
    assert pack_windows([nothing], (10, 5))[0].starts.tolist() == [0]


def test_sizes_beyond_what_is_counted_exactly_are_an_error() -> None:
    assert pack_windows([np.array([[2**24, 1], [1, 1]])], (2**24, 2))[0].sequences() == [[0], [1]]
    with pytest.raises(ValueError, match="at most 16,777,216"):
        pack_windows([np.array([[1, 1]])], (2**24 + 1, 2))[0].sequences()
    with pytest.raises(ValueError, match="at most 16,777,216"):
        pack_windows([np.broadcast_to(np.array([1, 1]), (2**24 + 1, 2))], (10, 5))[0].sequences()
