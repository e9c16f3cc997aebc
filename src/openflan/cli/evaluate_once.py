"""What `openflan evaluate` does when its options are known: evaluates, and prints scores and comparisons."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import typer

from openflan.api.options import EvaluateOptions
from openflan.cli.compare import print_comparison
from openflan.cli.evaluation_output import BenchmarkBars, GenerationCounts, print_scores
from openflan.cli.output import next_command, print_json
from openflan.evaluation.comparison import PAPER, check_side, comparison
from openflan.evaluation.printed_score import printed
from openflan.evaluation.saved_models import component_of_score
from openflan.evaluation.score_record import EvaluationScore

if TYPE_CHECKING:
    from openflan.api.evaluate import Evaluation


def evaluate_once(
    model: str, benchmarks: list[str], options: EvaluateOptions, against: str | None, *, as_json: bool
) -> list[EvaluationScore]:
    """Evaluates once and prints the result; returns the scores of this process."""
    from openflan.api.evaluate import evaluate_all

    if against:
        check_side(against)
    counts, start = GenerationCounts(), time.monotonic()
    with BenchmarkBars(hidden=os.environ.get("RANK", "0") != "0") as bars:
        done = evaluate_all(
            model, benchmarks, options, progress=bars.show, generated=counts.add, notice=_notice
        )
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


def evaluate_own_rows(model: str, options: EvaluateOptions, against: str | None, *, as_json: bool) -> None:
    """Scores own rows for a run and its base, and prints the difference; of a model without a base its
    scores."""
    from openflan.api.evaluate import evaluate_with_base

    if against:
        check_side(against)
    counts, start = GenerationCounts(), time.monotonic()
    with BenchmarkBars(hidden=os.environ.get("RANK", "0") != "0") as bars:
        before, after = evaluate_with_base(
            model, options, progress=bars.show, generated=counts.add, notice=_notice
        )
    if not after.is_main:
        return
    typer.echo(f"{counts.text} in {time.monotonic() - start:,.0f} s", err=True)
    sides = [f"{after.run.folder}:{before.label}"] if before else []
    comparisons = [_compared(after, side) for side in (*sides, *([against] if against else []))]
    scores = [*(before.scores if before else ()), *after.scores]
    if as_json:
        printed_scores = [printed(score) for score in scores]
        print_json({"scores": printed_scores, "comparisons": comparisons})
        return
    for evaluation in (before, after) if before else (after,):
        typer.echo(f"{evaluation.label}:")
        print_scores(evaluation.scores, with_suite_averages=False)
    for compared in comparisons:
        print_comparison(compared)
    next_command("report", after.run.folder)


def _notice(text: str) -> None:
    typer.echo(text, err=True)


def _compared(done: Evaluation, against: str) -> dict[str, Any]:
    """The comparison with `against`, of the benchmarks that were evaluated now."""
    evaluated = f"{done.run.folder}:{done.label}"
    # The model that was evaluated now comes second, because the difference is about it; the paper has no
    # model that could come first.
    first, second = (evaluated, against) if against.startswith(PAPER) else (against, evaluated)
    components = {component_of_score(score) for score in done.scores}
    return comparison(first, second, done.benchmarks, only=components)
