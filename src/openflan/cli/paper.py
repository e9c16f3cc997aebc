"""`openflan paper`: the tables of the paper as data."""

from __future__ import annotations

import csv
import sys

import typer

from openflan.cli.output import next_command, print_json, print_table
from openflan.errors import InputError
from openflan.evaluation.paper import paper_models
from openflan.evaluation.printed_tables import LAST, contents_of, printed_table

app = typer.Typer(
    help="Print the tables of the paper as data: as a table, CSV or JSON.", no_args_is_help=True
)

_JSON = typer.Option(False, "--json", help="Print one JSON value on standard output.")


@app.command("table")
def table(
    number: int = typer.Argument(metavar="NUMBER", help=f"The number of the table, 1 to {LAST}."),
    as_csv: bool = typer.Option(
        False, "--csv", help="Print comma-separated values. Source and misprints go to standard error."
    ),
    as_json: bool = _JSON,
) -> None:
    """Print a table of the paper with its source and its known misprints.

    Figures are as printed. A table whose cells are not packaged is refused with the reason.

    Example: `openflan paper table 5 --csv`
    """
    if as_csv and as_json:
        raise InputError("`--csv` and `--json` are two forms of one answer: leave one out")
    printed = printed_table(number)
    if as_json:
        print_json(printed.to_json())
        return
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(printed.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in printed.rows)
    else:
        rows = [[_as_printed(cell) for cell in row] for row in printed.rows]
        print_table(f"Table {number}: {printed.title}", printed.columns, rows)
    for line in (printed.note, *(f"misprint: {text}" for text in printed.misprints)):
        if line:
            typer.echo(line, err=as_csv)
    typer.echo(f"source: {printed.source}", err=as_csv)


@app.command("list")
def list_(as_json: bool = _JSON) -> None:
    """List the tables, and the names that `openflan compare RUN paper:NAME` takes.

    Example: `openflan paper list`
    """
    contents = {number: contents_of(number) for number in range(1, LAST + 1)}
    if as_json:
        print_json({"tables": contents, "models": paper_models()})
        return
    print_table("", ["table", "contents"], [[str(number), text] for number, text in contents.items()])
    typer.echo(f"models: {', '.join(paper_models())}")
    next_command("paper", "table", "NUMBER", fill="NUMBER")


def _as_printed(cell: str | int | float | None) -> str | int | float | None:
    """A large or small figure in the form of the paper (`2.5e+24`), as the table of other figures would show
    twenty-five digits."""
    return f"{cell:.1e}" if isinstance(cell, float) and cell and not 1e-2 <= abs(cell) < 1e6 else cell
