"""The results of one quickstart, or of several seeds, as a table and as a figure with a line for each
held-out group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.reports.collection_figures import drawing, save

ARMS = {
    "before": ("before", "#8a8a8a", "o"),
    "after": ("after", "#3b6ea8", "o"),
    "random_init": ("random weights, finetuned alike", "#c8553d", "s"),
}
"""Name, colour and marker of each model that a summary compares."""

_ROW = 0.3
"""Height of a group in the figure, in inches."""

Summary = Mapping[str, Any]


def accuracies(summaries: Sequence[Summary], arm: str, group: str) -> list[float]:
    """The accuracies of one group in percent, one for each run."""
    return [float(one[arm]["groups"][group]["accuracy"]) for one in summaries]


def groups_of(summaries: Sequence[Summary]) -> list[str]:
    """The groups in their order; raises InputError for runs that asked something else."""
    questions_by_group = [
        {name: one["n"] for name, one in summary["before"]["groups"].items()} for summary in summaries
    ]
    if not questions_by_group or any(one != questions_by_group[0] for one in questions_by_group):
        raise InputError("expected summaries of quickstarts that asked the same questions")
    return list(questions_by_group[0])


def as_markdown(summaries: Sequence[Summary]) -> str:
    """A table of accuracies in percent; of several runs those of each, in their order, where they are not all
    the same."""
    lines = [
        f"| held-out group | questions | chance | {' | '.join(name for name, _, _ in ARMS.values())} |",
        "|" + " --- |" * (3 + len(ARMS)),
    ]
    for group in groups_of(summaries):
        result = summaries[0]["before"]["groups"][group]
        values = [_joined(accuracies(summaries, arm, group)) for arm in ARMS]
        lines.append(f"| {group} | {result['n']} | {result['chance']:.1f} | {' | '.join(values)} |")
    return "\n".join(lines)


def draw_groups(summaries: Sequence[Summary], path: Path) -> None:
    """Draws the accuracies of every group on a line: for each arm a mark at the mean of the runs and a bar
    from the lowest to the highest. A stroke shows chance.

    Raises SetupError without matplotlib.
    """
    groups = groups_of(summaries)
    with drawing() as figure_of:
        figure = figure_of((8.2, len(groups) * _ROW + 1.0))
        axes = figure.subplots()
        ys = list(range(len(groups)))
        axes.hlines(ys, 0, 100, color="#eeeeee", linewidth=0.8, zorder=0)
        chances = [summaries[0]["before"]["groups"][group]["chance"] for group in groups]
        axes.plot(chances, ys, linestyle="none", marker="|", color="#222222", markersize=11, label="chance")
        for arm, (name, colour, mark) in ARMS.items():
            values_by_group = [accuracies(summaries, arm, group) for group in groups]
            means = [sum(values) / len(values) for values in values_by_group]
            axes.hlines(
                ys,
                [min(values) for values in values_by_group],
                [max(values) for values in values_by_group],
                color=colour,
                linewidth=1.6,
            )
            axes.plot(means, ys, linestyle="none", marker=mark, color=colour, markersize=5.5, label=name)
        axes.set_yticks(ys, groups)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlim(-2, 102)
        axes.set_xlabel(
            "accuracy, %"
            if len(summaries) == 1
            else f"accuracy, %: mean of {len(summaries)} seeds, from the least to the most"
        )
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        figure.legend(loc="outside upper center", ncols=len(ARMS) + 1, fontsize=8, frameon=False)
        save(figure, path, "svg")


def _joined(values: Sequence[float]) -> str:
    texts = [f"{value:.1f}" for value in values]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)
