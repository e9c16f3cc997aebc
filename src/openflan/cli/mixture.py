"""`openflan mixture`."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import next_command, print_counts, print_example, print_json, print_table
from openflan.errors import InputError, OpenflanError
from openflan.mixture.build import build_stream, one_pass, open_tasks
from openflan.mixture.export import check_path, export, record
from openflan.mixture.stream import Stream
from openflan.models.quiet import quiet_libraries
from openflan.packing.encode import Encoded, Encoder
from openflan.recipe.load import dump_recipe, load_recipe
from openflan.recipe.schema import Recipe
from openflan.tasks.task import Task


def mixture(
    recipe: str = typer.Argument(help="A recipe file or packaged recipe."),
    overrides: list[str] | None = typer.Argument(None, metavar="[KEY=VALUE ...]", help="Overrides of the recipe's keys."),
    to: Path | None = typer.Option(None, "--export", help="Write the rendered mixture to this .jsonl or .parquet file: inputs, targets, provenance."),
    examples: int | None = typer.Option(None, min=1, help="With --export: how many examples; default one pass."),
    passes: float | None = typer.Option(None, help="With --export: how many passes; a pass counts every task's rows, at most its cap."),
    show: int | None = typer.Option(None, min=1, help="Print the first examples of the mixture, each with where it came from."),
    no_pruning: bool = typer.Option(False, "--no-pruning", help="With --export or --show: keep all exemplars, however long; needs no tokenizer."),
    as_json: bool = typer.Option(False, "--json", help="One JSON value on standard output."),
) -> None:
    """The ledger: what the mixture gives each task, before any training; or the mixture itself, as text.

    Exemplars that would not fit `packing.inputs` are pruned as in training, which needs the recipe's tokenizer; `--no-pruning` does without.

    Examples:

    `openflan mixture recipes/mine.yaml training.steps=2000`

    `openflan mixture recipes/mine.yaml --export mine.parquet --passes 1`
    """
    _check_options(to, examples, passes, show, no_pruning)
    loaded = load_recipe(recipe, overrides or [])
    if to is None and show is None:
        _ledger(recipe, loaded, as_json)
        return
    tasks = open_tasks(loaded.mixture)
    stream, encoder = (build_stream(loaded.mixture, tasks, loaded.seed), None) if no_pruning else _as_in_training(loaded, tasks, exact=show is not None)
    if show is not None:
        _show(stream, encoder, show, as_json)
    if to is not None:
        count = examples or max(1, round((1.0 if passes is None else passes) * one_pass(loaded.mixture, tasks)))
        _export(stream, loaded, to, count, pruned=not no_pruning, as_json=as_json)


def _check_options(to: Path | None, examples: int | None, passes: float | None, show: int | None, no_pruning: bool) -> None:
    if to is not None:
        check_path(to)
    if to is not None and show is not None:
        raise InputError("--export writes a file and --show prints; ask for one at a time")
    if to is None and (examples is not None or passes is not None):
        raise InputError("--examples and --passes say how much to write; name the file with --export")
    if examples is not None and passes is not None:
        raise InputError("--examples and --passes both say how much to write; keep one")
    if passes is not None and not 0 < passes < math.inf:
        raise InputError(f"--passes {passes:g}: expected a number above 0, such as 1 or 0.5")
    if no_pruning and to is None and show is None:
        raise InputError("--no-pruning is for --export and --show; the ledger always measures tokens")


def _as_in_training(recipe: Recipe, tasks: dict[str, Task], *, exact: bool) -> tuple[Stream, Encoder]:
    """The stream, and the encoder; `exact` asks the model's configuration whether inputs and targets share a row, which exemplars do not depend on."""
    quiet_libraries()
    from openflan.models.load import load_tokenizer, seq2seq_by_config
    from openflan.training.finetune import prepare

    try:
        tokenizer = load_tokenizer(recipe.model)
        joint = exact and not seq2seq_by_config(recipe.model)
    except OpenflanError as error:
        raise type(error)(f"{error}; its tokenizer tells which exemplars fit: --no-pruning keeps them all and needs none") from None
    return prepare(recipe, tasks, tokenizer, joint=joint)


def _show(stream: Stream, encoder: Encoder | None, number: int, as_json: bool) -> None:
    shown = [stream[position] for position in range(number)]
    encoded = [None] * number if encoder is None else encoder.encode(shown)
    if as_json:
        print_json([record(position, one) | _tokens(ids) for position, (one, ids) in enumerate(zip(shown, encoded, strict=True))])
        return
    for position, (one, ids) in enumerate(zip(shown, encoded, strict=True)):
        print_example(one, f"position {position}", _tokens(ids))


def _tokens(ids: Encoded | None) -> dict[str, object]:
    """What became of an example's tokens: how many stay, how many input tokens are cut, or why it is dropped; nothing without a tokenizer."""
    if ids is None:
        return {}
    return {"dropped": ids.dropped} if ids.dropped else {"input_tokens": len(ids.input_ids), "target_tokens": len(ids.target_ids), "cut": ids.cut}


def _export(stream: Stream, recipe: Recipe, path: Path, count: int, *, pruned: bool, as_json: bool) -> None:
    began = time.monotonic()
    notes = {"openflan.recipe": dump_recipe(recipe), "openflan.pruning": "as in training" if pruned else "none"}
    done = export(stream, path, count, notes)
    seconds = time.monotonic() - began
    if as_json:
        print_json(
            {
                "path": str(done.path),
                "examples": done.examples,
                "bytes": done.size,
                "seconds": seconds,
                "pruning": pruned,
                "tasks": dict(done.tasks),
                "formats": dict(done.formats),
            }
        )
        return
    typer.echo(f"{path}: {done.examples:,} examples of {len(done.tasks)} tasks, {done.size / 1e6:,.1f} MB, in {seconds:,.1f} s")
    print_counts("formats", done.formats)


def _ledger(name: str, recipe: Recipe, as_json: bool) -> None:
    quiet_libraries()
    from openflan.training.finetune import survey

    ledger: dict[str, Any] = survey(recipe)
    if as_json:
        print_json(ledger)
        return
    measured = ledger["measured"]
    columns = ["task", "category", "rows", "cap", "share %", "passes"]
    print_table(
        f"{recipe.name}: {len(ledger['tasks'])} tasks, {ledger['examples']:,} examples in {recipe.training.steps:,} steps",
        columns,
        [[row["task"], row["category"], row["rows"], row["cap"], 100 * row["share"], row["passes"]] for row in ledger["tasks"]],
    )
    print_table("submixtures", ["submixture", "tasks", "rows", "share %"], [[*list(row.values())[:3], 100 * row["share"]] for row in ledger["submixtures"]])
    sides = "" if measured["fill_inputs"] is None else f" ({measured['fill_inputs']:.1%} of inputs, {measured['fill_targets']:.1%} of targets)"
    typer.echo(
        f"packing, measured on {measured['examples']:,} examples: {measured['examples_per_row']:.1f} examples a row, {measured['fill']:.1%} filled{sides}"
    )
    print_counts("formats", measured["formats"])
    print_counts("of these", measured["counts"])
    print_counts("rows left out with nothing to learn from", {f"of {row['task']}": row["refused"] for row in ledger["tasks"]})
    print_counts("rows left out as overlaps", {f"of {row['task']}": row["overlaps_dropped"] for row in ledger["tasks"]})
    next_command(f"openflan finetune {name}")
