"""Scores along an axis as SVG: a panel for each evaluation and group, a line for each value of another axis,
bars from the intervals over seeds.

Where there is one seed, or nothing was trained, bars are the intervals over items. Controls are single marks
at the place of their twin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openflan.reports.collection_figures import drawing, save
from openflan.studies.study_schema import Figure, Study

COLOURS = ("#3b6ea8", "#c8553d", "#4f8a5b", "#8a5fa8", "#b08a2e", "#555555")
MARKS = ("x", "v", "s", "D", "P", "*")


def draw(figure: Figure, study: Study, results: Mapping[str, Any], path: Path) -> bool:
    """Draws what has run; False if nothing has. Raises SetupError without matplotlib."""
    cells = [cell for cell in results["cells"] if figure.where.items() <= cell["values"].items()]
    panels = [(evaluation, group) for evaluation in figure.evaluations for group in figure.groups]
    if not figure.lines:  # evaluations are lines of one panel
        panels = [("", group) for group in figure.groups]
    places = list(study.axes[figure.x])
    if not cells:
        return False
    with drawing() as figure_of:
        page = figure_of((max(4.2, 3.5 * len(panels)), 3.4))
        axes_of = page.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (evaluation, group) in zip(axes_of, panels, strict=True):
            for line_index, (line, line_cells, of) in enumerate(_lines(figure, study, cells, evaluation)):
                _plot(axes, line_cells, of, group, figure.x, places, COLOURS[line_index % len(COLOURS)], line)
            _controls(axes, study, cells, evaluation or figure.evaluations[0], group, figure.x, places)
            axes.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
            axes.set_xticks(range(len(places)), places)
            axes.set_xlabel(figure.x)
            axes.set_title(_title(evaluation, group), fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
        axes_of[0].set_ylabel("normalized score (0: chance)")
        axes_of[-1].legend(fontsize=7.5, frameon=False)
        page.suptitle(figure.title, fontsize=10, fontweight="bold")
        save(page, path, "svg")
    return True


def _lines(
    figure: Figure, study: Study, cells: Sequence[Mapping[str, Any]], evaluation: str
) -> list[tuple[str, list[Mapping[str, Any]], str]]:
    """Name, cells and evaluation of every line."""
    grid = [cell for cell in cells if cell["control"] is None]
    if not figure.lines:
        return [(name, grid, name) for name in figure.evaluations]
    axis = figure.lines
    return [
        (f"{axis} {value}", [cell for cell in grid if cell["values"][axis] == value], evaluation)
        for value in study.axes[axis]
    ]


def _plot(
    axes: Any,
    cells: Sequence[Mapping[str, Any]],
    evaluation: str,
    group: str,
    x: str,
    places: Sequence[str],
    colour: str,
    label: str,
) -> None:
    points = [
        (places.index(cell["values"][x]), cell["scores"][evaluation][group])
        for cell in cells
        if group in cell["scores"].get(evaluation, {})
    ]
    points.sort(key=lambda point: point[0])
    if points:
        xs, means = [place for place, _ in points], [one["mean"] for _, one in points]
        axes.errorbar(
            xs,
            means,
            yerr=_reach([one for _, one in points]),
            color=colour,
            marker="o",
            markersize=4,
            linewidth=1.4,
            capsize=3,
            label=label,
        )


def _controls(
    axes: Any,
    study: Study,
    cells: Sequence[Mapping[str, Any]],
    evaluation: str,
    group: str,
    x: str,
    places: Sequence[str],
) -> None:
    for control_index, name in enumerate(study.controls):
        points = [
            (places.index(cell["values"][x]), cell["scores"][evaluation][group])
            for cell in cells
            if cell["control"] == name and group in cell["scores"].get(evaluation, {})
        ]
        if points:
            xs, means = [place for place, _ in points], [one["mean"] for _, one in points]
            axes.plot(
                xs,
                means,
                linestyle="none",
                marker=MARKS[control_index % len(MARKS)],
                color="#777777",
                markersize=5,
                label=f"control: {name}",
            )


def _reach(scores: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """From each mean down and up to the ends of its interval; an interval over items need not hold the mean
    of few questions."""
    ends = [one["ci95_seeds"] or one["ci95_items"] for one in scores]
    below = [max(0.0, one["mean"] - low) for one, (low, _) in zip(scores, ends, strict=True)]
    return [below, [max(0.0, high - one["mean"]) for one, (_, high) in zip(scores, ends, strict=True)]]


def _title(evaluation: str, group: str) -> str:
    return f"{evaluation}: {group}" if evaluation else group
