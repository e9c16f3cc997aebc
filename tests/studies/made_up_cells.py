"""Finished cells with answers that a person can check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openflan.recipe.load_recipe import load_recipe
from openflan.studies.cell_scores import Scores
from openflan.studies.cells import Cell
from openflan.studies.evaluations import Layout
from openflan.studies.study_schema import Study

LAYOUT = Layout(
    "made-up", {"a": 4, "b": 2}, {"a": 0.0, "b": 50.0}, {"average": ("a", "b"), "open": ("a",)}, ""
)
"""Four questions without chance and two that are guessed half of the time."""


def study(**changes: Any) -> Study:
    values = {
        "name": "made-up",
        "question": "?",
        "recipe": "microflan",
        "axes": {"tasks": {"0": {"tasks": 0}, "all": {}}},
        "controls": {"shuffled": {"at": {"tasks": "all"}, "set": {}}},
        "evaluations": {"direct": {"benchmark": "microflan"}},
    }
    return Study.model_validate(values | changes)


def scores(
    answers: Mapping[tuple[str, str | None], Mapping[int | None, str]], layout: Layout = LAYOUT
) -> Scores:
    """Of `answers[tasks, control][seed]`, the seed None for what was not trained."""
    recipe, cells, lines = load_recipe("microflan"), [], {}
    for (tasks, control), by_seed in answers.items():
        for seed, marks in by_seed.items():
            cell = Cell(
                "-".join([tasks, *([control] if control else [])]), {"tasks": tasks}, control, seed, recipe
            )
            cells.append(cell)
            lines[cell.label] = {"answers": {"direct": marks}}
    return Scores.of(cells, lines, {"direct": layout}, {})
