"""The command `openflan mixture`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import typer

from openflan.cli.mixture_export import Target, export_to_file
from openflan.cli.mixture_offline import offline
from openflan.cli.output import print_json
from openflan.cli.own_data_options import FORMAT, MAP, overrides_of_own_data
from openflan.cli.packed_sequences import show_examples, show_rows
from openflan.cli.print_ledger import print_ledger
from openflan.errors import InputError, OpenflanError
from openflan.mixture.export import check_path
from openflan.mixture.export_records import Form, form_of
from openflan.mixture.offline import without_data
from openflan.mixture.open_mixture import build_stream, check_places, open_mixture, rows_of_one_epoch
from openflan.mixture.own_data import own_data_described, own_data_lines
from openflan.mixture.stream import Stream
from openflan.models.estimate import DEVICES, MFU, Hardware
from openflan.models.hardware import check_no_hardware_options, hardware_from_options
from openflan.models.quiet import quiet_libraries
from openflan.packing.encode import Encoder
from openflan.packing.pack import WINDOW
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Recipe
from openflan.tasks.file_notes import trusting_stamps
from openflan.tasks.task import Task


@trusting_stamps()
def mixture(
    recipe: str = typer.Argument(help="A recipe file, or the name of a packaged recipe."),
    overrides: list[str] | None = typer.Argument(
        None, metavar="[KEY=VALUE ...]", help="New values for keys of the recipe."
    ),
    form: str | None = FORMAT,
    columns: str | None = MAP,
    to: Path | None = typer.Option(
        None,
        "--export",
        help=(
            "Write the rendered mixture to this .jsonl or .parquet file: inputs, targets and where "
            "they came from."
        ),
    ),
    export_form: str = typer.Option(
        "text",
        "--form",
        help=(
            "With --export: `text` for the columns inputs and targets, or `messages` for one column of chat "
            "messages, the inputs as the user's and the targets as the assistant's."
        ),
    ),
    workers: int = typer.Option(
        1,
        min=1,
        help="With --export: the number of processes that render, with one core each. The file is the same.",
    ),
    examples: int | None = typer.Option(
        None, min=1, help="With --export: the number of examples. Default: one epoch."
    ),
    epochs: float | None = typer.Option(
        None,
        help=(
            "With --export: the number of epochs. An epoch has as many examples as the tasks have rows, at "
            "most its cap for each task."
        ),
    ),
    passes: float | None = typer.Option(None, hidden=True),
    show: int | None = typer.Option(
        None,
        min=1,
        help=("Print the first packed sequences of training, with their examples and where each came from."),
    ),
    examples_only: bool = typer.Option(
        False,
        "--examples-only",
        help=(
            "With --show: print the first examples instead of packed sequences, and say what is "
            "truncated or dropped."
        ),
    ),
    no_pruning: bool = typer.Option(
        False,
        "--no-pruning",
        help=(
            "With --export or --show: keep all exemplars, even if they are too long. This needs no "
            "tokenizer, so --show prints examples."
        ),
    ),
    measure: int = typer.Option(WINDOW, min=1, help="The number of examples to measure, in whole windows."),
    everything: bool = typer.Option(False, "--all", help="Print all tasks and categories of the ledger."),
    device: str | None = typer.Option(
        None, help=f"The device of the estimate of time and memory: {', '.join(DEVICES)}."
    ),
    device_tflops: float | None = typer.Option(
        None, help="For the estimate: the peak rate of a device in TFLOP/s, for dense bfloat16."
    ),
    devices: int = typer.Option(1, min=1, help="For the estimate: the number of devices."),
    mfu: float = typer.Option(
        MFU, help="For the estimate: the share of the peak rate that training reaches."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Print the ledger of a recipe before training: the share of each task, and the memory and time that
    training needs. Or print or export the mixture as text.

    Exemplars that do not fit `packing.inputs` are pruned as in training. This needs the recipe's tokenizer;
    `--no-pruning` needs none. An export that was stopped goes on if the same command is run again. A README
    beside the file states its shares, licences and recipe.

    Examples:

    `openflan mixture recipes/mine.yaml training.steps=2000 --device h100 --devices 8`

    `openflan mixture recipes/mine.yaml --show 5`

    `openflan mixture recipes/mine.yaml --export mine.parquet --epochs 1 --workers 4`
    """
    epochs = _epochs(epochs, passes)
    _check_options(to, examples, epochs, show, no_pruning, examples_only)
    if to is None and (export_form != "text" or workers != 1):
        raise InputError("--form and --workers are for --export; name the file with --export")
    parsed_form = form_of(export_form)
    hardware = hardware_from_options(device, device_tflops, devices, mfu)
    if to is not None or show is not None:
        check_no_hardware_options(device, device_tflops, devices, mfu, "without --export and --show")
    overrides = overrides_of_own_data(recipe, overrides or [], form, columns)
    loaded = load_recipe(recipe, overrides)
    arguments = [recipe, *overrides]
    if to is not None or show is not None:
        check_places(loaded.mixture)
        _print_or_export(
            loaded,
            to,
            show,
            examples,
            epochs,
            parsed_form,
            workers,
            not no_pruning,
            examples_only,
            as_json,
        )
    elif without_data(loaded.mixture):
        check_no_hardware_options(
            device, device_tflops, devices, mfu, "where the recipe's data are there (mixture.data)"
        )
        offline(arguments, loaded, as_json)
    else:
        check_places(loaded.mixture)
        _ledger(arguments, loaded, measure, hardware, everything=everything, as_json=as_json)


def _epochs(epochs: float | None, passes: float | None) -> float | None:
    """Return `--epochs`, or the value of its old name `--passes` with a warning."""
    if passes is None:
        return epochs
    if epochs is not None:
        raise InputError("--passes is the old name of --epochs; give --epochs alone")
    warnings.warn("--passes is now --epochs; the old name goes with the next version", stacklevel=3)
    return passes


def _print_or_export(
    recipe: Recipe,
    to: Path | None,
    show: int | None,
    examples: int | None,
    epochs: float | None,
    form: Form,
    workers: int,
    pruned: bool,
    examples_only: bool,
    as_json: bool,
) -> None:
    """Print the first `show` sequences or examples of training, or write the mixture to the file `to`.

    The file gets `examples` examples, else those of `epochs` epochs, else of one. `pruned` prunes exemplars
    as in training. `form` and `workers` are of the file.
    """
    opened = open_mixture(recipe.mixture)
    if opened.warning:
        warnings.warn(opened.warning, stacklevel=3)
    tasks = opened.tasks
    for line in own_data_lines(own_data_described(tasks.values())):
        typer.echo(line, err=True)
    stream, encoder = (
        _as_in_training(recipe, tasks, exact=show is not None)
        if pruned
        else (build_stream(recipe.mixture, tasks, recipe.seed), None)
    )
    if show is not None:
        if encoder is None or examples_only:
            show_examples(stream, encoder, show, as_json=as_json)
        else:
            show_rows(stream, encoder, show, as_json=as_json)
    if to is not None:
        num_epochs = 1.0 if epochs is None else epochs
        count = examples or max(1, round(num_epochs * rows_of_one_epoch(recipe.mixture, tasks)))
        export_to_file(recipe, opened, stream, encoder, Target(to, count, form, workers), as_json=as_json)


def _check_options(
    to: Path | None,
    examples: int | None,
    epochs: float | None,
    show: int | None,
    no_pruning: bool,
    examples_only: bool,
) -> None:
    """Raise InputError for options that contradict each other."""
    if to is not None:
        check_path(to)
    if to is not None and show is not None:
        raise InputError("--export writes a file and --show prints; ask for one at a time")
    if to is None and (examples is not None or epochs is not None):
        raise InputError("--examples and --epochs say how much to write; name the file with --export")
    if examples is not None and epochs is not None:
        raise InputError("--examples and --epochs both say how much to write; give only one")
    if epochs is not None and not 0 < epochs < math.inf:
        raise InputError(f"--epochs {epochs:g}: expected a number above 0, such as 1 or 0.5")
    if no_pruning and to is None and show is None:
        raise InputError("--no-pruning is for --export and --show; the ledger always measures tokens")
    if examples_only and show is None:
        raise InputError("--examples-only says what --show prints; add --show N")


def _as_in_training(recipe: Recipe, tasks: dict[str, Task], *, exact: bool) -> tuple[Stream, Encoder]:
    """The stream and the encoder. `exact` reads from the model's configuration whether inputs and targets
    share one sequence; pruning does not depend on it."""
    quiet_libraries()
    from openflan.models.load_model import load_tokenizer, seq2seq_by_config
    from openflan.training.prepare import prepare

    try:
        tokenizer = load_tokenizer(recipe.model)
        joint = exact and not seq2seq_by_config(recipe.model)
    except OpenflanError as error:
        raise type(error)(
            f"{error}; its tokenizer tells which exemplars fit: --no-pruning keeps them all and needs none"
        ) from None
    return prepare(recipe, tasks, tokenizer, joint=joint)


def _ledger(
    arguments: Sequence[str],
    recipe: Recipe,
    measure: int,
    hardware: Hardware,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    quiet_libraries()
    from openflan.training.finetune import survey

    ledger = survey(recipe, examples=measure, hardware=hardware)
    if as_json:
        print_json(ledger)
    else:
        for line in own_data_lines(ledger["own_data"]):
            typer.echo(line, err=True)
        print_ledger(arguments, recipe.name, recipe.training.steps, ledger, everything=everything)
