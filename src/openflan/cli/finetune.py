"""`openflan finetune`."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import next_command
from openflan.errors import InputError
from openflan.mixture.open_mixture import check_places
from openflan.models.folder import check_model_name, model_folder
from openflan.models.quiet import quiet_libraries
from openflan.recipe.load_recipe import load_recipe, packaged_recipes, recipe_from
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, training_alone

_INPUTS, _TARGETS = 1_024, 256
"""Tokens of a sequence's inputs and targets where there is no recipe, for bases whose context has no
limit."""


def finetune(
    arguments: list[str] | None = typer.Argument(
        None,
        metavar="[RECIPE] [KEY=VALUE ...]",
        help="A recipe file or packaged recipe, and overrides of its keys.",
    ),
    data: Path | None = typer.Option(
        None, help="Without a recipe: your rows (a JSONL file, or a folder that openflan reads)."
    ),
    base: str | None = typer.Option(
        None, help="Without a recipe: the model to start from (hub id or folder)."
    ),
    wordings: Path | None = typer.Option(
        None, help="Without a recipe: a YAML file of wordings for rows that are fields."
    ),
    run: Path | None = typer.Option(None, help="The run folder; default runs/NAME."),
    build: Path | None = typer.Option(
        None, help="Tokens and rows that `openflan build` made; default: the run's own, if it has any."
    ),
    strict: bool = typer.Option(
        False, "--strict", help="Refuse a model that cannot be packed, instead of padding its examples."
    ),
    restart: bool = typer.Option(
        False, help="Start anew: remove what the run folder holds, its build excepted."
    ),
    allow_changes: bool = typer.Option(
        False,
        "--allow-changes",
        help=(
            "Go on from the newest checkpoint though the recipe or the data changed; provenance.json keeps "
            "what did."
        ),
    ),
) -> None:
    """Finetune a model; the same command again goes on where it stopped.

    Examples:

    `openflan finetune recipes/mine.yaml training.steps=200`

    `openflan finetune --data rows.jsonl --base google/t5-small-lm-adapt`

    `torchrun --nproc-per-node 8 -m -- openflan finetune recipes/mine.yaml`
    """
    recipe = recipe_of(arguments or [], data, base, wordings)
    check_places(recipe.mixture)
    folder = Run(run or Path("runs") / recipe.name)
    main = os.environ.get("RANK", "0") == "0"
    if restart and main:
        # The other processes of torchrun look at the folder only once they have met this one.
        start_anew(folder)
    if main and recipe.model.base is not None:
        # Before the libraries are imported, which takes seconds: a wrong path or no network is said at once.
        model_folder(recipe.model.base, tokenizer=False)
    quiet_libraries()
    from openflan.training.distributed import leave_distributed
    from openflan.training.finetune import finetune as train
    from openflan.training_evaluation import evaluator

    try:
        train(
            recipe,
            folder,
            build=build,
            strict=strict,
            allow_changes=allow_changes,
            evaluate=evaluator(recipe, folder),
        )
    finally:
        leave_distributed()
    if not main:
        return
    typer.echo(f"model: {folder.model}")
    next_command("generate", folder.folder, "Is the sky green?")
    next_command("report", folder.folder)


def start_anew(run: Run) -> None:
    """Removes a run folder; raises InputError if it holds something else, or is being trained."""
    held = (
        [path for path in run.folder.iterdir() if path not in (run.build, run.locks)]
        if run.folder.exists()
        else []
    )
    if not held:
        return
    if not run.recipe.is_file():
        raise InputError(
            f"{run.folder}: --restart removes runs, but this folder holds none (no recipe.yaml); name "
            "another with --run"
        )
    with training_alone(run):
        for path in held:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def recipe_of(arguments: list[str], data: Path | None, base: str | None, wordings: Path | None) -> Recipe:
    """The recipe that the arguments name, or the one that `--data` and `--base` amount to."""
    names, overrides = (
        [text for text in arguments if "=" not in text],
        [text for text in arguments if "=" in text],
    )
    if len(names) > 1:
        raise InputError(
            f"one recipe at a time, not {' and '.join(names)}; overrides have the form key=value"
        )
    if names:
        if data or base or wordings:
            raise InputError(
                "--data, --base and --wordings are for finetuning without a recipe; with one, override "
                "its keys: "
                "mixture.submixtures.NAME.data=PATH model.base=FOLDER"
            )
        return load_recipe(names[0], overrides)
    if not data or not base:
        raise InputError(
            f"name a recipe (a file, or packaged: {', '.join(packaged_recipes())}), or give both --data "
            "and --base"
        )
    return load_from_rows(data, base, wordings, overrides)


def load_from_rows(data: Path, base: str, wordings: Path | None, overrides: list[str]) -> Recipe:
    """A recipe for a user's own rows: three quarters of the context for inputs, 100 steps of 8 rows."""
    name = re.sub(r"[^A-Za-z0-9_.\-]+", "-", data.stem).strip("-.") or "own-data"
    submixture: dict[str, Any] = {"data": data.as_posix()}
    if wordings:
        submixture["wordings"] = str(wordings.resolve())
    values = {
        "name": name,
        "model": {"base": str(Path(base).resolve()) if Path(base).exists() else base},
        "mixture": {"submixtures": {_submixture(data): submixture}},
        "packing": {"inputs": _INPUTS, "targets": _TARGETS},
        "training": {"steps": 100, "batch_size": 8},
        "checkpoints": {"every": 50},
    }
    place = "the recipe made from --data and --base"
    # Data, keys and base are looked at before the libraries are imported that know the base's context.
    check_places(recipe_from(values, place, overrides).mixture)
    check_model_name(base)
    quiet_libraries()
    from openflan.models.load_model import context_length

    context = context_length(base)
    if context is not None:
        values["packing"] = {"inputs": min(_INPUTS, context * 3 // 4), "targets": min(_TARGETS, context // 4)}
    return recipe_from(values, place, overrides)


def _submixture(data: Path) -> str:
    """Chain-of-thought files have their own submixture; anything else is the user's."""
    return "cot" if data.suffix == ".tsv" or (data.is_dir() and any(data.glob("*_train.tsv"))) else "own"
