"""The command `openflan score`, and the tables that show scores."""

from __future__ import annotations

from pathlib import Path

import typer

from openflan.api.scores import benchmark_to_score
from openflan.cli.benchmark_options import METRIC, WORDINGS
from openflan.cli.output import print_json, print_table
from openflan.errors import InputError, did_you_mean
from openflan.evaluation.bits_per_byte import GOLD
from openflan.evaluation.compare import NO_DIFFERENCE
from openflan.evaluation.printed_score import printed
from openflan.evaluation.score_record import SELECTED_ON, EvaluationScore
from openflan.evaluation.score_saved import OVER_QUESTIONS, score_file
from openflan.evaluation.selection import NAMES

FORMATS = ("lm-eval",)
CATEGORY = "category "
"""With it begin the names of the means by category (`task_benchmark.py`)."""


def score(
    benchmark: str = typer.Argument(
        help=f"A benchmark: {NAMES}, a task of --data, or a YAML file of your own."
    ),
    generations: Path = typer.Option(
        ...,
        help=(
            "A .jsonl or .jsonl.gz file of generations. If a question has several samples, the "
            "majority decides. Lines with `first_pass`, or lines with `pass` 1 and 2, are scored as the two "
            "passes of a zero-shot chain of thought (--mode cot)."
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
    metric: str | None = METRIC,
    wordings: str | None = WORDINGS,
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
    if wordings not in (None, "all"):
        raise InputError(f"`--wordings {wordings}`: expected `all`")
    opened_benchmark = benchmark_to_score(
        benchmark, mode, data, split, metric, all_wordings=wordings == "all"
    )
    new_score = score_file(generations, opened_benchmark, partial=partial)
    if out is not None:
        from openflan.evaluation.lm_eval_log import write_lm_eval_log

        num_lines = write_lm_eval_log(out, generations, opened_benchmark, prompts=data is not None)
        typer.echo(f"{num_lines:,} samples in {out}", err=True)
    if as_json:
        print_json(printed(new_score))
    else:
        print_score(new_score)


def print_score(score: EvaluationScore) -> None:
    """Print the tasks of a score as a table, with its averages and their intervals above it."""
    metrics = list(dict.fromkeys(name for task in score.tasks.values() for name in task.metrics))
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
            task.n,
            task.accuracy,
            *(task.ci95 or (None, None)),
            *(task.metrics.get(metric) for metric in metrics),
            task.normalized,
            task.chance,
            task.extracted,
            task.truncation,
        ]
        for name, task in score.tasks.items()
    ]
    if score.key.decoding.likelihood == GOLD:
        _print_bits_per_byte(score)
        return
    print_table(f"{score.key.benchmark} {score.key.mode}: {headline(score)}", columns, rows)
    typer.echo(
        f"normalized average {_percent(score.normalized)}; {_other_averages(score)}extracted and truncated "
        "are shares of questions and generations in %"
    )
    _print_categories(score)
    if score.gold and "average" in score.gold.averages:
        typer.echo(f"bits per byte of the right answer: {score.gold.averages['average'].value:.3f}")
    for metric, signature in score.signatures.items():
        typer.echo(f"{metric}: {signature}")
    _print_wordings(score)
    samples = score.key.decoding.samples
    if samples > 1:
        curve = ", ".join(f"{count}: {_percent(value)}" for count, value in score.curve.items())
        typer.echo(
            f"majority of {samples} samples, agreement {_percent(score.agreement)} %; "
            f"accuracy by number of samples: {curve}"
        )
    if thinking := score.thinking:
        length = (
            f"{thinking.mean_characters:,.0f} characters"
            if thinking.mean_tokens is None
            else f"{thinking.mean_tokens:,.0f} tokens"
        )
        typer.echo(
            f"{thinking.generations:,} generations think ({_percent(thinking.share)} %), {length} on "
            f"average; {_percent(thinking.closed)} % of the thinking blocks are closed, and "
            f"{thinking.unclosed:,} without an end are unanswered"
        )
    if score.missing or score.duplicates:
        typer.echo(
            f"partial: {score.missing:,} questions are missing or lack samples, "
            f"{score.duplicates:,} generations are there again and do not count"
        )


def headline(score: EvaluationScore) -> str:
    """Return the average with its interval, as text."""
    if score.average is None:
        return "average -"
    low, high = score.intervals["average"].ci95
    marks = (" (partial)" if score.partial else "") + (f" ({SELECTED_ON})" if score.selected_on else "")
    return f"average {score.average:.2f} % (95 %: {low:.2f} to {high:.2f}){marks}"


def _print_bits_per_byte(score: EvaluationScore) -> None:
    """Print the bits per byte of the right answers by task; nothing was answered, so there is no accuracy."""
    gold = score.gold
    averages = {f"mean: {name}": one for name, one in gold.averages.items()} if gold else {}
    lines = averages | (dict(gold.tasks) if gold else {})
    marks = (" (partial)" if score.partial else "") + (f" ({SELECTED_ON})" if score.selected_on else "")
    print_table(
        f"{score.key.benchmark} {score.key.mode}: bits per byte of the right answer{marks}",
        ["task", "n", "bits per byte", "95% from", "95% to"],
        [[name, one.n, one.value, *one.ci95] for name, one in lines.items()],
    )
    typer.echo("lower is better; nothing was generated, so there is no accuracy")


def _print_wordings(score: EvaluationScore) -> None:
    """Print how much the score depends on the wording, task by task."""
    for task, effect in score.wordings.items():
        print_table(
            f"{task}: {len(effect.wordings)} wordings, {effect.n:,} questions each",
            ["wording", "score"],
            [[name, value] for name, value in sorted(effect.wordings.items(), key=lambda pair: -pair[1])],
        )
        if not effect.difference:
            typer.echo(f"mean {effect.mean:.2f} % with every wording")
            continue
        low, high = effect.ci95
        typer.echo(
            f"mean {effect.mean:.2f} %, standard deviation {effect.deviation:.2f}; worst {effect.worst}, "
            f"best {effect.best}: {effect.difference:.2f} points apart (95 %, paired, for all pairs at once: "
            f"{low:.2f} to {high:.2f})" + ("" if effect.shown else f"; {NO_DIFFERENCE}")
        )


def _other_averages(score: EvaluationScore) -> str:
    """The averages beside the headline that have intervals, as text."""
    return "".join(
        f"{'mean over questions' if name == OVER_QUESTIONS else name} {_percent(score.averages[name])}; "
        for name in score.intervals
        if name != "average" and not name.startswith(CATEGORY)
    )


def _print_categories(score: EvaluationScore) -> None:
    """Print the means by category of Super-NaturalInstructions, each over its questions."""
    rows = [
        [name.removeprefix(CATEGORY), interval.n, score.averages[name], *interval.ci95]
        for name, interval in score.intervals.items()
        if name.startswith(CATEGORY)
    ]
    if rows:
        print_table(
            "by category, every question the same weight",
            ["category", "n", "score", "95% from", "95% to"],
            rows,
        )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
