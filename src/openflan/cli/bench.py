"""`openflan bench`."""

from __future__ import annotations

import typer

from openflan.cli.output import print_json
from openflan.errors import InputError, did_you_mean
from openflan.models.device import HELP as DEVICE_HELP
from openflan.models.device import choose_device
from openflan.models.quiet import quiet_libraries

_DEFAULT_SHAPES = {
    "cpu": ("tiny-t5", "tiny-llama"),
    "cuda": ("t5-base", "llama-1b"),
    "mps": ("tiny-t5", "tiny-llama"),
}
"""The shapes by kind of device, if none is named: those of a GPU fit into 24 GB."""


def bench(
    shape: list[str] = typer.Option(
        [],
        help=(
            "The size of a random model: tiny-t5, t5-small, t5-base, t5-xl, tiny-llama, "
            "llama-135m, llama-1b or llama-8b. May be repeated. Default: t5-base and llama-1b on a CUDA GPU, "
            "else the tiny ones."
        ),
    ),
    arm: list[str] = typer.Option(
        [],
        help="A way of training, as the table names it, such as 'flat'. May be repeated. Default: five.",
    ),
    device: str | None = typer.Option(None, help=DEVICE_HELP),
    peak: float | None = typer.Option(
        None, help="The device's peak in TFLOP/s, for dense bfloat16. Known for A100, H100 and H200 (SXM)."
    ),
    rounds: int = typer.Option(
        2, min=1, help="How often each way is measured, after one time that does not count."
    ),
    steps: int = typer.Option(3, min=1, help="The measured steps of a round."),
    minutes: float = typer.Option(5.0, min=0.01, help="After this time no further round begins."),
    generation: bool = typer.Option(
        True, "--generation/--no-generation", help="Also measure generated tokens per second, or do not."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Measure how fast this machine trains and generates, and print a table that can be pasted.

    Models have random weights, and documents have the lengths of chain-of-thought rows. Ways of training
    alternate over the same documents: flat buffers, batches grouped by length, packed rows as other trainers
    have them, weights in bfloat16 and in float32, and LoRA. MFU is the share of the device's peak that the
    documents' arithmetic takes. Peak memory stands beside the estimate that `openflan mixture` prints.

    Examples: `openflan bench`, `openflan bench --shape llama-8b --arm flat --arm 'LoRA, flat'`
    """
    if peak is not None and not peak > 0:
        raise InputError(f"--peak {peak:g}: expected a number above 0, such as 989 for an H100")
    kind = choose_device(device).type
    quiet_libraries()
    from openflan.speed.arms import ARMS
    from openflan.speed.measure import Plan, measure
    from openflan.speed.shapes import SHAPES
    from openflan.speed.table import as_json as json_of
    from openflan.speed.table import table_of

    for name, names, option in [
        *((one, SHAPES, "--shape") for one in shape),
        *((one, ARMS, "--arm") for one in arm),
    ]:
        if name not in names:
            raise InputError(
                f"{option} {name}: not known{did_you_mean(name, names) or '; there is ' + ', '.join(names)}"
            )
    plan = Plan(
        tuple(shape) or _DEFAULT_SHAPES[kind],
        tuple(arm),
        rounds=rounds,
        steps=steps,
        minutes=minutes,
        peak=peak,
        generation=generation,
    )
    machine, rows = measure(plan, device, lambda text: typer.echo(text, err=True))
    if as_json:
        print_json(json_of(machine, rows))
    else:
        typer.echo(table_of(machine, rows))
