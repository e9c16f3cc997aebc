"""`openflan tasks`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import typer

from openflan.cli.output import next_command, print_example, print_json
from openflan.cli.task_figures import figures
from openflan.cli.task_review import review
from openflan.cli.task_rows import (
    COLUMNS,
    EMBEDDED_COLUMNS,
    Listed,
    checked,
    held_apart,
    missing,
    nothing_found,
    of_entry,
    of_task,
    print_counted,
    print_lines,
    with_example,
)
from openflan.embedded import EMBEDDED_SUBMIXTURES, SOURCES, EmbeddedData, parse_data
from openflan.errors import InputError, OpenflanError, did_you_mean
from openflan.tasks.catalogue import (
    SUBMIXTURES,
    catalogue,
    counts,
    find,
    how_to_get,
    language,
    real_name,
    resolve,
)
from openflan.tasks.embedded_rows import embedded_tasks
from openflan.tasks.reach import reach
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import load_wordings, packaged_wordings, wordings_for

app = typer.Typer(help="Browse tasks and see how they are rendered.", no_args_is_help=True)
app.command("figures")(figures)
app.command("review")(review)

_DATA: Path | None = typer.Option(
    None,
    help="A file or folder with rows in any layout that recipes read, or folders of them named after "
    "submixtures. "
    "Without it: the embedded world; `embedded:microflan@SEED`: another one.",
)
_JSON = typer.Option(False, "--json", help="One JSON value on standard output.")


@app.command("list")
def list_(
    data: Path | None = typer.Option(
        None, help="List what is in this folder or file instead of the catalogue."
    ),
    submixture: str | None = typer.Option(None, help="Only this submixture."),
    category: str | None = typer.Option(None, help="Only categories that hold this text."),
    language_: str | None = typer.Option(
        None, "--language", help="Only tasks in this language: an ISO code or a name, such as sw or Swahili."
    ),
    dataset: str | None = typer.Option(None, help="Only datasets whose names hold this text."),
    held_out: bool = typer.Option(False, "--held-out", help="Only tasks that are kept out of training."),
    counted: bool = typer.Option(
        False, "--counts", help="Count the collection and reconcile the figures with the paper's."
    ),
    as_json: bool = _JSON,
) -> None:
    """List the tasks of the Flan collection and of the embedded world, or with --data those whose rows are
    there.

    Tasks that the collection leaves out are listed by --held-out only. Example: `openflan tasks list
    --submixture niv2 --language sw`
    """
    if counted:
        if data or submixture or category or language_ or dataset or held_out:
            raise InputError("--counts counts the whole collection; give it without filters and --data")
        print_counted(counts(), as_json)
        return
    there = _reachable(data, submixture) if data else _known(submixture, held_out)
    listed = [row for row in there if submixture in (None, row.submixture)]
    if data and submixture and not listed:
        other = sorted(
            {row.submixture for row in there} or {found.name.partition("/")[0] for found in reach(data)}
        )
        raise InputError(
            f"{data}: no tasks of submixture "
            f"`{submixture}`{did_you_mean(submixture, other) or '; it has ' + ', '.join(other)}"
        )
    spoken = language(language_) if language_ else None
    if category is not None and not any(category.lower() in row.category.lower() for row in listed):
        known = sorted({row.category for row in listed})
        examples = f"; there are {len(known)}, such as {known[0]}" if known else ""
        raise InputError(f"no category holds `{category}`{did_you_mean(category, known) or examples}")
    chosen = [
        row
        for row in listed
        if (category is None or category.lower() in row.category.lower())
        and (dataset is None or dataset.lower() in row.dataset.lower())
        and (spoken is None or spoken in row.languages)
        and (not held_out or row.held_out is not None)
    ]
    if data and not chosen:
        raise InputError(
            nothing_found(
                data,
                len(there),
                submixture=submixture,
                category=category,
                language=language_,
                dataset=dataset,
                held_out=held_out,
            )
        )
    if as_json:
        print_json([row.described for row in chosen])
        return
    title = (
        f"{len(chosen):,} tasks of {len({row.dataset for row in chosen})} datasets in "
        f"{len({row.category for row in chosen})} categories"
    )
    if chosen and all(row.example for row in chosen):
        print_lines(title, EMBEDDED_COLUMNS, [row.embedded_cells for row in chosen])
    else:
        print_lines(title, COLUMNS, [row.cells for row in chosen])
    if chosen:
        next_command(
            "tasks", "show", "TASK", "--style", "few-shot", *(["--data", data] if data else []), fill="TASK"
        )


@app.command("show")
def show(
    name: str = typer.Argument(metavar="TASK", help="A task, such as cot/gsm8k."),
    style: str = typer.Option(
        "zero-shot",
        help="zero-shot or few-shot, then -cot for chains of thought, -no-options to hide options.",
    ),
    data: Path | None = _DATA,
    wordings: Path | None = typer.Option(
        None, help="A YAML file of wordings that comes before the packaged ones."
    ),
    index: int = typer.Option(0, min=0, help="The row, from 0."),
    number: int = typer.Option(1, "--number", "-n", min=1, help="How many rows, from that one."),
    shots: int | None = typer.Option(
        None, min=1, help="Exemplars of a few-shot example; drawn (2, 3 or 5) if absent."
    ),
    seed: int = typer.Option(0, min=0, help="The run's seed."),
    as_json: bool = _JSON,
) -> None:
    """Print rendered examples of a task, each with where it came from.

    Example: `openflan tasks show cot/gsm8k --style few-shot-cot --data FOLDER`
    """
    wanted = Style.parse(style)
    task = (
        _task_of(data, name) if data is not None and parse_data(data) is None else _embedded_task(name, data)
    )
    if index + number > len(task.rows):
        raise InputError(f"{task.name} has {len(task.rows):,} rows; --index {index} -n {number} goes beyond")
    own = load_wordings(wordings) if wordings else []
    renderer = Renderer(task, wordings_for(task.name, task.fields, [*own, *packaged_wordings()]))
    shown = [
        renderer.render(row, wanted, seed, position=row, shots=shots) for row in range(index, index + number)
    ]
    if as_json:
        print_json(
            [
                {"inputs": one.inputs, "targets": one.targets, "answer": one.answer, **one.provenance()}
                for one in shown
            ]
        )
        return
    for one in shown:
        print_example(one, more={"split": task.split, "held out": task.held_out})
        if one.style != wanted:
            typer.echo(f"({task.name} has no {wanted.name} form; this is the nearest)\n", err=True)


@app.command("check")
def check(
    data: Path | None = _DATA,
    submixture: str | None = typer.Option(None, help="Only this submixture."),
    wordings: Path | None = typer.Option(
        None,
        help=(
            "A YAML file of wordings for the embedded world, looked through for answers that they give away."
        ),
    ),
    as_json: bool = _JSON,
) -> None:
    """Open every task that can be reached, render one row of each, and say what works, what is missing and
    what is broken.

    Of the embedded world also: whether anything held out shows in its instructions or in its plain text, and
    whether a wording gives an answer away.

    Examples: `openflan tasks check --data FOLDER`, `openflan tasks check --submixture microflan --wordings
    FILE`
    """
    if data is not None and wordings is not None and parse_data(data) is None:
        raise InputError(
            "--wordings looks through wordings for the embedded world, which has no --data; leave one out"
        )
    if data is None or parse_data(data) is not None:
        _known_submixture(submixture)
        chosen = {
            name: task for name, task in _embedded(data).items() if submixture in (None, task.submixture)
        }
        results = [checked(name, lambda task=task: task) for name, task in chosen.items()]  # type: ignore[misc]
        custom = load_wordings(wordings) if wordings else []
        for embedded in _embedded_data(data) if chosen else ():
            results += held_apart(chosen, custom, embedded)
        absent = missing(
            [name for name in SUBMIXTURES if data is None and submixture in (None, name)],
            present=set(),
            most=0,
        )
    else:
        found = reach(data, submixture)
        results = [checked(task.name, task.open) for task in found]
        present = {task.name for task in found} & catalogue().keys()
        begun = [one for one in SUBMIXTURES if any(name.startswith(f"{one}/") for name in present)]
        absent = missing(begun, present=present, most=None if as_json else 20)
    results += absent
    if as_json:
        print_json([row.described for row in results])
    else:
        totals: Counter[str] = Counter()
        for row in results:
            totals[row.status] += row.tasks
        title = ", ".join(f"{number:,} {status}" for status, number in totals.items())
        print_lines(
            title, ["task", "status", "detail"], [[row.task, row.status, row.detail] for row in results]
        )
    if any(row.status == "broken" for row in results):
        raise typer.Exit(1)


def _known(submixture: str | None, held_out: bool) -> list[Listed]:
    """The catalogue and the embedded world."""
    _known_submixture(submixture)
    embedded = (
        []
        if submixture in SUBMIXTURES
        else [with_example(task) for task in _embedded().values() if submixture in (None, task.submixture)]
    )
    return [*map(of_entry, find(held_out=held_out)), *embedded]


def _known_submixture(submixture: str | None) -> None:
    """Raises InputError for a submixture that is neither in the catalogue nor embedded, with the nearest
    name."""
    if submixture is not None and submixture not in SUBMIXTURES and submixture not in EMBEDDED_SUBMIXTURES:
        known = [*SUBMIXTURES, *EMBEDDED_SUBMIXTURES]
        raise InputError(
            "no submixture "
            f"`{submixture}`{did_you_mean(submixture, known) or '; there are ' + ', '.join(known)}; for "
            "your own rows give --data"
        )


def _reachable(data: Path, submixture: str | None) -> list[Listed]:
    """What can be opened; how much cannot goes to standard error."""
    if parse_data(data) is not None:
        return [with_example(task) for task in _embedded(data).values()]
    listed: list[Listed] = []
    broken: list[OpenflanError] = []
    for found in reach(data, submixture):
        try:
            listed.append(of_task(found.open()))
        except OpenflanError as error:
            broken.append(error)
    if broken and not listed:
        more = (
            f"; {len(broken) - 1} more cannot be read either: `openflan tasks check --data {data}` says why"
            if len(broken) > 1
            else ""
        )
        raise InputError(f"{broken[0]}{more}")
    if broken:
        typer.echo(
            f"{len(broken)} tasks cannot be read; `openflan tasks check --data {data}` says why", err=True
        )
    return listed


def _embedded_data(data: Path | None) -> list[EmbeddedData]:
    """What `data` names; without it, the data of every embedded source by its usual seed."""
    named = parse_data(data) if data is not None else None
    return [named] if named else [EmbeddedData(source, source.seed) for source in SOURCES]


def _embedded(data: Path | None = None) -> dict[str, Task]:
    """All tasks of the embedded data that `data` names, or of all without it, by name."""
    return {
        name: task
        for embedded in _embedded_data(data)
        for submixture in embedded.source.submixtures
        for name, task in embedded_tasks(submixture, embedded).items()
    }


def _embedded_task(name: str, data: Path | None) -> Task:
    """Raises InputError for a task of the collection, with what to fetch, and for an unknown one, with the
    nearest name."""
    embedded = _embedded(data)
    if found := _matching(list(embedded), name):
        return embedded[found]
    try:
        entry = resolve(name)
    except InputError:
        near = did_you_mean(name, [*embedded, *(full.partition("/")[2] for full in embedded)])
        if near and name.partition("/")[0] not in SUBMIXTURES:
            raise InputError(f"no task `{name}`{near}") from None
        raise
    raise InputError(f"the rows of {entry.name} do not come with openflan: {how_to_get(entry)}")


def _task_of(data: Path, name: str) -> Task:
    """Opens one task only."""
    submixture = name.partition("/")[0] if "/" in name else None
    there = {task.name: task for task in reversed(reach(data, submixture))}
    wanted = real_name(name)
    if found := _matching(list(there), wanted):
        return there[found].open()
    if wanted in catalogue():
        raise InputError(f"{data}: no rows of {wanted}; {how_to_get(resolve(wanted))}")
    raise InputError(
        f"{data}: no task `{name}`{did_you_mean(name, there) or '; it has ' + ', '.join(sorted(there)[:5])}"
    )


def _matching(names: Sequence[str], wanted: str) -> str | None:
    """The full name that is wanted, or the only one whose last part is."""
    if wanted in names:
        return wanted
    bare = [name for name in names if name.partition("/")[2] == wanted]
    if len(bare) > 1:
        raise InputError(f"`{wanted}` is not unique: write one of {', '.join(bare)}")
    return bare[0] if bare else None
