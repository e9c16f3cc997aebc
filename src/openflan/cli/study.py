"""The command `openflan study`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from openflan.cli.output import command_line, next_command, print_json, print_table
from openflan.cli.print_ledger import span
from openflan.errors import InputError
from openflan.models.device import HELP as DEVICE_HELP
from openflan.models.device import VARIABLE, choose_device
from openflan.models.estimate import DEVICES, MFU, Hardware
from openflan.models.hardware import check_device_options, hardware_from_options
from openflan.models.quiet import quiet_libraries

if TYPE_CHECKING:
    from openflan.studies.estimate import Planned
    from openflan.studies.run_study import Options
    from openflan.studies.study_schema import Study


def study(
    study: str = typer.Argument(help="A study file, or the name of a packaged study (see docs/studies.md)."),
    overrides: list[str] | None = typer.Argument(
        None, metavar="[KEY=VALUE ...]", help="New values for keys of the recipe, in every cell."
    ),
    out: Path | None = typer.Option(
        None, help="The folder for results and runs. Default: runs/studies/NAME."
    ),
    runs: Path | None = typer.Option(
        None,
        help=(
            "The folder for the runs of cells. Default: OUT/cells. If studies use the same folder, "
            "the runs that they share are trained once."
        ),
    ),
    workers: int | None = typer.Option(
        None,
        min=1,
        help=(
            "The number of cells that run at the same time, each in one process with one thread. "
            "Default: the number of cores, or 1 if there is a GPU."
        ),
    ),
    coarse: bool = typer.Option(False, "--coarse", help="Run only the first seed of every cell."),
    seeds: str | None = typer.Option(
        None, help="Seeds that replace those of the study, separated by commas."
    ),
    cells: str | None = typer.Option(
        None, help="The cells to run, as names or patterns separated by commas, such as 2M-50 or '*-seed0'."
    ),
    data: Path | None = typer.Option(
        None, help="The folder that contains bbh/, mmlu/ and so on, if the study uses published benchmarks."
    ),
    limit: int | None = typer.Option(None, min=1, help="Evaluate the first N rows of each task."),
    dev: bool = typer.Option(
        False,
        "--dev",
        help=(
            "Use the benchmark microflan-dev instead of microflan. Use this for every choice that you "
            "make before the final run."
        ),
    ),
    plan: bool = typer.Option(False, "--plan", help="Do not run. Print cells, steps and the estimated cost."),
    device: str | None = typer.Option(
        None,
        help=f"{DEVICE_HELP} With --plan: the device of the estimate, {', '.join(DEVICES)}. Default: cpu.",
    ),
    device_tflops: float | None = typer.Option(
        None, help="With --plan: the peak rate of a device in TFLOP/s, for dense bfloat16."
    ),
    devices: int = typer.Option(1, min=1, help="With --plan: the number of devices."),
    mfu: float = typer.Option(MFU, help="With --plan: the share of the peak rate that training reaches."),
    as_json: bool = typer.Option(
        False, "--json", help="Print one JSON value on standard output: the results, or the plan."
    ),
) -> None:
    """Run a grid of finetuning runs that answers a question. If you run the same command again, it continues
    where it stopped.

    The first seed of every cell runs before any second seed. Every finished cell adds a line to cells.jsonl.
    results.json, results.csv, README.md and figures summarise the finished cells, with intervals over seeds
    and over questions. They report the result of each hypothesis of the study.

    Examples:

    `openflan study tasks-and-size --plan`

    `openflan study tasks-and-size --out artifacts/studies/tasks-and-size`

    `openflan study mine.yaml training.steps=50 --coarse --cells '2M-*'`
    """
    from openflan.studies.load_study import load_study, on_dev, study_path

    path = study_path(study)
    loaded = on_dev(load_study(path)) if dev else load_study(path)
    if not plan:
        check_device_options(device, device_tflops, devices, mfu, "with --plan")
        if device is not None:
            # The processes of the cells read it.
            os.environ[VARIABLE] = device
    quiet_libraries()
    from openflan.studies.run_study import Options

    again = _again(
        overrides or [],
        {"--out": out, "--runs": runs, "--seeds": seeds, "--cells": cells, "--data": data, "--limit": limit},
        {"--coarse": coarse, "--dev": dev},
    )
    options = Options(
        overrides=tuple(overrides or ()),
        seeds=None if seeds is None else _numbers(seeds),
        workers=workers or _workers(),
        coarse=coarse,
        chosen=tuple(part for part in (cells or "").split(",") if part),
        data=data,
        limit=limit,
        command=command_line("study", study, *again),
        runs=runs,
    )
    if plan:
        hardware = hardware_from_options(
            device or (None if device_tflops else "cpu"), device_tflops, devices, mfu
        )
        _plan(path, loaded, options, hardware, as_json=as_json)
        if not as_json:
            next_command("study", study, *again)
    else:
        _run(path, loaded, options, out or Path("runs") / "studies" / loaded.name, as_json=as_json)


def _plan(path: Path, study: Study, options: Options, hardware: Hardware, *, as_json: bool) -> None:
    """Print the chosen cells with their steps and estimated cost."""
    from openflan.studies.cells import grid
    from openflan.studies.estimate import plan
    from openflan.studies.run_study import chosen_cells

    cells = chosen_cells(grid(study, path.parent, options.overrides, options.seeds), options)
    lines = plan(cells, hardware)
    if as_json:
        print_json({"study": study.name, "cells": [line.as_json() for line in lines]})
    else:
        _print_plan(f"{study.name}: {study.question}", lines, hardware, options.workers)


def _run(path: Path, study: Study, options: Options, folder: Path, *, as_json: bool) -> None:
    """Run the cells that have no result yet, and print the results of all finished cells."""
    from openflan.studies.run_study import run_study

    results = run_study(path, study, folder, options, lambda text: typer.echo(text, err=True))
    if as_json:
        print_json(results)
    else:
        _print_results(results, folder, options.runs or folder / "cells")


def _print_results(results: Mapping[str, Any], folder: Path, runs: Path) -> None:
    rows = [
        [
            direction["says"],
            direction["group"],
            direction["difference"],
            _ends(direction["ci95_seeds"]),
            _ends(direction["ci95_items"]),
            direction["verdict"],
        ]
        for direction in results["directions"]
    ]
    print_table("directions", ["direction", "group", "difference", "95 % over seeds", "over rows", ""], rows)
    typer.echo(f"results: {folder / 'README.md'}")
    first = next((path for path in sorted(runs.glob("*")) if (path / "recipe.yaml").is_file()), None)
    if first is not None:
        next_command("report", first)


def _print_plan(title: str, cells: Sequence[Planned], hardware: Hardware, workers: int) -> None:
    rows = [
        [
            line.cell,
            line.steps,
            None if line.parameters is None else line.parameters / 1e6,
            line.tokens / 1e6,
            None if line.flops is None else f"{line.flops:.1e}",
            "-" if line.seconds is None else span(line.seconds / hardware.devices),
            None if line.memory is None else line.memory / 1e9,
            "base is missing" if line.missing else "",
        ]
        for line in cells
    ]
    print_table(
        title, ["cell", "steps", "million parameters", "million tokens", "FLOPs", "time", "GB", ""], rows
    )
    seconds = [line.seconds for line in cells if line.seconds is not None]
    name = hardware.device.name if hardware.device else "device"
    at_once = workers if hardware.device == DEVICES["cpu"] else hardware.devices
    typer.echo(
        f"{len(cells)} cells, {sum(line.steps for line in cells):,} steps, "
        f"{sum(line.flops or 0 for line in cells):.1e} FLOPs: "
        f"{span(sum(seconds))} on {name} at {hardware.mfu:.0%} of "
        f"{hardware.device.tflops if hardware.device else 0:g} TFLOP/s, "
        f"{span(sum(seconds) / at_once)} on {at_once}"
    )
    if unknown := len([line for line in cells if line.seconds is None]):
        typer.echo(f"without {unknown} cells whose model is not here")
    typer.echo(
        "estimates for full rows and training alone; evaluation comes on top. time and GB: of a cell on "
        "all devices, and on each of them"
    )


def _again(overrides: Sequence[str], values: Mapping[str, object], flags: Mapping[str, bool]) -> list[str]:
    """The arguments after the study's name that give the same results. The number of cells at a time and the
    form of the output do not matter."""
    options = [text for name, value in values.items() if value is not None for text in (name, str(value))]
    return [*overrides, *options, *(name for name, is_set in flags.items() if is_set)]


def _numbers(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--seeds {text}: expected whole numbers with commas, such as 0,1,2") from None
    if len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise InputError(f"--seeds {text}: expected different numbers from 0 on")
    return seeds


def _workers() -> int:
    if choose_device().type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ends(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}"
