"""Shares against hand computation; counts against the one property that matters: whole, and never more than
one from their share."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.mixture.rates import Capped, counts_at, shares

TASKS = {
    "cot/a": Capped("cot", 500, cap=100),
    "cot/b": Capped("cot", 50, cap=100),
    "niv2/c": Capped("niv2", 200),
}


def test_a_cap_bounds_what_a_task_counts() -> None:
    # cot: 100 + 50 of 150; niv2: 200; three to one.
    shares_by_task = shares(TASKS, {"cot": 3, "niv2": 1})
    assert shares_by_task == pytest.approx(
        {"cot/a": 0.75 * 100 / 150, "cot/b": 0.75 * 50 / 150, "niv2/c": 0.25}, rel=1e-12
    )


def test_rates_of_absent_submixtures_do_not_count() -> None:
    """Table 23 names four submixtures; a recipe with two of them keeps their relation."""
    assert shares(TASKS, {"cot": 3, "niv2": 1, "muffin": 46}) == shares(TASKS, {"cot": 3, "niv2": 1})


def test_rates_are_relative() -> None:
    assert shares(TASKS, {"cot": 30, "niv2": 10}) == pytest.approx(
        shares(TASKS, {"cot": 3, "niv2": 1}), rel=1e-12
    )


def test_without_rates_submixtures_weigh_their_capped_size() -> None:
    assert shares(TASKS, None) == pytest.approx(
        {"cot/a": 100 / 350, "cot/b": 50 / 350, "niv2/c": 200 / 350}, rel=1e-12
    )


def test_a_rate_of_zero_draws_nothing() -> None:
    assert shares(TASKS, {"cot": 1, "niv2": 0})["niv2/c"] == 0


@pytest.mark.parametrize("rates", [{"cot": 0, "niv2": 0}, {"muffin": 1}])
def test_rates_that_sum_to_nothing_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(InputError, match="sum to 0"):
        shares(TASKS, rates)


def test_tasks_without_rows_are_named() -> None:
    with pytest.raises(InputError, match="no rows in mine/x, mine/z"):
        shares(
            {"mine/x": Capped("mine", 0), "mine/y": Capped("mine", 3), "mine/z": Capped("mine", 0, cap=5)},
            None,
        )


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 10**9), st.none() | st.integers(1, 10**6)),
        min_size=1,
        max_size=50,
    ),
    rates=st.none() | st.fixed_dictionaries({name: st.floats(0.01, 1e6) for name in ("a", "b", "c", "d")}),
)
def test_shares_are_exact_fractions(
    rows: list[tuple[str, int, int | None]], rates: dict[str, float] | None
) -> None:
    """The oracle computes with fractions, task by task."""
    tasks = {f"{name}/{number}": Capped(name, size, cap) for number, (name, size, cap) in enumerate(rows)}
    shares_by_task = shares(tasks, rates)
    weight = {
        name: Fraction(task.rows if task.cap is None else min(task.rows, task.cap))
        for name, task in tasks.items()
    }
    size = {
        group: sum(weight[name] for name, task in tasks.items() if task.group == group)
        for group in {group for group, _, _ in rows}
    }
    rate = {group: size[group] if rates is None else Fraction(rates[group]) for group in size}
    for name, task in tasks.items():
        expected = rate[task.group] / sum(rate.values()) * weight[name] / size[task.group]
        assert shares_by_task[name] == pytest.approx(float(expected), rel=1e-9)
    assert sum(shares_by_task.values()) == pytest.approx(1.0, abs=1e-12)


def _blocks(weights: list[float], sizes: list[int]) -> None:
    share = np.array(weights) / np.sum(weights)
    counts, drawn = np.zeros(len(share), dtype=np.int64), 0
    for size in sizes:
        drawn += size
        after = counts_at(share, counts, drawn)
        assert after.sum() == drawn
        assert (after >= counts).all(), "a task had to give an example back"
        assert np.abs(after - share * drawn).max() <= 1 + 1e-6
        assert (after[share == 0] == 0).all()
        counts = after


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(
        st.one_of(st.floats(1e-9, 1e-6), st.floats(0.01, 1.0), st.floats(1e3, 1e6), st.just(0.0)),
        min_size=1,
        max_size=300,
    ).filter(any),
    sizes=st.lists(st.one_of(st.integers(1, 10), st.integers(1, 100_000)), min_size=30, max_size=30),
)
def test_counts_stay_within_one_of_their_share(weights: list[float], sizes: list[int]) -> None:
    _blocks(weights, sizes)


@pytest.mark.parametrize("seed", range(8))
def test_counts_stay_within_one_for_many_tasks(seed: int) -> None:
    """Hypothesis prefers short lists; these are long ones with shares over nine orders of magnitude."""
    random = np.random.default_rng(seed)
    _blocks(
        list(10.0 ** random.uniform(-6, 3, size=int(random.integers(100, 301)))),
        [int(size) for size in random.integers(1, 2_000, size=30)],
    )


def test_rounding_each_block_by_itself_would_not_do() -> None:
    """The check above can fail: largest remainders, taken anew at every block end, take an example back (the
    Alabama paradox in time)."""
    share, before = np.array([0.7, 0.7, 0.7, 0.6, 0.3]) / 3, np.zeros(5, dtype=np.int64)
    taken_back = False
    for drawn in range(1, 200):
        exact = share * drawn
        counts = np.floor(exact).astype(np.int64)
        counts[np.argsort(counts - exact, kind="stable")[: drawn - int(counts.sum())]] += 1
        taken_back |= bool((counts < before).any())
        before = counts
    assert taken_back
