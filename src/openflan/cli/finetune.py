"""`openflan finetune`."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from openflan.api.finetune import check_epochs, finetune_into, recipe_from_rows, recipe_with_epochs
from openflan.api.options import FinetuneOptions
from openflan.cli.output import next_command
from openflan.cli.own_data_options import FORMAT, MAP
from openflan.errors import InputError
from openflan.models.device import HELP as DEVICE_HELP
from openflan.recipe.load_recipe import load_recipe, packaged_recipes
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run


def finetune(
    arguments: list[str] | None = typer.Argument(
        None,
        metavar="[RECIPE] [KEY=VALUE ...]",
        help="A recipe file or the name of a packaged recipe, and new values for its keys.",
    ),
    data: Path | None = typer.Option(
        None, help="Without a recipe: your rows, as a file or a folder that openflan reads (docs/data.md)."
    ),
    form: str | None = FORMAT,
    columns: str | None = MAP,
    base: str | None = typer.Option(
        None, help="Without a recipe: the model to start from, as a hub id or a folder."
    ),
    wordings: Path | None = typer.Option(
        None,
        help=(
            "Without a recipe: a YAML file of wordings, for rows that have fields instead of inputs "
            "and targets."
        ),
    ),
    epochs: float | None = typer.Option(
        None,
        help=(
            "How often the rows are read, such as 3 or 0.5, in place of training.steps: the steps are "
            "computed from the packed examples. Of a mixture with caps or rates, an epoch is as many "
            "examples as its capped rows."
        ),
    ),
    run: Path | None = typer.Option(None, help="The run folder. Default: runs/NAME."),
    build: Path | None = typer.Option(
        None, help="The folder that `openflan build` made. Default: the run's own build, if there is one."
    ),
    strict: bool = typer.Option(
        False,
        "--strict",
        help="Stop if the model cannot train on packed sequences, instead of padding its examples.",
    ),
    restart: bool = typer.Option(
        False, help="Remove the contents of the run folder, except its build, and start again."
    ),
    device: str | None = typer.Option(None, help=DEVICE_HELP),
    allow_changes: bool = typer.Option(
        False,
        "--allow-changes",
        help=(
            "Continue from the newest checkpoint although the recipe or the data changed. "
            "provenance.json records the changes."
        ),
    ),
    fit: str | None = typer.Option(
        None,
        metavar="MEMORY",
        help=(
            "The memory of a device, such as 24GB. By the estimate, and as little as needed, the recipe is "
            "changed to fit into it: smaller micro-batches, layers computed again, weights in bfloat16, an "
            "adapter. The choice and its reason are printed."
        ),
    ),
    dtype: str | None = typer.Option(
        None,
        help=(
            "The number format of the exported model: float32, bfloat16 or float16. Default: that of the "
            "base's files (the key model.export_dtype)."
        ),
    ),
) -> None:
    """Finetune a model. If you run the same command again, it continues where it stopped.

    Examples:

    `openflan finetune recipes/mine.yaml training.steps=200`

    `openflan finetune --data rows.jsonl --base google/t5-small-lm-adapt --epochs 3`

    `torchrun --nproc-per-node 8 -m -- openflan finetune recipes/mine.yaml`
    """
    exported = [] if dtype is None else [f"model.export_dtype={dtype}"]
    recipe = recipe_of([*(arguments or []), *exported], data, base, wordings, form, columns, epochs)
    options = FinetuneOptions(
        build=build, strict=strict, restart=restart, allow_changes=allow_changes, fit=fit, device=device
    )
    finished = finetune_into(recipe, Run(run or Path("runs") / recipe.name), options, label="finetune")
    if os.environ.get("RANK", "0") != "0":
        return
    typer.echo(f"model: {finished.model}")
    next_command("generate", finished.folder, "Is the sky green?")
    next_command("report", finished.folder)


def recipe_of(
    arguments: list[str],
    data: Path | None,
    base: str | None,
    wordings: Path | None,
    form: str | None = None,
    columns: str | None = None,
    epochs: float | None = None,
) -> Recipe:
    """The recipe that the arguments name, or the one that `--data` and `--base` describe, with the steps of
    `epochs` epochs if they are given. Raises InputError for several recipes, for none, and for options that
    exclude each other."""
    names, overrides = (
        [text for text in arguments if "=" not in text],
        [text for text in arguments if "=" in text],
    )
    if len(names) > 1:
        raise InputError(
            f"one recipe at a time, not {' and '.join(names)}; overrides have the form key=value"
        )
    if names:
        if data or base or wordings or form or columns:
            raise InputError(
                "--data, --base, --wordings, --format and --map are for finetuning without a recipe; with "
                "one, override "
                "its keys: "
                "mixture.submixtures.NAME.data=PATH mixture.submixtures.NAME.format=FORMAT model.base=FOLDER"
            )
        check_epochs(epochs, overrides)
        return recipe_with_epochs(load_recipe(names[0], overrides), epochs, overrides)
    if not data or not base:
        raise InputError(
            f"name a recipe (a file, or packaged: {', '.join(packaged_recipes())}), or give both --data "
            "and --base"
        )
    return recipe_from_rows(
        data, base, wordings=wordings, format=form, columns=columns, overrides=overrides, epochs=epochs
    )
