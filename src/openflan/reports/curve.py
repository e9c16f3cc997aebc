"""The loss curve as SVG: the same bytes for the same losses.

Drawn through matplotlib's objects, never its global state, and from its own defaults, so that a user's
settings cannot change a report. Colours are placeholders that become the page's own, which makes one drawing
fit light and dark. Price: without the page's style sheet the mean has no colour.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from openflan.reports.gather import Step
from openflan.reports.tables import running_mean, window

INSTALL = "pip install 'openflan[report]'"

_POINTS = 800
"""More than the pixels of a curve's width would only make the file large."""

_INK, _ACCENT = "#010203", "#010204"
"""Placeholders; no other part of the drawing has these colours."""


def loss_curve(steps: Sequence[Step]) -> str | None:
    """An `<svg>` element of raw loss (faint) and running mean over steps; None without matplotlib, or with
    fewer than two steps."""
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        return None
    if len(steps) < 2:
        return None
    losses, numbers = [step.loss for step in steps], [step.step for step in steps]
    means = running_mean(losses, window(steps))
    indices = sorted({round(index * (len(steps) - 1) / (_POINTS - 1)) for index in range(_POINTS)})
    with (
        matplotlib.style.context("default"),
        matplotlib.rc_context({"svg.hashsalt": "openflan", "svg.fonttype": "none", "font.size": 10}),
    ):
        figure = Figure(figsize=(6.0, 3.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(
            [numbers[index] for index in indices],
            [losses[index] for index in indices],
            color=_INK,
            alpha=0.28,
            linewidth=0.9,
        )
        axes.plot(
            [numbers[index] for index in indices],
            [means[index] for index in indices],
            color=_ACCENT,
            linewidth=1.8,
        )
        axes.set_xlabel("step", color=_INK)
        axes.set_ylabel("loss (nats per target token)", color=_INK)
        axes.tick_params(colors=_INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_INK)
        axes.margins(x=0.01)
        drawn = io.StringIO()
        # Dates, versions and addresses would make the file depend on more than the losses.
        figure.savefig(
            drawn,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    svg = drawn.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor").replace(_ACCENT, "var(--accent)")
