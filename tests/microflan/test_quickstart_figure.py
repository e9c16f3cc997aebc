"""Tables and drawings of what quickstarts showed."""

import copy
from pathlib import Path
from typing import Any

import pytest

from openflan.errors import InputError
from openflan.microflan.quickstart_figure import accuracies, as_markdown, draw_groups

ACCURACIES = {"before": (0.0, 12.5), "after": (75.0, 62.5), "random_init": (0.0, 25.0)}


def summary(**changed: tuple[float, float]) -> dict[str, Any]:
    groups = ("skill: question", "skill: multiple choice")
    return {
        arm: {
            "groups": {
                name: {"accuracy": value, "chance": chance, "n": 8}
                for name, value, chance in zip(groups, values, (0.0, 25.0), strict=True)
            }
        }
        for arm, values in (ACCURACIES | changed).items()
    }


def test_a_table_tells_every_run_where_they_differ() -> None:
    assert as_markdown([summary()]).splitlines()[2:] == [
        "| skill: question | 8 | 0.0 | 0.0 | 75.0 | 0.0 |",
        "| skill: multiple choice | 8 | 25.0 | 12.5 | 62.5 | 25.0 |",
    ]
    both = as_markdown([summary(), summary(after=(50.0, 62.5))]).splitlines()
    assert both[2:] == [
        "| skill: question | 8 | 0.0 | 0.0 | 75.0, 50.0 | 0.0 |",
        "| skill: multiple choice | 8 | 25.0 | 12.5 | 62.5 | 25.0 |",
    ]


def test_a_drawing_names_groups_and_arms_and_is_the_same_again(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need openflan[report]")
    runs = [summary(), summary(after=(50.0, 62.5))]
    assert accuracies(runs, "after", "skill: question") == [75.0, 50.0]
    draw_groups(runs, tmp_path / "one.svg")
    draw_groups(copy.deepcopy(runs), tmp_path / "two.svg")
    drawn = (tmp_path / "one.svg").read_text()
    for text in (
        "skill: multiple choice",
        "chance",
        "before",
        "after",
        "random weights, finetuned alike",
        "mean of 2 seeds",
    ):
        assert text in drawn
    assert drawn == (tmp_path / "two.svg").read_text()


def test_runs_that_asked_something_else_are_refused() -> None:
    other = summary()
    other["before"]["groups"]["skill: question"]["n"] = 9
    with pytest.raises(InputError, match="that asked the same questions"):
        as_markdown([summary(), other])
