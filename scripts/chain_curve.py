"""Draws the losses of a chain of trainings one after the other, as docs/microflan.md shows them for the base in the box.

openflan run microflan-base --run runs/microflan-base
python scripts/chain_curve.py runs/microflan-base docs/figures/microflan-base.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from openflan.reports.collection_figures import drawing, save
from openflan.reports.tables import running_mean

OVER = 50
"""Steps of the running mean."""

HIGHEST = 1.5
"""Nats a target token at the drawing's top; the first steps, from random weights, begin far above."""


def main(chain: Path, path: Path) -> None:
    folders = sorted(chain.glob("*/metrics.jsonl"), key=lambda found: int(found.parent.name.split("-")[0]))
    if not folders:
        raise SystemExit(f"{chain}: no step of a chain with a metrics.jsonl")
    done = 0
    with drawing() as figure_of:
        figure = figure_of((8.2, 3.4))
        axes = figure.subplots()
        for metrics in folders:
            losses = [json.loads(line)["loss"] for line in metrics.read_text(encoding="utf-8").splitlines()]
            numbers = range(done + 1, done + len(losses) + 1)
            axes.plot(numbers[::10], losses[::10], color="#3b6ea8", alpha=0.25, linewidth=0.6)
            axes.plot(numbers[::5], running_mean(losses, OVER)[::5], color="#3b6ea8", linewidth=1.4)
            axes.axvline(done, color="#bbbbbb", linewidth=0.8, zorder=0)
            recipe = yaml.safe_load((metrics.parent / "recipe.yaml").read_text(encoding="utf-8"))
            axes.text(done, HIGHEST * 1.03, _told(recipe), fontsize=6.5, va="bottom", linespacing=1.4)
            done += len(losses)
        axes.set_xlim(0, done)
        axes.set_ylim(0, HIGHEST)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats per target token)")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.spines[["top", "right"]].set_visible(False)
        save(figure, path, "svg")


def _told(recipe: dict[str, Any]) -> str:
    """What a training read and how, a line each: objective, text, optimiser, learning rate."""
    pretraining, training = recipe["pretraining"], recipe["training"]
    text = ", ".join(source.partition("/")[2] or "everything" for source in pretraining["data"])
    falls = "" if training["schedule"] == "constant" else f", {training['schedule']}"
    return "\n".join((pretraining["objective"], text, training["optimizer"], f"{training['learning_rate']:g}{falls}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
