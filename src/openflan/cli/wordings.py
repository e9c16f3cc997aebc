"""`openflan wordings`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import next_command, print_json, print_table
from openflan.templates.choice import (
    IMPORT,
    Named,
    custom_wordings,
    imported_folder,
    imported_wordings,
    known_wordings,
)
from openflan.templates.dump import kind
from openflan.templates.import_flan import import_flan
from openflan.templates.wording import WordingSet

app = typer.Typer(
    help="List wordings, check your own, and import those of the collection.", no_args_is_help=True
)

_JSON = typer.Option(False, "--json", help="Print one JSON value on standard output.")
_LISTED = 12


@app.command("list")
def list_(
    task: str | None = typer.Option(None, help="Print every wording of this task, such as cot/gsm8k."),
    as_json: bool = _JSON,
) -> None:
    """List packaged and imported wordings: those of one task, or all sets.

    Example: `openflan wordings list --task cot/gsm8k`
    """
    sets = known_wordings(task)
    if as_json:
        print_json([_described(choice, wording_set) for choice, wording_set in sets])
        return
    if task is None:
        typer.echo(
            f"{len(sets)} sets, {sum(len(wording_set.wordings) for _, wording_set in sets):,} wordings"
        )
        print_table(
            "",
            ["tasks", "choice", "wordings", "source"],
            [
                [_some(wording_set.tasks), choice, len(wording_set.wordings), wording_set.source]
                for choice, wording_set in sets
            ],
        )
        next_command("wordings", "list", "--task", "TASK", fill="TASK")
        return
    for choice, wording_set in sets:
        typer.echo(f"{choice}: {len(wording_set.wordings)} wordings of {task} in {wording_set.source}")
        print_table(
            "",
            ["id", "kind", "line"],
            [
                [wording.id, kind(wording), wording.source.rpartition(":")[2]]
                for wording in wording_set.wordings
            ],
        )
    if imported_wordings():
        next_command("tasks", "show", task, "--data", "FOLDER", fill="FOLDER")
    else:
        next_command(*IMPORT.split()[1:], fill="DIR")


@app.command("check")
def check(
    path: Path = typer.Argument(metavar="FILE", help="A YAML file of wordings, or a folder of such files."),
    as_json: bool = _JSON,
) -> None:
    """Read a wordings file as a recipe does, and print its contents, or the first mistake with its line.

    Example: `openflan wordings check mine.yaml`
    """
    sets = custom_wordings(path)
    if as_json:
        print_json([_described("own", wording_set) for wording_set in sets])
        return
    rows = [
        [" ".join(wording_set.tasks), wording.id, kind(wording), " ".join(sorted(wording.fields))]
        for wording_set in sets
        for wording in wording_set.wordings
    ]
    typer.echo(f"{path}: {len(rows)} wordings, all well formed")
    print_table("", ["tasks", "id", "kind", "fields"], rows)
    next_command(
        "tasks",
        "show",
        "TASK",
        "--wordings",
        path if path.is_file() else "FILE",
        "--data",
        "FOLDER",
        fill="the names in capitals",
    )


@app.command("import")
def import_(
    flan: Path = typer.Option(
        ..., "--flan", metavar="DIR", help="A checkout of github.com/google-research/FLAN."
    ),
    to: Path | None = typer.Option(
        None,
        metavar="FOLDER",
        help="The folder to write. Default: the cache, where `wordings: original` finds the files.",
    ),
    as_json: bool = _JSON,
) -> None:
    """Read the templates of the Flan collection from a checkout and write them to YAML files.

    The checkout is parsed and never executed.

    Example: `openflan wordings import --flan ~/FLAN`
    """
    imported = import_flan(flan, to or imported_folder())
    if as_json:
        print_json(
            {
                "folder": str(imported.folder),
                "files": dict(imported.files),
                "kinds": dict(imported.kinds),
                "skipped": [asdict(skipped) for skipped in imported.skipped],
            }
        )
        return
    typer.echo(
        f"{sum(imported.kinds.values()):,} wordings in {len(imported.files):,} files in {imported.folder}"
    )
    print_table("", ["kind", "wordings"], [list(row) for row in imported.kinds.items()])
    if imported.skipped:
        rows = [
            [skipped.place.removeprefix(f"{flan}/"), skipped.entry, skipped.reason]
            for skipped in imported.skipped[:_LISTED]
        ]
        note = f", the first {_LISTED} of them (--json lists all)" if len(imported.skipped) > _LISTED else ""
        print_table(f"{len(imported.skipped)} left out{note}", ["where", "what", "why"], rows)
    next_command("wordings", *(["list", "--task", "cot/gsm8k"] if to is None else ["check", to]))


def _some(tasks: Sequence[str]) -> str:
    """The names or patterns of tasks in one cell of a table; of many the first two and how many more."""
    return " ".join(tasks) if len(tasks) <= _LISTED else f"{' '.join(tasks[:2])} and {len(tasks) - 2} more"


def _described(choice: Named | str, wording_set: WordingSet) -> dict[str, Any]:
    return {
        "tasks": list(wording_set.tasks),
        "choice": choice,
        "source": wording_set.source,
        "wordings": [
            {
                "id": wording.id,
                "shots": wording.shots,
                "rationale": wording.rationale,
                "options": wording.options,
                "inverted": wording.inverted,
                "fields": sorted(wording.fields),
                "source": wording.source,
            }
            for wording in wording_set.wordings
        ],
    }
