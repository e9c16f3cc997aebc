"""`openflan tasks review`."""

from __future__ import annotations

from pathlib import Path

import typer

from openflan.cli.output import next_command
from openflan.cli.own_data_options import FORMAT, MAP
from openflan.errors import InputError
from openflan.run_folder import replacing
from openflan.tasks.catalogue import SUBMIXTURES
from openflan.tasks.file_notes import trusting_stamps
from openflan.tasks.formats.reading import make_reading
from openflan.tasks.natural_instructions import prepare_openers
from openflan.tasks.places import single_openers
from openflan.tasks.reach import reach
from openflan.templates.review import MOST, document, examples
from openflan.templates.wording import load_wordings, packaged_wordings, wordings_for


@trusting_stamps()
def review(
    data: Path = typer.Option(
        ...,
        "--data",
        help=(
            "A file or folder with rows in any layout that recipes read, or a folder with one folder "
            "for each submixture."
        ),
    ),
    form: str | None = FORMAT,
    columns: str | None = MAP,
    num_examples: int = typer.Option(
        3, "--number", "-n", min=1, help="The number of examples for each task."
    ),
    out: Path | None = typer.Option(None, "--out", help="Write to this file instead of standard output."),
    wordings: Path | None = typer.Option(
        None, help="A YAML file of wordings. They come before the packaged ones."
    ),
    characters: int = typer.Option(
        MOST,
        "--characters",
        min=100,
        help="Shorten longer texts to this number of characters, in the middle.",
    ),
    seed: int = typer.Option(0, min=0, help="The seed of the run."),
) -> None:
    """Write a Markdown document with a few rendered examples of every task of a folder, to judge wordings by.

    The examples of a task have formats that differ as much as possible. Equal rows give an equal document.
    Example: `openflan tasks review --data examples/rows --out artifacts/review.md`
    """
    if out is not None and out.is_dir():
        raise InputError(f"{out}: is a folder; name a file, such as {out / 'review.md'}")
    custom = load_wordings(wordings) if wordings else []
    sets = [*custom, *packaged_wordings()]
    known = [*SUBMIXTURES]
    reached_tasks = reach(data, None, make_reading(form, columns))
    prepare_openers(single_openers(reached.open for reached in reached_tasks))
    opened_tasks = [reached.open() for reached in reached_tasks]
    opened_tasks.sort(
        key=lambda task: (known.index(task.submixture) if task.submixture in known else len(known), task.name)
    )
    reviewed = [
        examples(task, wordings_for(task.name, task.fields, sets), num_examples, seed)
        for task in opened_tasks
    ]
    written = document(
        reviewed, "Rendered examples", _introduction(len(reviewed), data, num_examples, seed), characters
    )
    if out is None:
        typer.echo(written, nl=False)
        return
    with replacing(out) as partial:
        partial.write_text(written, encoding="utf-8", newline="\n")
    count = sum(len(reviewed_task.examples) for reviewed_task in reviewed)
    typer.echo(f"{out}: {count:,} examples of {len(reviewed):,} tasks")
    next_command("tasks", "show", "TASK", "--data", data, fill="TASK")


def _introduction(tasks: int, data: Path, count: int, seed: int) -> str:
    more = "" if seed == 0 else f" --seed {seed}"
    command = f"openflan tasks review --data {data.as_posix()} --number {count}{more}"
    return (
        f"What a model reads (inputs) and learns to write (targets): {count} rendered examples of each "
        f"of {tasks:,} tasks, as made by\n\n"
        f"```\n{command}\n```\n\n"
        "Each example names its format, its row, the wording that was drawn and the rows that its "
        "exemplars come from."
    )
