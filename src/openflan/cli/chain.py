"""`openflan run`."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from openflan.cli.output import next_command
from openflan.models.device import HELP as DEVICE_HELP
from openflan.models.device import check_device_name
from openflan.models.quiet import quiet_libraries
from openflan.recipe.chain_steps import chain_path, load_chain
from openflan.run_folder import remove_run


def run(
    chain: str = typer.Argument(help="A YAML list of steps, or the name of a packaged chain."),
    overrides: list[str] | None = typer.Argument(
        None,
        metavar="[N.KEY=VALUE ...]",
        help="New values for keys of the recipe of step N; N counts from 1.",
    ),
    folder: Path | None = typer.Option(
        None,
        "--run",
        help=(
            "The folder for the runs of the steps. Default: runs/NAME, where NAME is the name of the "
            "chain's file."
        ),
    ),
    device: str | None = typer.Option(None, help=DEVICE_HELP),
    restart_from: int | None = typer.Option(
        None,
        min=1,
        help=("Remove the runs of this step and of all later steps, and start there. 1 removes all runs."),
    ),
) -> None:
    """Train several recipes one after another; each starts from the model of the one before. If you run the
    same command again, it continues where it stopped.

    A chain is a list of steps. `set:` gives new values to keys of a step's recipe; paths are relative to the
    folder of the chain's file:

        - pretrain: lm-adapt-t5
          set: { pretraining.data: texts/, training.steps: 2_000 }
        - finetune: flan-t5-small

    Every step is a numbered run in the chain's folder. `openflan report`, `generate` and `evaluate` accept
    it.

    Examples:

    `openflan run chains/mine.yaml`

    `openflan run lm-adapt-flan-t5-small 1.pretraining.data=texts/ 2.mixture.submixtures.cot.data=DIR`
    """
    path = chain_path(chain)
    run_folder = folder or Path("runs") / path.stem
    check_device_name(device)
    steps = load_chain(path, run_folder, overrides or [])
    quiet_libraries()
    from openflan.run_chain import forget_from, run_chain
    from openflan.training.distributed import leave_distributed

    is_main = os.environ.get("RANK", "0") == "0"
    if restart_from is not None and is_main:
        for later_run in forget_from(steps, run_folder, restart_from):
            remove_run(later_run)
    try:
        model = run_chain(
            steps,
            run_folder,
            notice=lambda text: typer.echo(text, err=True) if is_main else None,
            device=device,
        )
    finally:
        leave_distributed()
    if is_main:
        typer.echo(f"model: {model}")
        next_command("generate", model.parent, "Is the sky green?")
