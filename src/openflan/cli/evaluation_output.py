"""Progress and results of `openflan evaluate`: bars, counts of generations, and tables of scores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import typer

from openflan.cli.output import Bar
from openflan.cli.score import print_score
from openflan.evaluation.averages import averages_of_scores
from openflan.evaluation.generate import Generated
from openflan.evaluation.score_record import EvaluationScore


def print_scores(scores: Sequence[EvaluationScore], *, with_suite_averages: bool) -> None:
    """Print a table for each score, and the suite's averages under them if they are wanted."""
    for score in scores:
        print_score(score)
        _print_prompt_notes(score)
    if not with_suite_averages:
        return
    averages = averages_of_scores(scores, partial=True)
    figures = "; ".join(f"{name} {value:.1f}" for name, value in averages.items() if value is not None)
    typer.echo(
        figures
        or (
            "no average over the suite: the paper's are of greedy generation with each benchmark's own "
            "number of exemplars"
        )
    )


def _print_prompt_notes(score: EvaluationScore) -> None:
    """Print what the table of scores does not show: prompts and exemplars that did not fit, and rows that
    served as the exemplar."""
    if too_long := sum(task.too_long for task in score.tasks.values()):
        typer.echo(
            f"{too_long:,} prompts do not fit the model even without exemplars: unanswered, and counted "
            "as wrong"
        )
    if score.exemplars_dropped:
        typer.echo(
            f"{score.exemplars_dropped:,} exemplars did not fit and were left out of "
            f"{score.prompts_shortened:,} prompts; on average a prompt had {score.exemplars:.2f}"
        )
    if score.exemplar_from_dev:
        typer.echo(
            "the first row by id of dev is the exemplar, and not scored, in "
            f"{', '.join(score.exemplar_from_dev)}: no train file"
        )


class GenerationCounts:
    """Sums of generations and tokens over the benchmarks of one call."""

    def __init__(self) -> None:
        self._new = self._found = self._tokens = 0

    def add(self, generated: Generated) -> None:
        """Add the counts of one benchmark."""
        self._new += generated.new
        self._found += generated.found
        self._tokens += generated.tokens

    @property
    def text(self) -> str:
        """The sums as a sentence."""
        return f"{self._new:,} generations, {self._tokens:,} tokens" + (
            f" ({self._found:,} more were there)" if self._found else ""
        )


class BenchmarkBars:
    """A progress bar for each benchmark, one after another. Use it as a context manager."""

    def __init__(self, *, hidden: bool) -> None:
        self._hidden = hidden
        self._title = ""
        self._bars = ExitStack()
        self._bar: Bar | None = None

    def __enter__(self) -> BenchmarkBars:
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.close()

    def show(self, title: str, done: int, total: int) -> None:
        """Show the state of the benchmark `title`; a new title closes the bar before it."""
        if self._bar is None or title != self._title:
            self._bars.close()
            self._title, self._bar = title, self._bars.enter_context(Bar(title, "row", hidden=self._hidden))
        self._bar.show(done, total)
