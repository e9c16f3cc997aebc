"""`openflan mixture`."""

from __future__ import annotations

import typer

from openflan.cli.output import next_command, print_counts, print_json, print_table
from openflan.models.quiet import quiet_libraries
from openflan.recipe.load import load_recipe


def mixture(
    recipe: str = typer.Argument(help="A recipe file or packaged recipe."),
    overrides: list[str] | None = typer.Argument(None, metavar="[KEY=VALUE ...]", help="Overrides of the recipe's keys."),
    as_json: bool = typer.Option(False, "--json", help="One JSON value on standard output."),
) -> None:
    """The ledger: what the mixture gives each task, before any training.

    Example: `openflan mixture recipes/mine.yaml training.steps=2000`
    """
    loaded = load_recipe(recipe, overrides or [])
    quiet_libraries()
    from openflan.training.finetune import survey

    ledger = survey(loaded)
    if as_json:
        print_json(ledger)
        return
    measured = ledger["measured"]
    columns = ["task", "category", "rows", "cap", "share %", "passes"]
    print_table(
        f"{loaded.name}: {len(ledger['tasks'])} tasks, {ledger['examples']:,} examples in {loaded.training.steps:,} steps",
        columns,
        [[row["task"], row["category"], row["rows"], row["cap"], 100 * row["share"], row["passes"]] for row in ledger["tasks"]],
    )
    print_table("submixtures", ["submixture", "tasks", "rows", "share %"], [[*list(row.values())[:3], 100 * row["share"]] for row in ledger["submixtures"]])
    sides = "" if measured["fill_inputs"] is None else f" ({measured['fill_inputs']:.1%} of inputs, {measured['fill_targets']:.1%} of targets)"
    typer.echo(
        f"packing, measured on {measured['examples']:,} examples: {measured['examples_per_row']:.1f} examples a row, {measured['fill']:.1%} filled{sides}"
    )
    print_counts("formats", measured["formats"])
    print_counts("of these", measured["counts"])
    next_command(f"openflan finetune {recipe}")
