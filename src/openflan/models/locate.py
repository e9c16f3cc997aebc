"""Resolves a MODEL argument: a hub id, a Hugging Face folder, or a run and one of its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openflan.errors import InputError
from openflan.recipe.load_recipe import load_any_recipe
from openflan.run_folder import Run


@dataclass(frozen=True, slots=True)
class Located:
    """A resolved MODEL: `name` is a folder or a hub id, `label` its name in scores; `run` is set where
    MODEL is a run."""

    name: str
    label: str
    run: Run | None


def locate_model(model: str, checkpoint: str | None = None) -> Located:
    """`checkpoint` of a run: `last` (the finetuned model, the default), `base` (where it started), or the
    number of a step.

    Raises InputError if the run has no such checkpoint, naming those it has, or if a checkpoint is given for
    something that is no run folder.
    """
    run = Run(Path(model))
    if not run.recipe.is_file():
        if checkpoint is not None:
            raise InputError(
                f"{model}: --checkpoint chooses among the checkpoints of a run, and this is no run "
                "folder (no recipe.yaml)"
            )
        return Located(model, "final", None)
    if checkpoint == "base":
        base = load_any_recipe(run.recipe).model.base
        if base is None:
            raise InputError(f"{model}: this run started from random weights, so it has no base")
        return Located(base, "base", run)
    if checkpoint in (None, "last"):
        if not run.model.is_dir():
            raise InputError(
                f"{model}: no finetuned model yet; run `openflan finetune` to its end, or choose a step "
                "with --checkpoint"
            )
        return Located(str(run.model), "final", run)
    folder = run.checkpoints / f"step-{checkpoint}"
    if not folder.is_dir():
        numbers = (path.name.removeprefix("step-") for path in run.checkpoints.glob("step-*"))
        there = sorted((number for number in numbers if number.isdigit()), key=int)
        raise InputError(
            f"{model}: no checkpoint {checkpoint}; there are {', '.join(['base', *there, 'last'])}"
        )
    return Located(str(folder), f"step-{checkpoint}", run)
