"""`openflan tasks`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import typer

from openflan.api.mixture import render
from openflan.cli.output import command_line, next_command, print_example, print_json
from openflan.cli.own_data_options import FORMAT, MAP
from openflan.cli.task_figures import figures
from openflan.cli.task_review import review
from openflan.cli.task_tables import print_counted, print_lines
from openflan.errors import InputError
from openflan.task_reports.check import check_tasks
from openflan.task_reports.find_task import find_task
from openflan.task_reports.listing import COLUMNS, EMBEDDED_COLUMNS, OWN_COLUMNS, TaskFilters, list_tasks
from openflan.tasks.catalogue import counts
from openflan.tasks.file_notes import trusting_stamps
from openflan.tasks.formats.reading import Reading, make_reading
from openflan.tasks.places import Data
from openflan.templates.style import Style

app = typer.Typer(help="Browse tasks and see how they are rendered.", no_args_is_help=True)
app.command("figures")(figures)
app.command("review")(review)

_DATA: list[Path] | None = typer.Option(
    None,
    help=(
        "A file or folder with rows in any layout that recipes read, or a folder with one folder "
        "for each submixture. Default: the embedded world. `embedded:microflan@SEED` is another "
        "world. Of several, the first that has a task gives it."
    ),
)
_JSON = typer.Option(False, "--json", help="Print one JSON value on standard output.")


def _one_or_several(data: list[Path] | None) -> Data:
    return data[0] if data and len(data) == 1 else data or None


def _data_options(data: list[Path] | None) -> list[object]:
    return [word for place in data or [] for word in ("--data", place)]


@app.command("list")
@trusting_stamps()
def list_(
    data: list[Path] | None = typer.Option(
        None,
        help=(
            "List the tasks of this folder or file instead of the catalogue. Of several, the first that has "
            "a task gives it."
        ),
    ),
    form: str | None = FORMAT,
    columns: str | None = MAP,
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
    places = _one_or_several(data)
    listed, num_broken = list_tasks(places, filters, _reading(places, form, columns))
    if num_broken:
        typer.echo(
            f"{num_broken} tasks cannot be read; "
            f"`{command_line('tasks', 'check', *_data_options(data))}` says why",
            err=True,
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
    elif listed and all(task.described.get("format") for task in listed):
        print_lines(title, OWN_COLUMNS, [task.own_cells for task in listed])
    else:
        print_lines(title, COLUMNS, [task.cells for task in listed])
    if listed:
        next_command("tasks", "show", "TASK", "--style", "few-shot", *_data_options(data), fill="TASK")


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
    data: list[Path] | None = _DATA,
    form: str | None = FORMAT,
    columns: str | None = MAP,
    wordings: Path | None = typer.Option(
        None, help="A YAML file of wordings. They come before the packaged ones."
    ),
    index: int = typer.Option(0, min=0, help="The first row to print, from 0."),
    count: int = typer.Option(1, "--number", "-n", min=1, help="The number of rows to print."),
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
    places = _one_or_several(data)
    task = find_task(name, places, _reading(places, form, columns))
    examples = render(task, parsed, wordings=wordings, index=index, count=count, shots=shots, seed=seed)
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
        print_example(
            example,
            more={
                "format": task.form,
                "notice": task.notice or None,
                "split": task.split,
                "held out": task.held_out,
                "place": task.place,
            },
        )
        if example.style != parsed:
            typer.echo(f"({task.name} has no {parsed.name} form; this is the nearest)\n", err=True)


@app.command("check")
@trusting_stamps()
def check(
    data: list[Path] | None = _DATA,
    form: str | None = FORMAT,
    columns: str | None = MAP,
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
    plain text. No wording may give an answer away.

    Examples: `openflan tasks check --data FOLDER`, `openflan tasks check --submixture microflan --wordings
    FILE`
    """
    places = _one_or_several(data)
    results = check_tasks(
        places,
        submixture,
        wordings,
        max_missing=None if as_json else 20,
        reading=_reading(places, form, columns),
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


def _reading(data: Data, form: str | None, columns: str | None) -> Reading:
    """How the rows of `--data` are to be read. Raises InputError for `--format` or `--map` without it."""
    if data is None and (form or columns):
        raise InputError("--format and --map say how the rows of --data are to be read; give --data too")
    return make_reading(form, columns)
