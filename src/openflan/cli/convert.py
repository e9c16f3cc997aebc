"""`openflan convert`."""

from __future__ import annotations

from pathlib import Path

import typer

from openflan.cli.output import next_command
from openflan.errors import InputError
from openflan.models.quiet import quiet_libraries

app = typer.Typer(
    help="Convert checkpoints of other tools into Hugging Face folders, and back.", no_args_is_help=True
)


@app.callback()
def _named() -> None:
    """Makes typer keep the name of the format in the command, although there is only one format."""


@app.command("t5x")
def t5x(
    folder: Path = typer.Argument(
        metavar="FOLDER", help="A T5X checkpoint, or a Hugging Face folder of T5, mT5 or umT5."
    ),
    to: Path = typer.Option(
        ...,
        "--to",
        metavar="OUT",
        help="The folder to write: a Hugging Face folder, or checkpoint_N for T5X.",
    ),
    tokenizer: str | None = typer.Option(
        None,
        help=(
            "For a Hugging Face folder: the tokenizer to copy into it, as a hub id or a folder. T5X "
            "checkpoints have none."
        ),
    ),
    stacked: bool = typer.Option(
        False, "--stacked", help="For a T5X checkpoint: store all layers in one array, as scanned models do."
    ),
) -> None:
    """Convert a T5X checkpoint of T5, mT5 or umT5 into a Hugging Face folder, or a Hugging Face folder into a
    T5X checkpoint. Only weights are converted.

    Examples:

    `openflan convert t5x t5_1_1_lm100k_small/checkpoint_1100000 --to lm-adapted --tokenizer
    google/t5-v1_1-small`

    `openflan convert t5x runs/flan-t5-small/model --to flan_t5_small/checkpoint_1198000`
    """
    from openflan.models.t5x import from_t5x, is_t5x, to_t5x

    if not is_t5x(folder):
        if not (folder / "config.json").is_file():
            raise InputError(
                f"{folder}: neither a T5X checkpoint (no folders target.*) nor a Hugging Face folder (no "
                "config.json)"
            )
        if tokenizer is not None:
            raise InputError("--tokenizer is for Hugging Face folders; a T5X checkpoint keeps none")
        typer.echo(f"{to}: {to_t5x(folder, to, stacked=stacked):,} arrays")
        return
    if stacked:
        raise InputError("--stacked is for T5X checkpoints; Hugging Face folders have one layout")
    quiet_libraries()
    from openflan.models.load_model import tokenizer_of

    # Found before anything is written.
    used_tokenizer = None if tokenizer is None else tokenizer_of(tokenizer)
    config = from_t5x(folder, to)
    if used_tokenizer is not None:
        used_tokenizer.save_pretrained(to)
    typer.echo(
        f"{to}: {config['model_type']} with {config['num_layers']} + {config['num_decoder_layers']} "
        f"layers of width {config['d_model']:,}"
    )
    next_command(
        "finetune",
        "RECIPE",
        f"model.base={to}",
        *([] if used_tokenizer is not None else ["model.tokenizer=google/t5-v1_1-small"]),
        fill="RECIPE",
    )
