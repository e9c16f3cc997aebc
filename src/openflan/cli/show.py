"""`openflan show`."""

from __future__ import annotations

from pathlib import Path

import typer

from openflan.cli.benchmark_options import DATA, JSON, MODE, SHOTS, SPLIT
from openflan.cli.output import print_json
from openflan.errors import InputError
from openflan.evaluation.known_benchmarks import find_mode
from openflan.evaluation.selection import NAMES, open_benchmark
from openflan.tasks.file_notes import trusting_stamps


@trusting_stamps()
def show(
    benchmark: str = typer.Argument(
        help=f"A benchmark: {NAMES}, a task of --data, or a YAML file of your own."
    ),
    task: str | None = typer.Option(
        None, help="A task of the benchmark. It is not needed if the benchmark has only one task."
    ),
    index: int = typer.Option(0, min=0, help="The number of the row in the file, from 0."),
    mode: str = MODE,
    data: Path | None = DATA,
    shots: int | None = SHOTS,
    split: str | None = SPLIT,
    as_json: bool = JSON,
) -> None:
    """Print the exact prompt that a model gets for a row of a benchmark, and the target.

    Example: `openflan show bbh --task snarks --mode cot --index 3 --data DATA`
    """
    opened_benchmark = open_benchmark(benchmark, find_mode(mode), data, shots=shots, split=split)
    if task is None:
        if len(opened_benchmark.tasks) > 1:
            raise InputError(
                f"{opened_benchmark.name} has {len(opened_benchmark.tasks)} tasks: choose one with "
                f"`--task`, such as {next(iter(opened_benchmark.tasks))}"
            )
        (task,) = opened_benchmark.tasks
    opened_benchmark.task(task)
    examples = {example.index: example for example in opened_benchmark.examples(task)}
    if index not in examples:
        held_back = any(example.exemplar_split == "dev" for example in examples.values())
        size = len(examples) + held_back
        if held_back and index < size:
            raise InputError(
                f"{task} {index} is shown as the exemplar of the others and not asked; choose another --index"
            )
        raise InputError(f"{task} has {size} items; --index {index} goes beyond {size - 1}")
    example = examples[index]
    if as_json:
        print_json(
            {
                "task": task,
                "index": index,
                "prompt": example.prompt,
                "target": example.target,
                "exemplars": example.exemplars,
                "prompt_version": opened_benchmark.prompt_version,
            }
        )
        return
    typer.echo(example.prompt)
    typer.echo(
        f"\ntarget: {example.target}   ({example.exemplars} exemplars, {opened_benchmark.prompt_version})",
        err=True,
    )
