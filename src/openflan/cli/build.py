"""`openflan build`."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import typer

from openflan.cli.output import Bar, next_command, print_json
from openflan.mixture.open_mixture import check_places
from openflan.models.quiet import quiet_libraries
from openflan.packing.build_ahead import Shard, Summary, build
from openflan.packing.losses import losses_line
from openflan.packing.unknown import unknown_line, unknown_targets
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run

_MARGIN = 1.02
"""Windows differ a little in their number of sequences; training makes the missing ones itself."""


def build_(
    recipe: str = typer.Argument(help="A recipe file, or the name of a packaged recipe."),
    overrides: list[str] | None = typer.Argument(
        None, metavar="[KEY=VALUE ...]", help="New values for keys of the recipe."
    ),
    to: Path | None = typer.Option(
        None, help="The folder to write. Default: runs/NAME/build, where `openflan finetune` finds it."
    ),
    examples: int | None = typer.Option(
        None,
        min=1,
        help=(
            "The number of examples, in whole windows. Default: the number that the recipe's steps will read."
        ),
    ),
    workers: int = typer.Option(
        1,
        min=1,
        help=(
            "The number of processes that render and tokenise, with one core each. With 1, only "
            "tokenising uses all cores."
        ),
    ),
    shard: str = typer.Option(
        "0/1",
        help=(
            "Make only this part, such as 0/4, the first of four. Parts can be made on several "
            "machines; then put the files of their `blocks/` folders together."
        ),
    ),
    repair: bool = typer.Option(False, "--repair", help="Make the blocks again whose files are damaged."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Render, tokenise and pack before training. If you run the same command again, it continues where it
    stopped.

    Training makes the same batches without a build. A build saves time if you train on the same mixture more
    than once, or if a GPU would wait for batches.

    Example: `openflan build recipes/mine.yaml --workers 8`
    """
    loaded = load_recipe(recipe, overrides or [])
    check_places(loaded.mixture)
    part = Shard.parse(shard)
    folder = to or Run(Path("runs") / loaded.name).build
    quiet_libraries()
    began = time.monotonic()
    done = _build(loaded, folder, examples, workers, part, repair)
    seconds = time.monotonic() - began
    if as_json:
        print_json({"path": str(folder), "seconds": seconds, **asdict(done)})
        return
    typer.echo(
        f"{folder}: {done.examples:,} examples in {done.sequences:,} rows, {done.tokens:,} tokens, in "
        f"{seconds:,.1f} s "
        f"({done.made} blocks made, {done.packed_anew} packed anew, {done.kept} kept)\ncontent "
        f"{done.content}"
    )
    next_command("finetune", recipe, *(overrides or []), *(["--build", to] if to else []))


def _build(
    recipe: Recipe, folder: Path, examples: int | None, workers: int, shard: Shard, repair: bool
) -> Summary:
    from openflan.mixture.open_mixture import open_tasks
    from openflan.models.load_model import load_tokenizer, seq2seq_by_config
    from openflan.training.prepare import layout_of, opener, packed_stream_of, parts_of, prepare

    tasks, tokenizer = open_tasks(recipe.mixture), load_tokenizer(recipe.model)
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=not seq2seq_by_config(recipe.model))
    layout = layout_of(stream)
    parts = parts_of(recipe, tasks, encoder, tokenizer, layout=layout)
    if examples is None:
        rows_of_window = len(packed_stream_of(stream, encoder, parts, Path(folder, "none")).window(0))
        windows = -(-round(recipe.training.steps * recipe.training.batch_size * _MARGIN) // rows_of_window)
    else:
        windows = -(-examples // layout.window)
    with Bar("build", "window") as bar:
        done = build(
            folder,
            stream,
            encoder,
            parts,
            windows,
            workers=workers,
            make=opener(recipe),
            shard=shard,
            repair=repair,
            layout=layout,
            notice=lambda text: typer.echo(text, err=True),
            progress=bar.show,
        )
    if shard.index == 0:
        first = packed_stream_of(stream, encoder, parts, folder).window(0)
        if line := losses_line(first.counts(), first.longest(), encoder.limits):
            typer.echo(f"build: {line}", err=True)
        if unknown := unknown_targets(first.tokens, first.examples, encoder.tokenize):
            typer.echo(f"build: {unknown_line(unknown.values())}", err=True)
    return done
