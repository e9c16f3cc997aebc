"""`openflan report`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from openflan.cli.output import print_json, print_table
from openflan.run_folder import Run, find_run


def report(
    run: Path = typer.Argument(
        help="A run folder, such as runs/quickstart, or the folder that `openflan evaluate` wrote."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Print a run's settings, training and scores as tables, and write them to report.html in its folder. For
    a model that was only evaluated, print its scores.

    Example: `openflan report runs/quickstart`
    """
    from openflan.reports.gather import gather
    from openflan.reports.html import write_report
    from openflan.reports.tables import absent, all_tables, gain

    opened_run = Run(run) if (run / "scores.json").is_file() else find_run(run)
    gathered = gather(opened_run)
    written = write_report(opened_run, gathered)
    if as_json:
        tables = {table.name: asdict(table) for table in all_tables(gathered)}
        headline_gain = gain(gathered)
        headline = (
            None if headline_gain is None else {**asdict(headline_gain[1]), "mean_of": headline_gain[0]}
        )
        print_json(
            {
                "name": gathered.name,
                "report": str(written),
                "gain": headline,
                "tables": tables,
                "absent": absent(gathered),
            }
        )
        return
    if headline_gain := gain(gathered):
        typer.echo(
            f"gain over the base, normalized by chance, mean of the {headline_gain[0]}: "
            f"{headline_gain[1].normalized:+.1f} points\n"
        )
    for table in all_tables(gathered):
        print_table(table.title, table.columns, table.rows)
        if table.note:
            typer.echo(f"{table.note}\n")
    for sentence in absent(gathered):
        typer.echo(sentence)
    typer.echo(f"report: {written}")
