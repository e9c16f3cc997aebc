"""The command `openflan evaluate`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import typer

from openflan.api.options import EvaluateOptions, LoadOptions
from openflan.api.own_rows import is_of_own_rows
from openflan.api.watch import watch_run
from openflan.cli.benchmark_options import DATA, JSON, METRIC, MODE, SHOTS, SPLIT, WORDINGS
from openflan.cli.evaluate_once import evaluate_once, evaluate_own_rows
from openflan.cli.own_data_options import FORMAT, MAP
from openflan.errors import InputError
from openflan.evaluation.known_benchmarks import SUITES
from openflan.evaluation.score_record import EvaluationScore
from openflan.evaluation.selection import NAMES, OWN_HELP
from openflan.models.device import HELP as DEVICE_HELP
from openflan.run_folder import Run


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
    format: str | None = FORMAT,
    columns: str | None = MAP,
    with_base: bool = typer.Option(
        True,
        "--with-base/--no-base",
        help="For your own rows and a run: score the model that the run started from too, and compare.",
    ),
    label: str | None = typer.Option(
        None,
        help=(
            "A name for this evaluation, such as `short`: its generations and scores are kept beside those "
            "of other options of decoding, as the model `final@short`."
        ),
    ),
    limit: int | None = typer.Option(None, min=1, help="Evaluate the first N rows of each task."),
    subset: str | None = typer.Option(None, help="The tasks to evaluate, separated by commas."),
    shots: int | None = SHOTS,
    split: str | None = SPLIT,
    max_tokens: int | None = typer.Option(
        None, min=1, help="The maximum number of tokens of a generation, without its thinking block."
    ),
    thinking_tokens: int | None = typer.Option(
        None,
        min=1,
        help=(
            "For reasoning models: the maximum number of tokens of a thinking block, such as "
            "<think>...</think>. Default: four times --max-tokens."
        ),
    ),
    extract: str = typer.Option(
        "phrase",
        help=(
            "For --mode cot: `phrase` takes what follows the last answer phrase. `second-pass` asks a second "
            'time, "Therefore, the answer (...) is" (Kojima et al. 2022); it needs --shots 0.'
        ),
    ),
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
    device: str | None = typer.Option(None, help=DEVICE_HELP),
    chat: bool = typer.Option(
        False,
        "--chat",
        help=(
            "Put each prompt into the model's chat template. By default prompts are plain, as published "
            "protocols are, except for a run whose recipe has the layout `chat`."
        ),
    ),
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

    `openflan evaluate runs/mine --data test.jsonl` scores your own rows, for the run and for the model that
    it started from, and prints the paired difference. Each row is shown as the run showed its training rows.
    A file gives its rows, a folder with splits those of its test split.

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
        chat=chat or None,
        device=device,
        model_name=model_name,
        parallel=parallel,
        per_minute=per_minute,
    )
    options = EvaluateOptions(
        suite=suite,
        mode=mode,
        data=data,
        format=format,
        columns=columns,
        label=label,
        fetch=fetch,
        limit=limit,
        subset=tuple(subset.split(",")) if subset else None,
        shots=shots,
        split=split,
        max_tokens=max_tokens,
        thinking_tokens=thinking_tokens,
        extract=extract,
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
    elif is_of_own_rows(benchmark, options) and with_base:
        evaluate_own_rows(model, options, against, as_json=as_json)
    else:
        evaluate_once(model, benchmark, options, against, as_json=as_json)


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
        return evaluate_once(model, benchmarks, at_step, against, as_json=False)

    watch_run(Run(Path(model)), evaluate_step, lambda text: typer.echo(text, err=True))
