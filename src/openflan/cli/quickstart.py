"""`openflan quickstart`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import next_command, print_json, print_table
from openflan.errors import SetupError
from openflan.models.quiet import quiet_libraries


def quickstart(
    run: Path = typer.Option(Path("runs/quickstart"), help="The run folder."),
    seed: int = typer.Option(
        0,
        help=(
            "The seed of finetuning: it sets the order of examples, the wordings and random weights. "
            "The questions stay the same."
        ),
    ),
    restart: bool = typer.Option(False, help="Remove the contents of the run folder and start again."),
    as_json: bool = typer.Option(
        False, "--json", help="Print one JSON value on standard output: the contents of summary.json."
    ),
) -> None:
    """Run the whole path offline on the embedded world: finetune a small model, evaluate it before and after,
    and write a report.

    Examples:

    openflan quickstart

    openflan quickstart --seed 1 --run runs/quickstart-1
    """
    from openflan.run_folder import Run, remove_run

    if restart:
        remove_run(Run(run))
    quiet_libraries()
    from openflan.microflan.quickstart import quickstart as walk
    from openflan.reports.html import write_report

    summary = walk(run, lambda text: typer.echo(text, err=True), seed)
    report = write_report(Run(run))
    figure = _figure(summary, run / "groups.svg")
    if as_json:
        print_json(summary)
        return
    arms = ("before", "after", "random_init")
    rows = [
        [
            name,
            summary["before"]["groups"][name]["n"],
            summary["before"]["groups"][name]["chance"],
            *(summary[arm]["groups"][name]["accuracy"] for arm in arms),
        ]
        for name in summary["before"]["groups"]
    ]
    print_table("held-out accuracy, %", ["group", "n", "chance", "before", "after", "random init"], rows)
    gain, (low, high) = summary["gain"]["normalized"], summary["gain"]["ci95"]
    typer.echo(
        f"gain over the base, normalized by chance, mean of the groups: {gain:+.1f} points (95 % "
        f"interval {low:+.1f} to {high:+.1f}, over items)"
    )
    typer.echo(f"report: {report}")
    if figure:
        typer.echo(f"figure: {figure}")
    next_command("generate", run, "What is the sport of Ann?")


def _figure(summary: Mapping[str, Any], path: Path) -> Path | None:
    """Draws the groups, where matplotlib is installed."""
    from openflan.microflan.quickstart_figure import draw_groups

    try:
        draw_groups([summary], path)
    except SetupError:
        return None
    return path
