"""The command `openflan evaluate`."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from openflan.api.options import EvaluateOptions, LoadOptions
from openflan.api.watch import watch_run
from openflan.cli.benchmark_options import DATA, JSON, METRIC, MODE, SHOTS, SPLIT, WORDINGS
from openflan.cli.compare import print_comparison
from openflan.cli.evaluation_output import BenchmarkBars, GenerationCounts, print_scores
from openflan.cli.output import next_command, print_json
from openflan.errors import InputError
from openflan.evaluation.comparison import PAPER, check_side, comparison
from openflan.evaluation.known_benchmarks import SUITES
from openflan.evaluation.printed_score import printed
from openflan.evaluation.saved_models import component_of_score
from openflan.evaluation.score_record import EvaluationScore
from openflan.evaluation.selection import NAMES, OWN_HELP
from openflan.run_folder import Run

if TYPE_CHECKING:
    from openflan.api.evaluate import Evaluation


def evaluate(
    model: str = typer.Argument(
        help=(
            "A run folder, a Hugging Face folder, a hub id, or the address of a server, http://HOST:PORT/v1."
        )
    ),
    benchmark: list[str] = typer.Option(
        [],
        help=(f"A benchmark: {NAMES}; a task of --data, such as niv2/NAME; or {OWN_HELP}. May be repeated."),
    ),
    suite: str | None = typer.Option(
        None,
        help=(
            f"A set of benchmarks: {', '.join(SUITES)}. `flan` has the six components of the paper's "
            "normalized average."
        ),
    ),
    mode: str = MODE,
    data: Path | None = DATA,
    limit: int | None = typer.Option(None, min=1, help="Evaluate the first N rows of each task."),
    subset: str | None = typer.Option(None, help="The tasks to evaluate, separated by commas."),
    shots: int | None = SHOTS,
    split: str | None = SPLIT,
    max_tokens: int | None = typer.Option(None, min=1, help="The maximum number of tokens of a generation."),
    samples: int = typer.Option(
        1,
        min=1,
        help=(
            "The number of generations for each question (self-consistency). The majority decides. "
            "The paper uses 40."
        ),
    ),
    temperature: float | None = typer.Option(
        None,
        min=0,
        help=(
            "The temperature of sampling. Default: 0.7 if there are several samples, else greedy decoding."
        ),
    ),
    top_k: int | None = typer.Option(
        None, min=0, help="Sample from this number of likeliest tokens. Default: 40. 0 means all tokens."
    ),
    seed: int = typer.Option(0, help="The seed of sampling."),
    likelihood: bool = typer.Option(
        False,
        "--likelihood",
        help="Choose the option with the highest log-probability instead of generating text.",
    ),
    normalized: bool = typer.Option(
        False,
        "--normalized",
        help="With --likelihood: divide the log-probability of an option by its number of tokens.",
    ),
    bits_per_byte: bool = typer.Option(
        False,
        "--bits-per-byte",
        help=(
            "Compute the log-probability of the right answers instead of generating any, and print it in "
            "bits per byte. It tells models apart that answer at chance."
        ),
    ),
    metric: str | None = METRIC,
    wordings: str | None = WORDINGS,
    context: int | None = typer.Option(
        None,
        min=1,
        help=(
            "The maximum number of tokens of a prompt. For causal models, of a prompt and its "
            "generation together."
        ),
    ),
    dtype: str | None = typer.Option(
        None, help="`float32` (the default up to 1.5 billion parameters) or `bfloat16`."
    ),
    chat: bool = typer.Option(False, "--chat", help="Put each prompt into the model's chat template."),
    model_name: str | None = typer.Option(
        None,
        help=(
            "If MODEL is a server: the name of the model there. The environment variable "
            "OPENFLAN_API_KEY or OPENAI_API_KEY holds the key."
        ),
    ),
    parallel: int = typer.Option(
        8, min=1, help="If MODEL is a server: the number of calls at the same time."
    ),
    per_minute: float = typer.Option(
        0,
        min=0,
        help=(
            "If MODEL is a server: the maximum number of calls that start in one minute. 0 means no limit."
        ),
    ),
    checkpoint: str | None = typer.Option(
        None, help="If MODEL is a run: `last` (the default), `base`, or the number of a step."
    ),
    run: Path | None = typer.Option(
        None,
        help=("The folder for generations and scores. Default: the run folder of the model, or runs/NAME."),
    ),
    against: str | None = typer.Option(
        None,
        help=(
            "After the evaluation, compare with another run (FOLDER[:LABEL]) or with the paper "
            "(paper:NAME, such as paper:flan-t5-base)."
        ),
    ),
    fetch: bool = typer.Option(
        False,
        "--fetch",
        help="Download the benchmarks' public files once and check their sha256. This replaces --data.",
    ),
    watch: bool = typer.Option(
        False,
        "--watch",
        help=(
            "Evaluate every checkpoint of a run while it trains, until the run ends, and record the best one."
        ),
    ),
    restart: bool = typer.Option(
        False,
        "--restart",
        help="Remove earlier generations for these benchmarks and this decoding, and start again.",
    ),
    offline: bool = typer.Option(
        False, "--offline", help="Use only files on this machine, and make no request to the hub."
    ),
    as_json: bool = JSON,
) -> None:
    """Evaluate a model. If you run the same command again, it continues where it stopped.

    Generations are saved first and scored afterwards, so `openflan score` can score them again.

    A benchmark of your own is a YAML file, such as `--benchmark capitals.yaml` with `name: capitals`, `data:
    capitals.jsonl`, `prompt: "Q: {question}\\nA:"` and `target: answer`. Optional keys are `instruction`,
    `options`, `metric`, `extraction`, `answer_phrases`, `exemplars`, `shots`, `rationale`, `stop` and
    `max_tokens`.

    Examples: `openflan evaluate runs/mine --suite flan --data DATA --limit 10`, `openflan evaluate runs/mine
    --benchmark bbh --mode cot --data DATA`, `openflan evaluate runs/mine --benchmark gsm8k --mode cot
    --samples 40 --data DATA`, `openflan evaluate http://localhost:8000/v1 --model-name NAME --benchmark mmlu
    --data DATA`, `torchrun --nproc-per-node 8 -m -- openflan evaluate runs/mine --suite flan --data DATA`.
    Under torchrun every process loads the model and answers a share of the questions.
    """
    load = LoadOptions(
        checkpoint=checkpoint,
        context=context,
        dtype=dtype,
        chat=chat,
        model_name=model_name,
        parallel=parallel,
        per_minute=per_minute,
    )
    options = EvaluateOptions(
        suite=suite,
        mode=mode,
        data=data,
        fetch=fetch,
        limit=limit,
        subset=tuple(subset.split(",")) if subset else None,
        shots=shots,
        split=split,
        max_tokens=max_tokens,
        samples=samples,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
        likelihood=likelihood,
        normalized=normalized,
        bits_per_byte=bits_per_byte,
        metric=metric,
        wordings=wordings,
        run=run,
        restart=restart,
        load=load,
    )
    if offline:
        _forbid_network(fetch=fetch)
    if watch:
        _check_watch(checkpoint, as_json=as_json)
        _watch(model, benchmark, options, against)
    else:
        _evaluate(model, benchmark, options, against, as_json=as_json)


def _forbid_network(*, fetch: bool) -> None:
    """Keep the libraries of the hub from making requests, for `--offline`. Raises InputError with
    `--fetch`."""
    if fetch:
        raise InputError("`--fetch` downloads files, and `--offline` forbids it: leave one out")
    # The libraries read this when they are first imported, which happens later.
    os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})


def _check_watch(checkpoint: str | None, *, as_json: bool) -> None:
    """Raise InputError for options and launchers that `--watch` excludes."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("`--watch` runs in one process: start it without torchrun")
    if checkpoint or as_json:
        raise InputError(
            "--watch evaluates every checkpoint and prints each result: leave out "
            f"{'--checkpoint' if checkpoint else '--json'}"
        )


def _watch(model: str, benchmarks: list[str], options: EvaluateOptions, against: str | None) -> None:
    """Evaluate every checkpoint of the run `model` until the run ends."""

    def evaluate_step(step: str) -> list[EvaluationScore]:
        at_step = replace(options, load=replace(options.load, checkpoint=step))
        return _evaluate(model, benchmarks, at_step, against, as_json=False)

    watch_run(Run(Path(model)), evaluate_step, lambda text: typer.echo(text, err=True))


def _evaluate(
    model: str, benchmarks: list[str], options: EvaluateOptions, against: str | None, *, as_json: bool
) -> list[EvaluationScore]:
    """Evaluates once and prints the result; returns the scores of this process."""
    from openflan.api.evaluate import evaluate_all

    if against:
        check_side(against)
    counts, start = GenerationCounts(), time.monotonic()
    with BenchmarkBars(hidden=os.environ.get("RANK", "0") != "0") as bars:
        done = evaluate_all(model, benchmarks, options, progress=bars.show, generated=counts.add)
    if not done.is_main:
        return done.scores
    typer.echo(f"{counts.text} in {time.monotonic() - start:,.0f} s", err=True)
    compared = _compared(done, against) if against else None
    if as_json:
        values = [printed(score) for score in done.scores]
        one_or_all = values if len(values) > 1 else values[0]
        print_json(one_or_all if compared is None else {"scores": values, "comparison": compared})
        return done.scores
    print_scores(done.scores, with_suite_averages=options.suite is not None)
    if compared is not None:
        print_comparison(compared)
    next_command("report", done.run.folder)
    return done.scores


def _compared(done: Evaluation, against: str) -> dict[str, Any]:
    """The comparison with `against`, of the benchmarks that were evaluated now."""
    evaluated = f"{done.run.folder}:{done.label}"
    # The model that was evaluated now comes second, because the difference is about it; the paper has no
    # model that could come first.
    first, second = (evaluated, against) if against.startswith(PAPER) else (against, evaluated)
    components = {component_of_score(score) for score in done.scores}
    return comparison(first, second, done.benchmarks, only=components)
