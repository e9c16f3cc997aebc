"""Tables of `openflan tasks`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer

from openflan.cli.output import cell, print_json, print_table
from openflan.tasks.catalogue import SUBMIXTURES, Counts


def print_counted(counted: Counts, as_json: bool) -> None:
    """Prints the table of submixtures, the paper's figures beside those of the catalogue, and a sentence for
    each difference."""
    if as_json:
        print_json(asdict(counted))
        return
    counts = [*counted.submixtures, counted.total]
    print_table(
        "the collection",
        ["submixture", "tasks", "paper", "datasets", "categories", "languages", "inverted forms", "held out"],
        [
            [
                SUBMIXTURES[count.submixture].title if count.submixture in SUBMIXTURES else count.submixture,
                count.tasks,
                count.paper_tasks,
                count.datasets,
                count.categories,
                count.languages,
                count.variants,
                count.held_out,
            ]
            for count in counts
        ],
    )
    print_table(
        "beside the paper",
        ["figure", "catalogue", "paper", "difference"],
        [
            [difference.figure, difference.ours, difference.paper, difference.ours - difference.paper]
            for difference in counted.differences
        ],
    )
    for difference in counted.differences:
        typer.echo(f"{difference.figure}: {difference.why}\n")


def print_lines(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a table of any length with one line for each row. Lines are never folded, so that links can be
    copied; to fit thousands of rows to the terminal's width would take seconds."""
    texts = [[cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    numeric = [
        bool(rows) and all(isinstance(row[column], int | None) for row in rows)
        for column in range(len(columns))
    ]
    typer.echo(title)
    lines = [list(columns), *texts]
    typer.echo("\n".join(_line(line, widths, numeric) for line in lines))


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    return "  ".join(
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(cells, widths, numeric, strict=True)
    ).rstrip()
