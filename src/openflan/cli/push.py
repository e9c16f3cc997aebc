"""`openflan push`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from openflan.cli.output import print_json, print_table
from openflan.run_folder import find_run


def push(
    run: Path = typer.Argument(help="A run folder with a finished model, such as runs/mine."),
    repository: str = typer.Argument(metavar="OWNER/NAME", help="The repository on the hub."),
    private: bool = typer.Option(
        False, "--private", help="Make the repository private, if it is not there yet."
    ),
    adapter: bool = typer.Option(
        False, "--adapter", help="Push the adapter alone instead of the model that it is merged into."
    ),
    base: str | None = typer.Option(
        None, help="The hub id of the base, if the recipe names it as a folder. Card and recipe then name it."
    ),
    revision: str = typer.Option("main", help="The branch of the repository; it is made if need be."),
    message: str = typer.Option("Model trained with openflan", help="The message of the commit."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="List the files with their sizes, and send nothing."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Push the model of a run to the Hugging Face hub, with tokenizer, card, recipe and scores.

    The token is the one that `hf auth login` saved, or HF_TOKEN. No rows, generations or logs are pushed,
    and paths of this machine are cut to their last part. RUN/README.md is the card; without it, one is
    written from the run.

    Example: `openflan push runs/mine ann/flan-t5-mine --private --dry-run`
    """
    from openflan.publishing.files import gather_files
    from openflan.publishing.hub_upload import check_repository, upload

    check_repository(repository)
    if base is not None:
        check_repository(base)
    publication = gather_files(find_run(run), repository, adapter=adapter, base=base)
    pushed = None
    if not dry_run:
        if as_json or not sys.stderr.isatty():
            from huggingface_hub.utils.tqdm import disable_progress_bars

            disable_progress_bars()
        pushed = upload(publication, repository, private=private, revision=revision, message=message)
    if as_json:
        print_json(
            {
                "repository": repository,
                "revision": revision,
                "files": [{"name": file.name, "bytes": file.size} for file in publication.files],
                "notes": list(publication.notes),
                "commit": None if pushed is None else pushed.commit,
                "url": None if pushed is None else pushed.url,
                "removed": [] if pushed is None else list(pushed.removed),
            }
        )
        return
    for note in publication.notes:
        typer.echo(note, err=True)
    typer.echo(f"{repository}, branch {revision}: {len(publication.files)} files, {publication.size:,} bytes")
    print_table("", ("file", "bytes"), [(file.name, file.size) for file in publication.files])
    if pushed is None:
        typer.echo("nothing was sent (--dry-run)")
        return
    if pushed.removed:
        typer.echo(f"removed, as an earlier push left them: {', '.join(pushed.removed)}")
    typer.echo(f"pushed: {pushed.url}")
