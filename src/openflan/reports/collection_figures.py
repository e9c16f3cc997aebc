"""The counts of a mixture as drawings: bars of categories, a panel for each submixture, and bars of
languages.

They are drawn through matplotlib's objects and from its own defaults, so that a user's settings change
nothing. They are saved without dates and addresses: the same counts give the same SVG (of one version of
matplotlib). Labels stay text, which makes the files small and searchable; price: a viewer without the font
draws them in another one, hence the room at the left.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openflan.errors import InputError, SetupError
from openflan.reports.collection import By, CategoryCount, LanguageCount

SUFFIXES = (".svg", ".png")

_BAR = "#3b6ea8"
_INK = "#222222"
_BAR_HEIGHT = 0.215
"""The inches of a bar and the gap after it."""

_MOST_IN_COLUMN = 31


def draw_categories(
    panels: Mapping[str, Sequence[CategoryCount]],
    by: By,
    titles: Mapping[str, str],
    totals: Mapping[str, int],
    path: Path,
    form: str = "svg",
) -> None:
    """A panel of bars for each submixture, two a row.

    `panels` are the bars of each submixture in their order, `titles` what it is called, `totals` how many
    categories it has in all. Raises InputError for a suffix other than .svg and .png, SetupError without
    matplotlib.
    """
    names = list(panels)
    pairs = [names[start : start + 2] for start in range(0, len(names), 2)]
    heights = [max(len(panels[name]) for name in pair) * _BAR_HEIGHT + 0.75 for pair in pairs]
    with drawing() as figure_of:
        figure = figure_of((11.4, sum(heights)))
        grid = figure.add_gridspec(len(pairs), min(2, len(names)), height_ratios=heights)
        for row, pair in enumerate(pairs):
            for column, name in enumerate(pair):
                axes = figure.add_subplot(grid[row, column])
                bars = panels[name]
                values = [float(one.tasks) if by == "tasks" else 100 * (one.share or 0.0) for one in bars]
                texts = [f"{one.tasks:,}" if by == "tasks" else _percent(one.share or 0.0) for one in bars]
                num_bars = max(len(panels[other]) for other in pair)
                _bars(axes, [_short(one.category) for one in bars], values, texts, num_bars)
                axes.set_title(
                    _heading(titles.get(name, name), len(bars), totals.get(name, len(bars))),
                    loc="left",
                    fontsize=10,
                    fontweight="bold",
                )
                axes.set_xlabel("tasks" if by == "tasks" else "% of the mixture", fontsize=8.5)
        save(figure, path, form)


def draw_languages(counts: Sequence[LanguageCount], path: Path, form: str = "svg") -> None:
    """Bars of languages in columns, on a logarithmic axis, as English has tens of times the tasks of the
    next. Raises as `draw_categories` does."""
    columns = max(1, -(-len(counts) // _MOST_IN_COLUMN))
    height = -(-len(counts) // columns)
    largest = max((one.tasks for one in counts), default=1)
    with drawing() as figure_of:
        figure = figure_of((4.4 * columns + 0.4, height * _BAR_HEIGHT + 0.75))
        grid = figure.add_gridspec(1, columns)
        for column in range(columns):
            part = counts[column * height : (column + 1) * height]
            axes = figure.add_subplot(grid[0, column])
            axes.set_xscale("log")
            _bars(
                axes,
                [one.language for one in part],
                [float(one.tasks) for one in part],
                [f"{one.tasks:,}" for one in part],
                height,
                start=_ORIGIN,
            )
            axes.set_xlim(_ORIGIN, max(10.0, largest) * 3)
            axes.set_xticks([place for place in (1, 10, 100, 1_000, 10_000) if place <= max(10, largest)])
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.minorticks_off()
            axes.set_xlabel("tasks (logarithmic)", fontsize=8.5)
        save(figure, path, form)


def check_suffix(suffix: str) -> None:
    """Raises InputError if figures cannot be drawn as such files."""
    if suffix not in SUFFIXES:
        raise InputError(
            f"`{suffix}` is no kind of figure; expected "
            f"{' or '.join(one.removeprefix('.') for one in SUFFIXES)}"
        )


_ORIGIN = 0.6
"""The value at which logarithmic bars begin, so that one task is a visible bar."""


def _bars(
    axes: Any,
    labels: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    num_bars: int,
    start: float = 0.0,
) -> None:
    """Horizontal bars from the top, each from `start` to its value, which is written behind it; room for
    `num_bars` bars, so that panels side by side agree."""
    places = list(range(len(labels)))
    axes.barh(places, [value - start for value in values], left=start, height=0.72, color=_BAR)
    for position, value, text in zip(places, values, texts, strict=True):
        axes.annotate(
            text,
            (value, position),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            color=_INK,
        )
    axes.set_yticks(places, labels, fontsize=8.5)
    axes.set_ylim(num_bars - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if not start:
        axes.set_xlim(0, max([*values, 1e-9]) * 1.14)
        axes.locator_params(axis="x", nbins=5, integer=all(value == int(value) for value in values))


def _heading(title: str, bars: int, total: int) -> str:
    noun = "category" if total == 1 else "categories"
    return f"{title}: {total:,} {noun}" if bars == total else f"{title}: {bars} of {total:,} {noun}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.1f}"


def _short(name: str, length: int = 50) -> str:
    """A label that leaves room for bars; cut at a word where it is too long."""
    return name if len(name) <= length else name[: length - 3].rsplit(" ", 1)[0] + " ..."


@contextmanager
def drawing() -> Iterator[Callable[[tuple[float, float]], Any]]:
    """Within it matplotlib has its own defaults; gives what makes a figure of a size in inches. Raises
    SetupError without matplotlib."""
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError:
        from openflan.reports.curve import INSTALL  # late, as it brings all that a run's report needs

        raise SetupError(f"figures are drawn by matplotlib, which is not installed; {INSTALL}") from None
    settings = {
        "svg.hashsalt": "openflan",
        "svg.fonttype": "none",
        "font.size": 9,
        "text.color": _INK,
        "axes.labelcolor": _INK,
    }
    with matplotlib.style.context("default"), matplotlib.rc_context(settings):
        yield lambda size: Figure(figsize=size, layout="constrained", facecolor="white")


def save(figure: Any, path: Path, form: str) -> None:
    """Writes a figure without dates and addresses."""
    check_suffix(f".{form}")
    empty = (
        {"Date": None, "Creator": None, "Format": None, "Type": None} if form == "svg" else {"Software": None}
    )
    drawn = io.BytesIO()
    figure.savefig(drawn, format=form, dpi=110, metadata=empty)
    path.write_bytes(drawn.getvalue())
