"""`openflan runs`."""

from __future__ import annotations

from pathlib import Path

import typer

from openflan.cli.output import print_json, print_table
from openflan.run_list import ListedRun, ListedScore, list_runs

_UNITS = ("B", "kB", "MB", "GB")


def runs(
    folder: Path = typer.Argument(Path("runs"), help="The folder that holds run folders, or one of them."),
    as_json: bool = typer.Option(
        False, "--json", help="Print one JSON value on standard output: a list of runs, sizes in bytes."
    ),
) -> None:
    """List runs and evaluated models: state, step, best score and sizes.

    A run is finished, running (a process trains it now), being evaluated, stopped at the step of its newest
    checkpoint, or not started. The best score is the highest average of a complete evaluation; a partial one
    stands there only where there is no other, and is marked.

    Example: `openflan runs runs`
    """
    listed = list_runs(folder)
    if as_json:
        print_json([run.to_json() for run in listed])
        return
    if not listed:
        typer.echo(f"no runs in {folder}")
        return
    print_table(
        f"{folder}: {len(listed):,} run{'' if len(listed) == 1 else 's'}",
        ["run", "state", "best score", "size", "model", "checkpoints"],
        [_cells(folder, run) for run in listed],
    )


def _cells(folder: Path, run: ListedRun) -> list[str]:
    name = run.folder.name if run.folder == folder else run.folder.relative_to(folder).as_posix()
    return [
        name,
        _state(run),
        _score(run.best),
        *map(_size, (run.size, run.model_size, run.checkpoints_size)),
    ]


def _state(run: ListedRun) -> str:
    """The state with the steps: `stopped at step 50 of 100`, `running, step 70 of 100`."""
    if run.step is None:
        return run.state
    of = "" if run.steps is None else f" of {run.steps:,}"
    return f"{run.state}{of}" if run.state.startswith("stopped") else f"{run.state}, step {run.step:,}{of}"


def _score(score: ListedScore | None) -> str:
    if score is None:
        return "-"
    partial = ", partial" if score.partial else ""
    return f"{score.average:.2f} {score.benchmark} ({score.model}{partial})"


def _size(size: int) -> str:
    """A number of bytes with at most three digits before its unit; `-` for none."""
    if not size:
        return "-"
    value, unit = float(size), 0
    while value >= 1_000 and unit < len(_UNITS) - 1:
        value, unit = value / 1_000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if value >= 10 or not unit else f"{value:.1f} {_UNITS[unit]}"
