"""Scores and intervals against hand-computed ones."""

import math

import numpy as np
import pytest
from made_up_cells import LAYOUT, scores, study

from openflan.studies.evaluations import Layout
from openflan.studies.results import results_of
from openflan.studies.statistics import column, over_items, over_seeds, score, t975, weighted


def test_a_score_is_the_mean_over_tasks_of_what_is_above_chance() -> None:
    # a: 3 of 4 right, chance 0: 75. b: 2 of 2 right, chance 50: 100. Their mean: 87.5.
    assert score(column([1, 1, 1, 0, 1, 1], LAYOUT, "average")) == pytest.approx(87.5)
    # b: none right, 100 (0 - 50) / 50 = -100; with a at 75 the mean is -12.5.
    assert score(column([1, 1, 1, 0, 0, 0], LAYOUT, "average")) == pytest.approx(-12.5)
    assert score(column([1, 1, 1, 0, 0, 0], LAYOUT, "open")) == pytest.approx(75)
    # A question that was not asked is no question: 2 of 3.
    assert score(column([1, 1, float("nan"), 0, 0, 0], LAYOUT, "open")) == pytest.approx(200 / 3)


def test_known_cells_have_the_interval_that_one_computes_by_hand() -> None:
    """Seeds score 25, 50 and 75 on the open task: mean 50, standard deviation 25, t of two degrees 4.3027: 50
    +- 4.3027 * 25 / sqrt(3)."""
    made = scores({("all", None): {0: "100000", 1: "110000", 2: "111000"}})
    score = results_of(study(), made, [0, 1, 2])["cells"][0]["scores"]["direct"]["open"]
    assert score["seeds"] == {"0": 25.0, "1": 50.0, "2": 75.0}
    assert score["mean"] == 50
    assert score["ci95_seeds"] == pytest.approx([50 - 62.104, 50 + 62.104], abs=0.001)


def test_one_seed_has_no_interval_over_seeds() -> None:
    assert over_seeds([3.0]) is None
    assert over_seeds([1.0, 3.0]) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)


@pytest.mark.parametrize(
    ("degrees", "table"),
    [(1, 12.7062), (2, 4.3027), (10, 2.2281), (11, 2.2010), (20, 2.0860), (30, 2.0423), (120, 1.9799)],
)
def test_students_t_is_that_of_the_tables(degrees: int, table: float) -> None:
    assert t975(degrees) == pytest.approx(table, abs=2e-4)


def test_the_bootstrap_has_the_standard_error_of_a_share() -> None:
    """Of 400 questions, half of them right, a share's standard error is 2.5 points."""
    layout = Layout("made-up", {"a": 400}, {"a": 0.0}, {"average": ("a",)}, "")
    low, high = over_items({"x": column([float(n % 2) for n in range(400)], layout, "average")})["x"]
    assert (low, high) == pytest.approx((50 - 1.96 * 2.5, 50 + 1.96 * 2.5), abs=0.4)


def test_differences_are_paired_by_question() -> None:
    """Two models right on the same half differ by nothing, whatever is drawn; right on opposite halves they
    differ by twice the error of one."""
    layout = Layout("made-up", {"a": 400}, {"a": 0.0}, {"average": ("a",)}, "")
    first = column([float(n % 2) for n in range(400)], layout, "average")
    other = column([float(1 - n % 2) for n in range(400)], layout, "average")
    intervals = over_items(
        {"same": weighted([(1, first), (-1, first)]), "opposite": weighted([(1, first), (-1, other)])}
    )
    assert intervals["same"] == (0, 0)
    assert intervals["opposite"][1] == pytest.approx(2 * 1.96 * 2.5, abs=0.8)


def test_a_question_that_one_of_two_evaluations_asks_counts_in_that_one() -> None:
    layout = Layout("made-up", {"a": 2}, {"a": 0.0}, {"average": ("a",)}, "")
    longer = Layout("made-up", {"a": 4}, {"a": 0.0}, {"average": ("a",)}, "")
    both = weighted([(1, column([1, 0, 1, 1], longer, "average")), (-1, column([1, 0], layout, "average"))])
    assert score(both) == pytest.approx(75 - 50)
    assert len(both["made-up", "a"]) == 4
    assert not math.isnan(np.sum(both["made-up", "a"]))
