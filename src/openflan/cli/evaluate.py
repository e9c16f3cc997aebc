"""`openflan evaluate`, `openflan score`, `openflan show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, cast

import typer

from openflan.cli.output import next_command, print_json, print_table
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.catalogue import BENCHMARKS, MODES, find_benchmark
from openflan.evaluation.run import score_file
from openflan.models.quiet import quiet_libraries

_MODE = typer.Option("direct", help="direct: the answer at once; cot: a chain of thought first. `--mode cot --shots 0` adds the trigger phrase.")
_JSON = typer.Option(False, "--json", help="One JSON value on standard output.")
_NAMES = ", ".join([*BENCHMARKS, "microflan"])


def evaluate(
    model: str = typer.Argument(help="A run folder, a Hugging Face folder, or a hub id."),
    benchmark: list[str] = typer.Option(..., help=f"One of {_NAMES}; may be repeated."),
    mode: str = _MODE,
    data: Path | None = typer.Option(None, help="The folder that holds bbh/, mgsm/, ... (microflan needs none)."),
    limit: int | None = typer.Option(None, min=1, help="The first N items of each task."),
    subset: str | None = typer.Option(None, help="Tasks, separated by commas."),
    shots: int | None = typer.Option(None, min=0, help="Exemplars; the published number if absent."),
    max_tokens: int | None = typer.Option(None, min=1, help="The most tokens of a generation."),
    checkpoint: str | None = typer.Option(None, help="Of a run: last (default), base, or a step."),
    run: Path | None = typer.Option(None, help="Where generations and scores go; default: the run, else runs/NAME."),
    as_json: bool = _JSON,
) -> None:
    """Evaluate a model; the same command again goes on where it stopped.

    Generations are saved first and scored afterwards, so `openflan score` can score them again.

    Example: `openflan evaluate runs/mine --benchmark bbh --mode cot --data DATA --limit 10`
    """
    from openflan.models.locate import locate_model
    from openflan.run import Run

    located = locate_model(model, checkpoint)
    folder = Run(run) if run else located.run or Run(Path("runs") / Path(model).name)
    chosen = [_benchmark(name, mode, data, shots, limit) for name in benchmark]
    quiet_libraries()
    from openflan.evaluation.record import evaluate_into
    from openflan.inference.huggingface import HuggingFaceEngine

    engine = HuggingFaceEngine.load(located.name)
    tasks = subset.split(",") if subset else None
    scores = []
    for one in chosen:
        with _Bar(f"{one.name} {one.mode}") as bar:
            scores.append(evaluate_into(folder, located.label, one, engine, limit=limit, subset=tasks, max_tokens=max_tokens, progress=bar.show))
    if as_json:
        print_json(scores if len(scores) > 1 else scores[0])
        return
    for score in scores:
        _print_score(score)
    if located.run:
        next_command(f"openflan report {folder.folder}")


def score(
    benchmark: str = typer.Argument(help="bbh or mgsm."),
    generations: Path = typer.Option(..., help="A JSONL file of generations, or .jsonl.gz."),
    mode: str = _MODE,
    partial: bool = typer.Option(False, help="Average over what is there when the file is incomplete."),
    as_json: bool = _JSON,
) -> None:
    """Score saved generations; no model is needed.

    Example: `openflan score bbh --mode cot --generations runs/mine/generations/final-bbh-cot.jsonl --partial`
    """
    found = score_file(generations, find_benchmark(benchmark, mode), partial=partial)
    if as_json:
        print_json(found)
    else:
        _print_score(found)


def show(
    benchmark: str = typer.Argument(help="bbh or mgsm."),
    task: str = typer.Option(..., help="A task of the benchmark."),
    index: int = typer.Option(0, min=0, help="The item, from 0 in the file's order."),
    mode: str = _MODE,
    data: Path = typer.Option(..., help="The folder that holds bbh/, mgsm/, ..."),
    shots: int | None = typer.Option(None, min=0, help="Exemplars; the published number if absent."),
    as_json: bool = _JSON,
) -> None:
    """Print the exact prompt that is sent for an item, and its target.

    Example: `openflan show bbh --task snarks --mode cot --index 3 --data DATA`
    """
    found = find_benchmark(benchmark, mode, data, shots=shots)
    found.task(task)
    examples = found.examples(task)
    if index >= len(examples):
        raise InputError(f"{task} has {len(examples)} items; --index {index} goes beyond {len(examples) - 1}")
    one = examples[index]
    if as_json:
        print_json(
            {"task": task, "index": index, "prompt": one.prompt, "target": one.target, "exemplars": one.exemplars, "prompt_version": found.prompt_version}
        )
        return
    typer.echo(one.prompt)
    typer.echo(f"\ntarget: {one.target}   ({one.exemplars} exemplars, {found.prompt_version})", err=True)


def _benchmark(name: str, mode: str, data: Path | None, shots: int | None, limit: int | None) -> Benchmark:
    if name != "microflan":
        if data is None and name in BENCHMARKS:
            raise InputError(f"--benchmark {name} needs --data, the folder that holds {name}/")
        return find_benchmark(name, mode, data, shots=shots)
    if mode not in MODES:
        raise InputError(f"`--mode {mode}` is no mode; expected direct or cot")
    from openflan.evaluation.microflan import microflan_benchmark

    return microflan_benchmark(cast(Literal["direct", "cot"], mode), shots=shots or 0, limit=limit)


def _print_score(found: dict[str, Any]) -> None:
    columns = ["task", "n", "accuracy", "stderr", "extracted", "chance"]
    rows = [[name, *(task[column] for column in columns[1:])] for name, task in found["tasks"].items()]
    average = "-" if found["average"] is None else f"{found['average']:.2f}"
    print_table(f"{found['benchmark']} {found['mode']}: average {average} %{' (partial)' if found['partial'] else ''}", columns, rows)


class _Bar:
    """A progress bar on standard error, silent in pipes."""

    def __init__(self, label: str) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(desc=label, unit="item", file=sys.stderr, disable=None, dynamic_ncols=True)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
