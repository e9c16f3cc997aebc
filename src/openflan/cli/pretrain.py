"""`openflan pretrain`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import next_command, print_json
from openflan.cli.print_ledger import print_estimates
from openflan.models.device import HELP as DEVICE_HELP
from openflan.models.estimate import DEVICES, MFU
from openflan.models.hardware import check_device_options, hardware_from_options
from openflan.models.quiet import quiet_libraries
from openflan.recipe.load_recipe import load_pretrain_recipe
from openflan.run_folder import Run, remove_run

_SHOWN = 5
"""Added tokens that are listed one by one."""


def pretrain(
    recipe: str = typer.Argument(help="A recipe file with `pretraining:`, or the name of a packaged one."),
    overrides: list[str] | None = typer.Argument(
        None, metavar="[KEY=VALUE ...]", help="New values for keys of the recipe."
    ),
    run: Path | None = typer.Option(None, help="The run folder. Default: runs/NAME."),
    strict: bool = typer.Option(
        False,
        "--strict",
        help="Stop if the model cannot train on packed sequences, instead of padding its pieces.",
    ),
    restart: bool = typer.Option(False, help="Remove the contents of the run folder and start again."),
    allow_changes: bool = typer.Option(
        False,
        "--allow-changes",
        help=(
            "Continue from the newest checkpoint although the recipe or the data changed. "
            "provenance.json records the changes."
        ),
    ),
    plan: bool = typer.Option(
        False,
        "--plan",
        help="Do not train. Print what the recipe would read, and the estimated memory and time.",
    ),
    device: str | None = typer.Option(
        None, help=f"{DEVICE_HELP} With --plan: the device of the estimate, {', '.join(DEVICES)}."
    ),
    device_tflops: float | None = typer.Option(
        None, help="For the estimate: the peak rate of a device in TFLOP/s, for dense bfloat16."
    ),
    devices: int = typer.Option(1, min=1, help="For the estimate: the number of devices."),
    mfu: float = typer.Option(
        MFU, help="For the estimate: the share of the peak rate that training reaches."
    ),
    as_json: bool = typer.Option(
        False, "--json", help="With --plan: print one JSON value on standard output."
    ),
) -> None:
    """Continue pretraining on plain text, before finetuning. If you run the same command again, it continues
    where it stopped.

    The recipe's `pretraining.objective` says what the model learns to predict:

    - `span-corruption` (T5): spans of three tokens on average, which sentinels replace in the inputs.
    - `prefix-lm` (LM adaptation): the rest of a text, after a random position.
    - `causal-lm` (PaLM): every token, from the tokens before it.
    - `ul2`: seven denoisers with short spans, long spans or a prefix; a mode token announces each.
    - `ul2r` (U-PaLM): half of the examples prefix, a quarter short spans, a quarter long or many spans.

    Text is .txt, .jsonl (the field `text`), .parquet or .arrow files, folders of them, or `hub:OWNER/NAME`.
    Tokens that the tokenizer lacks are added and exported with the model. `openflan finetune RECIPE
    model.base=runs/NAME/model` starts from that model; `openflan run` does both steps.

    Examples:

    `openflan pretrain lm-adapt-t5 pretraining.data=texts/ training.steps=1000 training.batch_size=32`

    `openflan pretrain ul2r-palm-8b pretraining.data=texts/ --plan --device h100 --devices 8`

    `torchrun --nproc-per-node 8 -m -- openflan pretrain recipes/mine.yaml`
    """
    hardware = hardware_from_options(device if plan else None, device_tflops, devices, mfu)
    if not plan:
        check_device_options(device, device_tflops, devices, mfu, "with --plan")
    loaded = load_pretrain_recipe(recipe, overrides or [])
    quiet_libraries()
    if plan:
        from openflan.training.pretrain import survey_documents

        ledger = survey_documents(loaded, hardware=hardware)
        print_json(ledger) if as_json else _print(loaded.name, ledger, loaded.training.steps)
        return
    folder = Run(run or Path("runs") / loaded.name)
    main = os.environ.get("RANK", "0") == "0"
    if restart and main:
        remove_run(folder)
    from openflan.training.distributed import leave_distributed
    from openflan.training.pretrain import pretrain as train

    try:
        train(loaded, folder, strict=strict, allow_changes=allow_changes, device=device)
    finally:
        leave_distributed()
    if main:
        typer.echo(f"model: {folder.model}")
        next_command("finetune", "RECIPE", f"model.base={folder.model}", fill="RECIPE")


def _print(name: str, ledger: Mapping[str, Any], steps: int) -> None:
    measured = ledger["measured"]
    sides = (
        ""
        if measured["fill_inputs"] is None
        else f" (inputs {measured['fill_inputs']:.1%}, targets {measured['fill_targets']:.1%})"
    )
    typer.echo(
        f"{name}: {ledger['objective']} on {ledger['documents']:,} documents, {ledger['epochs']:,.3g} "
        f"epochs in {steps:,} steps"
    )
    typer.echo(
        f"held back: {ledger['held_back']:,}; pieces of up to {ledger['piece_length']:,} tokens; "
        f"{_added(ledger['added_tokens'])}"
    )
    typer.echo(
        f"first {measured['documents']:,} documents: {measured['tokens']:,} tokens in "
        f"{measured['pieces']:,} pieces and {measured['rows']:,} rows, "
        f"{measured['fill']:.1%} full{sides}"
    )
    for denoiser, share in measured["denoisers"].items():
        typer.echo(f"  {share:6.1%}  {denoiser}")
    print_estimates(ledger["estimates"], steps)


def _added(tokens: list[str]) -> str:
    names = ", ".join(tokens) if len(tokens) <= _SHOWN else f"{tokens[0]}, {tokens[1]}, ..., {tokens[-1]}"
    return f"tokens added: {names} ({len(tokens):,})" if tokens else "no token added"
