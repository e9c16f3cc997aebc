"""`openflan tasks`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import typer

from openflan.api.mixture import render
from openflan.cli.output import next_command, print_example, print_json
from openflan.cli.task_figures import figures
from openflan.cli.task_review import review
from openflan.cli.task_tables import print_counted, print_lines
from openflan.errors import InputError
from openflan.task_reports.check import check_tasks
from openflan.task_reports.find_task import find_task
from openflan.task_reports.listing import COLUMNS, EMBEDDED_COLUMNS, TaskFilters, list_tasks
from openflan.tasks.catalogue import counts
from openflan.tasks.file_notes import trusting_stamps
from openflan.templates.style import Style

app = typer.Typer(help="Browse tasks and see how they are rendered.", no_args_is_help=True)
app.command("figures")(figures)
app.command("review")(review)

_DATA: Path | None = typer.Option(
    None,
    help=(
        "A file or folder with rows in any layout that recipes read, or a folder with one folder "
        "for each submixture. Default: the embedded world. `embedded:microflan@SEED` is another "
        "world."
    ),
)
_JSON = typer.Option(False, "--json", help="Print one JSON value on standard output.")


@app.command("list")
@trusting_stamps()
def list_(
    data: Path | None = typer.Option(
        None, help="List the tasks of this folder or file instead of the catalogue."
    ),
    submixture: str | None = typer.Option(None, help="List only this submixture."),
    category: str | None = typer.Option(None, help="List only categories whose names contain this text."),
    language_: str | None = typer.Option(
        None,
        "--language",
        help="List only tasks in this language, as an ISO code or a name, such as sw or Swahili.",
    ),
    dataset: str | None = typer.Option(None, help="List only datasets whose names contain this text."),
    held_out: bool = typer.Option(False, "--held-out", help="List only tasks that are kept out of training."),
    counted: bool = typer.Option(
        False, "--counts", help="Count the collection, and explain how the figures differ from the paper's."
    ),
    as_json: bool = _JSON,
) -> None:
    """List the tasks of the Flan collection and of the embedded world, or with --data the tasks of a file or
    folder.

    Tasks that the collection leaves out are listed only with --held-out. Example: `openflan tasks list
    --submixture niv2 --language sw`
    """
    if counted:
        if data or submixture or category or language_ or dataset or held_out:
            raise InputError("--counts counts the whole collection; give it without filters and --data")
        print_counted(counts(), as_json)
        return
    filters = TaskFilters(submixture, category, dataset, language_, held_out)
    listed, num_broken = list_tasks(data, filters)
    if num_broken:
        typer.echo(
            f"{num_broken} tasks cannot be read; `openflan tasks check --data {data}` says why", err=True
        )
    if as_json:
        print_json([task.described for task in listed])
        return
    title = (
        f"{len(listed):,} tasks of {len({task.dataset for task in listed})} datasets in "
        f"{len({task.category for task in listed})} categories"
    )
    if listed and all(task.example for task in listed):
        print_lines(title, EMBEDDED_COLUMNS, [task.embedded_cells for task in listed])
    else:
        print_lines(title, COLUMNS, [task.cells for task in listed])
    if listed:
        next_command(
            "tasks", "show", "TASK", "--style", "few-shot", *(["--data", data] if data else []), fill="TASK"
        )


@app.command("show")
@trusting_stamps()
def show(
    name: str = typer.Argument(metavar="TASK", help="A task, such as cot/gsm8k."),
    style: str = typer.Option(
        "zero-shot",
        help=(
            "`zero-shot` or `few-shot`, followed by `-cot` for chains of thought or `-no-options` to "
            "hide options."
        ),
    ),
    data: Path | None = _DATA,
    wordings: Path | None = typer.Option(
        None, help="A YAML file of wordings. They come before the packaged ones."
    ),
    index: int = typer.Option(0, min=0, help="The first row to print, from 0."),
    number: int = typer.Option(1, "--number", "-n", min=1, help="The number of rows to print."),
    shots: int | None = typer.Option(
        None, min=1, help="The number of exemplars of a few-shot example. Default: drawn from 2, 3 and 5."
    ),
    seed: int = typer.Option(0, min=0, help="The seed of the run."),
    as_json: bool = _JSON,
) -> None:
    """Print rendered examples of a task, each with where it came from.

    Example: `openflan tasks show cot/gsm8k --style few-shot-cot --data FOLDER`
    """
    parsed = Style.parse(style)
    task = find_task(name, data)
    examples = render(task, parsed, wordings=wordings, index=index, count=number, shots=shots, seed=seed)
    if as_json:
        print_json(
            [
                {
                    "inputs": example.inputs,
                    "targets": example.targets,
                    "answer": example.answer,
                    **example.provenance(),
                }
                for example in examples
            ]
        )
        return
    for example in examples:
        print_example(example, more={"split": task.split, "held out": task.held_out})
        if example.style != parsed:
            typer.echo(f"({task.name} has no {parsed.name} form; this is the nearest)\n", err=True)


@app.command("check")
@trusting_stamps()
def check(
    data: Path | None = _DATA,
    submixture: str | None = typer.Option(None, help="List only this submixture."),
    wordings: Path | None = typer.Option(
        None,
        help=(
            "A YAML file of wordings for the embedded world. They are checked for answers that they "
            "give away."
        ),
    ),
    as_json: bool = _JSON,
) -> None:
    """Open every task, render one row of each, and print which tasks work, are missing, or are broken.

    For the embedded world the command also checks that nothing held out appears in its instructions or in its
    plain text, and that no wording gives an answer away.

    Examples: `openflan tasks check --data FOLDER`, `openflan tasks check --submixture microflan --wordings
    FILE`
    """
    results = check_tasks(
        data,
        submixture,
        wordings,
        max_missing=None if as_json else 20,
    )
    if as_json:
        print_json([result.described for result in results])
    else:
        totals: Counter[str] = Counter()
        for result in results:
            totals[result.status] += result.tasks
        title = ", ".join(f"{count:,} {status}" for status, count in totals.items())
        print_lines(
            title,
            ["task", "status", "detail"],
            [[result.task, result.status, result.detail] for result in results],
        )
    if any(result.status == "broken" for result in results):
        raise typer.Exit(1)
