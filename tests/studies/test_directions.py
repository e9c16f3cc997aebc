"""The written rule, on numbers that must hold, must fail, and tell nothing."""

from typing import Any

import pytest
from made_up_cells import scores, study

from openflan.studies.directions import FAILED, HELD, NOT_RUN, UNCLEAR, decide, verdict
from openflan.studies.evaluations import Layout

WIDE = Layout("made-up", {"a": 200}, {"a": 0.0}, {"average": ("a",)}, "")


def marks(right: int) -> str:
    return "1" * right + "0" * (200 - right)


def direction(**changes: Any) -> dict[str, Any]:
    plain = {
        "says": "All beat none.",
        "more": {"where": {"tasks": "all"}},
        "less": {"where": {"tasks": "0"}},
        "evaluation": "direct",
    }
    return plain | changes


@pytest.mark.parametrize(
    ("seeds", "items", "margin", "expected"),
    [
        ((5.0, 9.0), (6.0, 8.0), 0.0, HELD),
        ((5.0, 9.0), (6.0, 8.0), 5.5, UNCLEAR),  # one interval is above the margin, the other is not
        ((5.0, 9.0), (6.0, 8.0), 10.0, FAILED),
        ((-9.0, -5.0), (-8.0, -6.0), 0.0, FAILED),
        ((-9.0, 5.0), (-8.0, -6.0), 0.0, UNCLEAR),
        ((-1.0, 5.0), (1.0, 3.0), 0.0, UNCLEAR),
        ((-1.0, 5.0), (1.0, 3.0), -2.0, HELD),  # not more than two points are lost
        (None, (1.0, 3.0), 0.0, UNCLEAR),  # one seed
    ],
)
def test_both_intervals_decide(seeds: Any, items: Any, margin: float, expected: str) -> None:
    assert verdict(seeds, items, margin) == expected


def test_where_nothing_was_trained_questions_decide_alone() -> None:
    assert verdict(None, (1.0, 3.0), 0.0, trained=False) == HELD


def test_a_clear_gain_holds_and_its_opposite_fails() -> None:
    made = scores(
        {("0", None): {None: marks(20)}, ("all", None): {0: marks(118), 1: marks(120), 2: marks(122)}}, WIDE
    )
    opposite = direction(
        says="None beats all.", more={"where": {"tasks": "0"}}, less={"where": {"tasks": "all"}}
    )
    too_much = direction(says="By 60 points.", by=60)
    held, failed, much = decide(study(directions=[direction(), opposite, too_much]), made, [0, 1, 2])
    assert held["difference"] == pytest.approx(50)
    # 49, 50 and 51 points: 50 +- 4.3027 / sqrt(3)
    assert held["ci95_seeds"] == pytest.approx((50 - 2.484, 50 + 2.484), abs=0.001)
    assert (held["verdict"], failed["verdict"], much["verdict"]) == (HELD, FAILED, FAILED)


def test_seeds_that_disagree_tell_nothing() -> None:
    made = scores(
        {("0", None): {None: marks(50)}, ("all", None): {0: marks(40), 1: marks(60), 2: marks(110)}}, WIDE
    )
    (decision,) = decide(study(directions=[direction()]), made, [0, 1, 2])
    assert decision["difference"] > 0
    assert decision["verdict"] == UNCLEAR


def test_controls_and_differences_of_differences() -> None:
    made = scores(
        {
            ("0", None): {None: marks(20)},
            ("all", None): {0: marks(120), 1: marks(121)},
            ("all", "shuffled"): {0: marks(30), 1: marks(31)},
        },
        WIDE,
    )
    control = direction(less={"where": {"tasks": "all"}, "control": "shuffled"})
    beyond = direction(
        beyond={"more": {"where": {"tasks": "all"}, "control": "shuffled"}, "less": {"where": {"tasks": "0"}}}
    )
    against, more = decide(study(directions=[control, beyond]), made, [0, 1])
    assert against["difference"] == pytest.approx(45)  # 60 and 60.5 less 15 and 15.5
    assert more["difference"] == pytest.approx(50.25 - 5.25)
    assert against["verdict"] == HELD


def test_a_direction_whose_cells_have_not_run_says_so() -> None:
    made = scores({("0", None): {None: marks(20)}}, WIDE)
    (decision,) = decide(study(directions=[direction()]), made, [0, 1])
    assert (decision["verdict"], decision["difference"]) == (NOT_RUN, None)
