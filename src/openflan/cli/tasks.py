"""`openflan tasks`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import next_command, print_json, print_table
from openflan.errors import InputError
from openflan.tasks.cot import DATASETS
from openflan.tasks.sources import EMBEDDED, open_submixture
from openflan.tasks.task import Task, select
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import load_wordings, packaged_wordings, wordings_for

app = typer.Typer(help="Browse tasks and see how they are rendered.", no_args_is_help=True)

_DATA: Path | None = typer.Option(None, help="Folder or file with rows: *_train.tsv, task*.json or *.jsonl. Without it: the embedded world.")
_JSON = typer.Option(False, "--json", help="One JSON value on standard output.")


@app.command("list")
def list_(
    data: Path | None = _DATA,
    submixture: str | None = typer.Option(None, help="Only this submixture."),
    category: str | None = typer.Option(None, help="Only categories that hold this text."),
    as_json: bool = _JSON,
) -> None:
    """List tasks: name, category, rows, fields, held out or not.

    Example: `openflan tasks list --submixture microflan`
    """
    found = [
        task
        for task in _open(data, submixture).values()
        if (submixture is None or task.submixture == submixture) and (category is None or category.lower() in task.category)
    ]
    if as_json:
        print_json([_described(task) for task in found])
        return
    print_table(
        f"{len(found)} tasks in {len({task.category for task in found})} categories",
        ["task", "category", "rows", "fields", "held out"],
        [[task.name, task.category, len(task.rows), " ".join(sorted(task.fields)), task.held_out or ""] for task in found],
    )
    next_command("openflan tasks show TASK --style few-shot")


@app.command("show")
def show(
    name: str = typer.Argument(metavar="TASK", help="A task, such as cot/gsm8k."),
    style: str = typer.Option("zero-shot", help="zero-shot or few-shot, then -cot for chains of thought, -no-options to hide options."),
    data: Path | None = _DATA,
    wordings: Path | None = typer.Option(None, help="A YAML file of wordings that comes before the packaged ones."),
    index: int = typer.Option(0, min=0, help="The row, from 0."),
    number: int = typer.Option(1, "--number", "-n", min=1, help="How many rows, from that one."),
    shots: int | None = typer.Option(None, min=1, help="Exemplars of a few-shot example; drawn (2, 3 or 5) if absent."),
    seed: int = typer.Option(0, min=0, help="The run's seed."),
    as_json: bool = _JSON,
) -> None:
    """Print rendered examples of a task, each with where it came from.

    Example: `openflan tasks show cot/gsm8k --style few-shot-cot --data FOLDER`
    """
    wanted = Style.parse(style)
    (task,) = select(_open(data, name.partition("/")[0] if "/" in name else None), [name]).values()
    if index + number > len(task.rows):
        raise InputError(f"{task.name} has {len(task.rows):,} rows; --index {index} -n {number} goes beyond")
    own = load_wordings(wordings) if wordings else []
    renderer = Renderer(task, wordings_for(task.name, task.fields, [*own, *packaged_wordings()]))
    shown = [renderer.render(row, wanted, seed, position=row, shots=shots) for row in range(index, index + number)]
    if as_json:
        print_json([{"inputs": one.inputs, "targets": one.targets, "answer": one.answer, **one.provenance()} for one in shown])
        return
    for one in shown:
        typer.secho("inputs", bold=True)
        typer.echo(one.inputs)
        typer.secho("targets", bold=True)
        typer.echo(one.targets)
        typer.secho("from", bold=True)
        for key, value in one.provenance().items():
            if value not in (None, []):
                typer.echo(f"  {key}: {value!r}" if isinstance(value, str) and "\n" in value else f"  {key}: {value}")
        if one.style != wanted:
            typer.echo(f"  ({task.name} has no {wanted.name} form; this is the nearest)", err=True)
        typer.echo()


@app.command("check")
def check(data: Path | None = _DATA, as_json: bool = _JSON) -> None:
    """Open every task that can be reached, render one row of each, and say what works, what is missing and what is broken.

    Example: `openflan tasks check --data FOLDER`
    """
    results = [_checked(task) for task in _open(data, None).values()]
    if any(row["task"].startswith("cot/") for row in results):
        present = {row["task"] for row in results}
        results += [
            {"task": f"cot/{name}", "status": "missing", "detail": f"put {name}_train.tsv into {data}"} for name in DATASETS if f"cot/{name}" not in present
        ]
    if as_json:
        print_json(results)
    else:
        counts = Counter(row["status"] for row in results)
        print_table(", ".join(f"{number} {status}" for status, number in counts.items()), ["task", "status", "detail"], [list(row.values()) for row in results])
    if any(row["status"] == "broken" for row in results):
        raise typer.Exit(1)


def _checked(task: Task) -> dict[str, str]:
    try:
        example = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings())).render(0, Style(), seed=0, position=0)
    except InputError as error:
        return {"task": task.name, "status": "broken", "detail": str(error)}
    return {"task": task.name, "status": "works", "detail": f"{len(task.rows):,} rows; first answer: {example.answer[:40]}"}


def _open(data: Path | None, submixture: str | None) -> dict[str, Task]:
    if data is not None:
        cot = data.suffix == ".tsv" or (data.is_dir() and any(data.glob("*_train.tsv")))
        return open_submixture("cot" if cot else submixture or "own", data)
    if submixture is not None and submixture not in EMBEDDED:
        raise InputError(f"the rows of `{submixture}` do not come with openflan; name their folder with --data")
    return {name: task for embedded in EMBEDDED.values() for name, task in embedded().items()}


def _described(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "submixture": task.submixture,
        "dataset": task.dataset,
        "category": task.category,
        "rows": len(task.rows),
        "fields": sorted(task.fields),
        "languages": list(task.languages),
        "licence": task.licence,
        "held_out": task.held_out,
    }
