"""Draws the losses of a chain of trainings one after the other, such as those of the bundled base in
docs/microflan.md.

    openflan run microflan-base --run runs/microflan-base
    python scripts/chain_curve.py runs/microflan-base docs/figures/microflan-base.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

from openflan.recipe.load_recipe import load_any_recipe
from openflan.recipe.pretraining import PretrainRecipe
from openflan.reports.collection_figures import drawing, save
from openflan.reports.tables import running_mean
from openflan.run_folder import Run, read_jsonl

OVER = 50
"""Steps of the running mean."""

HIGHEST = 1.5
"""Nats a target token at the drawing's top; the first steps, from random weights, begin far above."""


def main(chain: Path, path: Path) -> None:
    runs = [
        Run(path.parent)
        for path in sorted(
            chain.glob("*/metrics.jsonl"),
            key=lambda metrics_file: int(metrics_file.parent.name.partition("-")[0]),
        )
    ]
    if not runs:
        raise SystemExit(f"{chain}: no step of a chain with a metrics.jsonl")
    done = 0
    with drawing() as figure_of:
        figure = figure_of((8.2, 3.4))
        axes = figure.subplots()
        for run in runs:
            losses = [line["loss"] for line in read_jsonl(run.metrics)]
            numbers = range(done + 1, done + len(losses) + 1)
            axes.plot(numbers[::10], losses[::10], color="#3b6ea8", alpha=0.25, linewidth=0.6)
            axes.plot(numbers[::5], running_mean(losses, OVER)[::5], color="#3b6ea8", linewidth=1.4)
            axes.axvline(done, color="#bbbbbb", linewidth=0.8, zorder=0)
            recipe = load_any_recipe(run.recipe)
            if not isinstance(recipe, PretrainRecipe):
                raise SystemExit(f"{run.folder}: expected a step that pretrains")
            axes.text(done, HIGHEST * 1.03, _label(recipe), fontsize=6.5, va="bottom", linespacing=1.4)
            done += len(losses)
        axes.set_xlim(0, done)
        axes.set_ylim(0, HIGHEST)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats per target token)")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.spines[["top", "right"]].set_visible(False)
        save(figure, path, "svg")


def _label(recipe: PretrainRecipe) -> str:
    """What a training read and how, a line each: objective, text, optimiser, learning rate."""
    training = recipe.training
    text = ", ".join(str(source).partition("/")[2] or "everything" for source in recipe.pretraining.data)
    falls = "" if training.schedule == "constant" else f", {training.schedule}"
    return "\n".join(
        (recipe.pretraining.objective, text, training.optimizer, f"{training.learning_rate:g}{falls}")
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
