"""`openflan score`, and how scores are printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from openflan.api.scores import benchmark_to_score
from openflan.cli.output import print_json, print_table
from openflan.errors import InputError, did_you_mean
from openflan.evaluation.score_saved import OVER_QUESTIONS, score_file
from openflan.evaluation.selection import NAMES

FORMATS = ("lm-eval",)


def score(
    benchmark: str = typer.Argument(
        help=f"A benchmark: {NAMES}, a task of --data, or a YAML file of your own."
    ),
    generations: Path = typer.Option(
        ...,
        help=(
            "A .jsonl or .jsonl.gz file of generations. If a question has several samples, the "
            "majority decides."
        ),
    ),
    mode: str = typer.Option(
        "direct",
        help=(
            "`direct` if the model was asked for the answer, `cot` if it was asked for a chain of "
            "thought first."
        ),
    ),
    split: str | None = typer.Option(
        None, help="For mmlu: `validation` (the default, as in the paper's Table 5) or `test`."
    ),
    data: Path | None = typer.Option(
        None,
        help=(
            "The benchmark's files. Tasks need them, and --format lm-eval needs them to write the prompts."
        ),
    ),
    partial: bool = typer.Option(
        False,
        help=(
            "Average over the questions that are there, if the file is incomplete or contains "
            "questions twice."
        ),
    ),
    format: str | None = typer.Option(
        None, help="`lm-eval` also writes the samples to --out in the format of lm-eval's logs."
    ),
    out: Path | None = typer.Option(None, help="The file that --format writes."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Score saved generations, without a model.

    Example: `openflan score bbh --mode cot --generations runs/mine/generations/final-bbh-cot.jsonl --partial`
    """
    if format is not None and format not in FORMATS:
        raise InputError(
            f"`--format {format}` is no "
            f"format{did_you_mean(format, FORMATS) or '; expected ' + ', '.join(FORMATS)}"
        )
    if (format is None) != (out is None):
        raise InputError(
            "`--format lm-eval` and `--out FILE` go together: the first is the format, the second the file"
        )
    judged_by = benchmark_to_score(benchmark, mode, data, split)
    scored = score_file(generations, judged_by, partial=partial)
    if out is not None:
        from openflan.evaluation.lm_eval_log import write_lm_eval_log

        lines = write_lm_eval_log(out, generations, judged_by, prompts=data is not None)
        typer.echo(f"{lines:,} samples in {out}", err=True)
    if as_json:
        print_json(scored)
    else:
        print_score(scored)


def print_score(scored: dict[str, Any]) -> None:
    """A result of `score_file` as a table, its averages with their intervals above it."""
    metrics = list(
        dict.fromkeys(name for task in scored["tasks"].values() for name in task if name not in _TASK_KEYS)
    )
    columns = [
        "task",
        "n",
        "accuracy",
        "95% from",
        "95% to",
        *metrics,
        "normalized",
        "chance",
        "extracted",
        "truncated",
    ]
    rows = [
        [
            name,
            task["n"],
            task["accuracy"],
            *task["ci95"],
            *(task.get(key) for key in metrics),
            task["normalized"],
            task["chance"],
            task["extracted"],
            task["truncation"],
        ]
        for name, task in scored["tasks"].items()
    ]
    print_table(f"{scored['benchmark']} {scored['mode']}: {headline(scored)}", columns, rows)
    typer.echo(
        f"normalized average {_percent(scored['normalized'])}; {_beside(scored)}extracted and truncated are "
        "shares of questions and generations in %"
    )
    if scored["samples"] > 1:
        curve = ", ".join(f"{k}: {_percent(value)}" for k, value in scored["curve"].items())
        typer.echo(
            f"majority of {scored['samples']} samples, agreement {_percent(scored['agreement'])} %; "
            f"accuracy by number of samples: {curve}"
        )
    if scored["missing"] or scored["duplicates"]:
        typer.echo(
            f"partial: {scored['missing']:,} questions are missing or lack samples, "
            f"{scored['duplicates']:,} generations are there again and do not count"
        )


def headline(scored: dict[str, Any]) -> str:
    """The average with its interval."""
    if scored["average"] is None:
        return "average -"
    low, high = scored["intervals"]["average"]["ci95"]
    return (
        f"average {scored['average']:.2f} % (95 %: {low:.2f} to "
        f"{high:.2f}){' (partial)' if scored['partial'] else ''}"
    )


_TASK_KEYS = frozenset(
    {
        "accuracy",
        "stderr",
        "ci95",
        "extracted",
        "n",
        "too_long",
        "truncated",
        "truncation",
        "chance",
        "normalized",
        "metric",
        "samples",
        "agreement",
    }
)
"""What every task's score has; anything else is a metric of the benchmark."""


def _beside(scored: dict[str, Any]) -> str:
    means: Sequence[str] = [name for name in scored["intervals"] if name != "average"]
    return "".join(
        f"{'mean over questions' if name == OVER_QUESTIONS else name} {_percent(scored[name])}; "
        for name in means
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
