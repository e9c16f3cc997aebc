"""`openflan evaluate`, `openflan show`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from openflan.benchmark_data.items import built_in_folders
from openflan.cli.compare import print_comparison
from openflan.cli.output import Bar, next_command, print_json
from openflan.cli.score import print_score
from openflan.cli.watch import watch_run
from openflan.errors import InputError
from openflan.evaluation.averages import averages_of_scores
from openflan.evaluation.comparison import PAPER, check_side, comparison
from openflan.evaluation.embedded_benchmarks import data_of_benchmarks
from openflan.evaluation.generate import Generated
from openflan.evaluation.known_benchmarks import SUITES, find_mode
from openflan.evaluation.saved_models import component_of_score
from openflan.evaluation.score_record import EvaluationScore
from openflan.evaluation.score_saved import printed
from openflan.evaluation.selection import (
    NAMES,
    OWN_HELP,
    check_prompts,
    chosen_benchmarks,
    fetch_files,
    open_benchmark,
    subset_of,
)
from openflan.evaluation.training_tasks import warn_of_training_tasks
from openflan.mixture.embedded_seeds import warn_of_other_data
from openflan.models.quiet import quiet_libraries
from openflan.run_folder import Run

_MODE = typer.Option(
    "direct",
    help=(
        "direct: the answer at once; cot: a chain of thought first. `--mode cot --shots 0` adds the "
        "trigger phrase."
    ),
)
_JSON = typer.Option(False, "--json", help="One JSON value on standard output.")
_DATA = typer.Option(
    None,
    help=(
        f"The folder that holds the benchmarks' folders ({', '.join(built_in_folders())}), or one of these "
        "folders; for tasks: their rows."
    ),
)
_SHOTS = typer.Option(None, min=0, help="Exemplars; the published number if absent.")
_SPLIT = typer.Option(
    None,
    help=(
        "mmlu: validation (default, as in the paper's Table 5) or test; arc_easy, arc_challenge: test "
        "(default) or validation."
    ),
)


def evaluate(
    model: str = typer.Argument(
        help=(
            "A run folder, a Hugging Face folder, a hub id, or the address of a server, http://HOST:PORT/v1."
        )
    ),
    benchmark: list[str] = typer.Option(
        [], help=f"One of {NAMES}; a task of --data, such as niv2/NAME; or {OWN_HELP}. May be repeated."
    ),
    suite: str | None = typer.Option(
        None,
        help=(
            f"Several at once: {', '.join(SUITES)}. flan: the six components of the paper's normalized "
            "average."
        ),
    ),
    mode: str = _MODE,
    data: Path | None = _DATA,
    limit: int | None = typer.Option(None, min=1, help="The first N items of each task."),
    subset: str | None = typer.Option(None, help="Tasks, separated by commas."),
    shots: int | None = _SHOTS,
    split: str | None = _SPLIT,
    max_tokens: int | None = typer.Option(None, min=1, help="The most tokens of a generation."),
    samples: int = typer.Option(
        1,
        min=1,
        help="Self-consistency: so many samples of each question, decided by majority; the paper has 40.",
    ),
    temperature: float | None = typer.Option(
        None, min=0, help="Of samples; 0.7 where there are several, otherwise decoding is greedy."
    ),
    top_k: int | None = typer.Option(
        None, min=0, help="Samples are drawn from so many likeliest tokens; 40 if absent, 0: from all."
    ),
    seed: int = typer.Option(0, help="Of samples."),
    likelihood: bool = typer.Option(
        False, "--likelihood", help="Choose the likeliest of a question's options instead of generating."
    ),
    normalized: bool = typer.Option(
        False,
        "--normalized",
        help="With --likelihood: by the log-probability a token, so that long options are not behind.",
    ),
    context: int | None = typer.Option(
        None, min=1, help="The most tokens of a prompt (causal models: with its generation)."
    ),
    dtype: str | None = typer.Option(
        None, help="float32 (default up to about 1 billion parameters) or bfloat16."
    ),
    chat: bool = typer.Option(False, "--chat", help="Prompts become messages in the model's chat template."),
    model_name: str | None = typer.Option(
        None,
        help=(
            "Of a server: the model's name there. Keys: OPENFLAN_API_KEY or OPENAI_API_KEY in the "
            "environment."
        ),
    ),
    parallel: int = typer.Option(8, min=1, help="Of a server: calls under way at once."),
    per_minute: float = typer.Option(
        0, min=0, help="Of a server: the most calls that begin in a minute; 0: no limit."
    ),
    checkpoint: str | None = typer.Option(None, help="Of a run: last (default), base, or a step."),
    run: Path | None = typer.Option(
        None, help="Where generations and scores go; default: the run, else runs/NAME."
    ),
    against: str | None = typer.Option(
        None,
        help=(
            "Compare afterwards with another run, FOLDER[:LABEL], or with paper:NAME such as "
            "paper:flan-t5-base."
        ),
    ),
    fetch: bool = typer.Option(
        False,
        "--fetch",
        help="Without --data: get the benchmarks' public files once, checked by their sha256.",
    ),
    watch: bool = typer.Option(
        False,
        "--watch",
        help=(
            "Of a run that is training: every checkpoint as it comes, until the run ends; the best is "
            "recorded."
        ),
    ),
    restart: bool = typer.Option(
        False,
        "--restart",
        help="Start anew: remove what was generated for these benchmarks, in this way of answering.",
    ),
    offline: bool = typer.Option(
        False, "--offline", help="Use what is on this machine only; the hub is not asked."
    ),
    as_json: bool = _JSON,
) -> None:
    """Evaluate a model; the same command again goes on where it stopped.

    Generations are saved first and scored afterwards, so `openflan score` can score them again.

    A benchmark of your own, `--benchmark capitals.yaml`: `name: capitals`, `data: capitals.jsonl`, `prompt:
    "Q: {question}\\nA:"`, `target: answer`; optional are `instruction`, `options`, `metric`, `extraction`,
    `answer_phrases`, `exemplars`, `shots`, `rationale`, `stop` and `max_tokens`.

    Examples: `openflan evaluate runs/mine --suite flan --data DATA --limit 10`, `openflan evaluate runs/mine
    --benchmark bbh --mode cot --data DATA`, `openflan evaluate runs/mine --benchmark gsm8k --mode cot
    --samples 40 --data DATA`, `openflan evaluate http://localhost:8000/v1 --model-name NAME --benchmark mmlu
    --data DATA`, `torchrun --nproc-per-node 8 -m -- openflan evaluate runs/mine --suite flan --data DATA`:
    every process has the model and a share of the questions
    """
    asked = dict(locals())
    del asked["watch"]
    if watch:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise InputError(
                "`--watch` is one process: it takes checkpoints as it finds them; start it without torchrun"
            )
        watch_run(
            Run(Path(model)), lambda step: _evaluate(**asked | {"checkpoint": step}), checkpoint, as_json
        )
        return
    _evaluate(**asked)


def _evaluate(
    model: str,
    benchmark: list[str],
    suite: str | None,
    mode: str,
    data: Path | None,
    limit: int | None,
    subset: str | None,
    shots: int | None,
    split: str | None,
    max_tokens: int | None,
    samples: int,
    temperature: float | None,
    top_k: int | None,
    seed: int,
    likelihood: bool,
    normalized: bool,
    context: int | None,
    dtype: str | None,
    chat: bool,
    model_name: str | None,
    parallel: int,
    per_minute: float,
    checkpoint: str | None,
    run: Path | None,
    against: str | None,
    fetch: bool,
    restart: bool,
    offline: bool,
    as_json: bool,
) -> list[EvaluationScore]:
    """One evaluation, printed; the scores of this process."""
    from openflan.cli.engines import decoding_of, folder_name, locate, open_engine, processes

    decoding = decoding_of(samples, temperature, top_k, seed, likelihood=likelihood, normalized=normalized)
    if offline:
        # Read by the hub's libraries when they are first imported, which is below.
        os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})
    if fetch and (data is not None or offline):
        raise InputError("`--fetch` goes without `--data`, which names a copy, and without `--offline`")
    with processes() as shared:
        main = shared.rank == 0
        if fetch and main:
            fetch_files(benchmark, suite)
        shared.barrier()
        found = chosen_benchmarks(benchmark, suite, mode, data, shots=shots, split=split, limit=limit)
        chosen = subset_of(found, subset.split(",") if subset else None)

        located = locate(model, checkpoint, model_name)
        folder = Run(run) if run else located.run or Run(Path("runs") / folder_name(model, model_name))
        if main:
            warn_of_other_data(
                located.run.folder if located.run else located.name, data_of_benchmarks(benchmark, data)
            )
        if main and located.run and located.label not in ("base", "random-init"):
            warn_of_training_tasks(located.run, [one.name for one, _ in chosen])
        check_prompts(chosen)
        if against:
            check_side(against)
        quiet_libraries()
        from openflan.evaluation.record import evaluate_into

        engine = open_engine(
            located,
            model_name=model_name,
            chat=chat,
            context=context,
            dtype=dtype,
            parallel=parallel,
            per_minute=per_minute,
        )
        scores, total, began = [], _Total(), time.monotonic()
        for one, tasks in chosen:
            with Bar(f"{one.name} {one.mode}", "item", hidden=not main) as bar:
                scores.append(
                    evaluate_into(
                        folder,
                        located.label,
                        one,
                        engine,
                        limit=limit,
                        subset=tasks,
                        max_tokens=max_tokens,
                        progress=bar.show,
                        generated=total.add,
                        decoding=decoding,
                        restart=restart,
                        processes=shared,
                        context=context,
                        chat=chat,
                    )
                )
    if not main:
        return scores
    typer.echo(f"{total.text} in {time.monotonic() - began:,.0f} s", err=True)
    compared = None
    if against:
        this = f"{folder.folder}:{located.label}"
        # What was evaluated now comes second, as it is what the difference is about; the paper has no model
        # that could come first.
        sides = (this, against) if against.startswith(PAPER) else (against, this)
        compared = comparison(
            *sides, [one for one, _ in chosen], only={component_of_score(score) for score in scores}
        )
    if as_json:
        values = [printed(score) for score in scores]
        one_or_all = values if len(values) > 1 else values[0]
        print_json(one_or_all if compared is None else {"scores": values, "comparison": compared})
        return scores
    _print_scores(scores, averaged=suite is not None)
    if compared is not None:
        print_comparison(compared)
    next_command("report", folder.folder)
    return scores


def show(
    benchmark: str = typer.Argument(help=f"One of {NAMES}, a task of --data, or a YAML file of your own."),
    task: str | None = typer.Option(
        None, help="A task of the benchmark; may be left out if it has only one."
    ),
    index: int = typer.Option(0, min=0, help="The item, from 0 in the file's order."),
    mode: str = _MODE,
    data: Path | None = _DATA,
    shots: int | None = _SHOTS,
    split: str | None = _SPLIT,
    as_json: bool = _JSON,
) -> None:
    """Print the exact prompt that is sent for an item, and its target.

    Example: `openflan show bbh --task snarks --mode cot --index 3 --data DATA`
    """
    found = open_benchmark(benchmark, find_mode(mode), data, shots=shots, split=split)
    if task is None:
        if len(found.tasks) > 1:
            raise InputError(
                f"{found.name} has {len(found.tasks)} tasks: choose one with `--task`, such as "
                f"{next(iter(found.tasks))}"
            )
        (task,) = found.tasks
    found.task(task)
    examples = {one.index: one for one in found.examples(task)}
    if index not in examples:
        held_back = any(one.exemplar_split == "dev" for one in examples.values())
        size = len(examples) + held_back
        if held_back and index < size:
            raise InputError(
                f"{task} {index} is shown as the exemplar of the others and not asked; choose another --index"
            )
        raise InputError(f"{task} has {size} items; --index {index} goes beyond {size - 1}")
    one = examples[index]
    if as_json:
        print_json(
            {
                "task": task,
                "index": index,
                "prompt": one.prompt,
                "target": one.target,
                "exemplars": one.exemplars,
                "prompt_version": found.prompt_version,
            }
        )
        return
    typer.echo(one.prompt)
    typer.echo(f"\ntarget: {one.target}   ({one.exemplars} exemplars, {found.prompt_version})", err=True)


def _print_scores(scores: Sequence[EvaluationScore], *, averaged: bool) -> None:
    for score in scores:
        print_score(printed(score))
        _print_exemplars(printed(score))
    if not averaged:
        return
    averages = averages_of_scores(scores, partial=True)
    shown = "; ".join(f"{name} {value:.1f}" for name, value in averages.items() if value is not None)
    typer.echo(
        shown
        or (
            "no average over the suite: the paper's are of greedy generation with each benchmark's own "
            "number of exemplars"
        )
    )


def _print_exemplars(score: dict[str, Any]) -> None:
    """What a table of scores does not say: prompts and exemplars that found no room, and rows that served as
    one."""
    if too_long := sum(task["too_long"] for task in score["tasks"].values()):
        typer.echo(
            f"{too_long:,} prompts do not fit the model even without exemplars: unanswered, and counted "
            "as wrong"
        )
    if score["exemplars_dropped"]:
        typer.echo(
            f"{score['exemplars_dropped']:,} exemplars did not fit and were left out of "
            f"{score['prompts_shortened']:,} prompts; "
            f"on average a prompt had {score['exemplars']:.2f}"
        )
    if score.get("exemplar_from_dev"):
        typer.echo(
            "the first row by id of dev is the exemplar, and not scored, in "
            f"{', '.join(score['exemplar_from_dev'])}: no train file"
        )


class _Total:
    """Sums over the evaluations of one call."""

    def __init__(self) -> None:
        self._new = self._found = self._tokens = 0

    def add(self, generated: Generated) -> None:
        self._new += generated.new
        self._found += generated.found
        self._tokens += generated.tokens

    @property
    def text(self) -> str:
        return f"{self._new:,} generations, {self._tokens:,} tokens" + (
            f" ({self._found:,} more were there)" if self._found else ""
        )
