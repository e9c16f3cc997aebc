"""`openflan mixture` for a recipe whose data is not all here: its tasks and shares from the catalogue, and
exactly what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

from openflan.cli.output import next_command, print_counts, print_json, print_table
from openflan.mixture.offline import Missing, Offline, Planned, Sum, offline_ledger, without_data
from openflan.mixture.rates import relative_rates
from openflan.recipe.schema import Mixture, Recipe
from openflan.tasks.places import only_local
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task

_NAMED = 5
"""Missing tasks that are named one by one; the rest are counted."""


def offline(arguments: Sequence[str], recipe: Recipe, as_json: bool) -> None:
    """Print the offline ledger of a recipe; `arguments` are the recipe's name and overrides on the command
    line."""
    ledger = offline_ledger(recipe.mixture, open_here(recipe.mixture))
    rates = recipe.mixture.rates if isinstance(recipe.mixture.rates, str) else relative_rates(recipe.mixture)
    if as_json:
        print_json({"recipe": recipe.name, "offline": True, "rates": rates} | ledger.described)
        return
    print_table(
        f"{recipe.name}: {len(ledger.tasks):,} tasks, counted from the catalogue where their rows are not "
        "here",
        ["task", "category", "rows", "from", "cap", "counted", "share %", "epochs"],
        [
            [
                task.task,
                task.category,
                "unknown" if task.rows is None else task.rows,
                _from(task),
                task.cap,
                task.weight,
                100 * task.share,
                task.epochs,
            ]
            for task in ledger.tasks
        ],
    )
    _print_sums("categories", ledger.categories)
    if [group.name for group in ledger.groups] != [group.name for group in ledger.submixtures]:
        _print_sums("groups", ledger.groups)
    _print_sums("submixtures", ledger.submixtures)
    _print_notes(recipe, ledger, rates)
    print_left_out({"task": left.task, "reason": left.reason} for left in ledger.left_out)
    for missing in ledger.missing:
        _print_missing(missing)
    missing_data = [f"mixture.submixtures.{name}.data=PATH" for name in without_data(recipe.mixture)]
    next_command("finetune", *arguments, *missing_data, fill="PATH")


def open_here(mixture: Mixture) -> dict[str, dict[str, Task]]:
    """The opened tasks of every submixture whose rows are on this machine; what stands on the hub is left
    there.

    Raises InputError for data that is stated but not there, and for a submixture without data that is not of
    the collection.
    """
    absent = set(without_data(mixture))
    return {
        name: open_submixture(name, only_local(submixture.data))
        for name, submixture in mixture.submixtures.items()
        if name not in absent and only_local(submixture.data) != ()
    }


def print_left_out(left_out: Iterable[Mapping[str, Any]]) -> None:
    """How many tasks are left out for each reason; `left_out` as in the ledger, names are in its JSON."""
    print_counts(
        "tasks left out",
        {
            f"({reason})": count
            for reason, count in Counter(left["reason"] for left in left_out).most_common()
        },
    )


def _print_sums(title: str, totals: tuple[Sum, ...]) -> None:
    print_table(
        title,
        [title, "tasks", "here", "rows", "counted", "share %", "epochs"],
        [
            [total.name, total.tasks, total.here, _rows(total), total.weight, 100 * total.share, total.epochs]
            for total in totals
        ],
    )


def _from(task: Planned) -> str:
    """Where the number of rows is from."""
    return "data" if task.here else "-" if task.rows is None else "catalogue"


def _rows(total: Sum) -> int | str:
    if not total.unknown:
        return total.rows
    return f"{total.rows:,} + unknown" if total.rows else "unknown"


def _print_notes(recipe: Recipe, ledger: Offline, rates: str | Mapping[str, float] | None) -> None:
    rated = (
        rates
        if isinstance(rates, str)
        else "by capped size"
        if rates is None
        else "as the recipe states them"
    )
    typer.echo(f"rates: {rated}; counted: rows, at most the cap")
    if ledger.assumed:
        names = ", ".join(task.task for task in ledger.assumed)
        caps = ", ".join(f"{weight:,}" for weight in sorted({task.weight for task in ledger.assumed}))
        typer.echo(f"rows unknown, so that each counts as much as its cap ({caps}): {names}")
    typer.echo(
        f"epochs: of a task's rows, and for sums of the rows that count, in {ledger.examples:,} "
        "examples, which is all that is counted; "
        f"how many examples {recipe.training.steps:,} steps hold is measured once data and tokenizer are "
        "here"
    )
    task, examples = ledger.first_repeated
    if task:
        typer.echo(f"first to be repeated: {task}, after {examples:,} examples")
    if recipe.mixture.drop_overlaps is not None:
        typer.echo("overlaps are not dropped from these counts")


def _print_missing(missing: Missing) -> None:
    count = (
        f"all {len(missing.tasks):,} tasks"
        if missing.all_of_it
        else f"{len(missing.tasks):,} task{'s' * (len(missing.tasks) > 1)}"
    )
    names = (
        ""
        if missing.all_of_it
        else f" ({', '.join(missing.tasks[:_NAMED])}{', ...' if len(missing.tasks) > _NAMED else ''})"
    )
    typer.echo(f"missing: {count} of {missing.submixture}{names}; give them with {missing.override}")
    typer.echo(f"  {missing.get}")
