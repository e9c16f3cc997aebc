"""`openflan compare`, and the comparison that `openflan evaluate --against` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import print_json, print_table
from openflan.evaluation.compare import AGREES, AGREES_AS_CHANCE, NO_DIFFERENCE, TOO_WIDE, WIDEST
from openflan.evaluation.paper import CITED
from openflan.evaluation.score_record import SELECTED_ON

_VERDICTS = {
    NO_DIFFERENCE: "",
    "above the paper": "above",
    "below the paper": "below",
    AGREES: "agrees",
    AGREES_AS_CHANCE: "agrees, chance too",
}
"""Short verdicts for a table; of two models it names the one that is higher."""

_LONGEST_HEAD = 12
"""Characters of a model's name that heads a column."""


def compare(
    a: str = typer.Argument(
        help=(
            "A run folder, FOLDER:LABEL, or a file of generations. LABEL is base, final or step-N; with the "
            "name of `evaluate --label` it is final@NAME."
        )
    ),
    b: str = typer.Argument(
        help=("A run folder, FOLDER:LABEL, a file of generations, or paper:NAME, such as paper:flan-t5-base.")
    ),
    benchmark: list[Path] = typer.Option(
        [], help="The YAML file of a benchmark of your own, to compare on it too. May be repeated."
    ),
    seed: int = typer.Option(0, help="The seed of the bootstrap."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Compare two models question by question, or one model with the figures in the paper, without a model.

    Example: `openflan compare runs/mine:base runs/mine:final`
    """
    from openflan.api.scores import compare as compare_models

    result = compare_models(a, b, benchmark, seed=seed).to_json()
    if as_json:
        print_json(result)
    else:
        print_comparison(result)


def print_comparison(compared: dict[str, Any]) -> None:
    """A table a benchmark, averages first."""
    first, second = compared["names"]["a"], compared["names"]["b"]
    # Long names stand once, in the title: as heads of columns they would leave no room for figures.
    is_long = max(len(first), len(second)) > _LONGEST_HEAD
    heads = ("first", "second") if is_long else (first, second)
    of_title = f"second, {second}, minus first, {first}" if is_long else f"{second} minus {first}"
    for benchmark in compared["benchmarks"]:
        paper = "sources" in benchmark
        keys = ["n", "ours", "paper", "difference"] if paper else ["n", "a", "b", "difference"]
        rows = []
        # The mean over one task is that task.
        means = {} if len(benchmark["tasks"]) == 1 else benchmark["averages"]
        for name, cells in [
            *((f"mean: {name}", cells) for name, cells in means.items()),
            *benchmark["tasks"].items(),
        ]:
            counts = [] if paper else [cells["only_a"], cells["only_b"], cells["p"]]
            verdict = _short(cells["verdict"])
            if is_long and not paper:
                verdict = dict(zip((first, second), heads, strict=True)).get(verdict, verdict)
            rows.append([name, *(cells[key] for key in keys), *cells["ci95"], verdict, *counts])
        figures = ["n", "ours", "paper", "difference"] if paper else ["n", *heads, "difference"]
        ends = [] if paper else [*(f"only {head}" for head in heads), "p"]
        title = (
            f"{benchmark['benchmark']}: {first} minus {second} of the paper, with our 95 % interval"
            if paper
            else f"{benchmark['benchmark']}: {of_title}, with its 95 % interval"
        )
        columns = ["task", *figures, "from", "to", "verdict" if paper else "higher", *ends]
        print_table(title, columns, rows)
        for side in benchmark.get("selected_on", []):
            typer.echo(
                f"{SELECTED_ON}: {compared['names'][side]} is the checkpoint that this benchmark chose, so "
                "that its score here is too high for a held-out one"
            )
        if benchmark.get("unit"):
            typer.echo("in bits per byte of the right answer: lower is better, and the higher model is worse")
        if paper:
            typer.echo(
                f"source: {CITED}, "
                + "; ".join(source.removeprefix(f"{CITED}, ") for source in benchmark["sources"])
            )
            verdicts = [
                cells["verdict"] for kind in ("averages", "tasks") for cells in benchmark[kind].values()
            ]
            if any(verdict.startswith(TOO_WIDE) for verdict in verdicts):
                typer.echo(
                    f"{TOO_WIDE}: it reaches more than {WIDEST:g} points to each side, and nearly any figure "
                    "would lie in it; answer more questions"
                )
            if AGREES_AS_CHANCE in verdicts:
                typer.echo("chance too: the interval also holds the score of guessing")
            if benchmark["partial"]:
                typer.echo(
                    "not all questions were answered: means are not held against the paper's, and tasks "
                    "on the questions that were"
                )
            if benchmark["samples"] > 1:
                typer.echo(
                    f"ours is the majority of {benchmark['samples']} samples; the paper's figures are "
                    "greedy, but for those of models named -sc"
                )
            continue
        if any(benchmark["unmatched"].values()):
            typer.echo(
                f"left out: {benchmark['unmatched']['a']:,} questions that only {first} answered, "
                f"{benchmark['unmatched']['b']:,} that only {second} answered"
            )
        if benchmark["other_options"]:
            listed = ", ".join(
                f"{other['option']} {other['a']} and {other['b']}" for other in benchmark["other_options"]
            )
            typer.echo(f"asked with other options ({first} and {second}): {listed}")
        if benchmark["other_targets"]:
            typer.echo(
                f"left out: {benchmark['other_targets']:,} questions whose right answers differ between the "
                "two: they were asked of other rows"
            )
        if benchmark["compared_as_texts"]:
            typer.echo(
                "the answers do not say how they are judged (they are of version 0.1 or of another "
                "program), and are compared as texts"
            )
    if compared["left_out"]:
        typer.echo(f"not compared: {', '.join(compared['left_out'])}")


def _short(verdict: str) -> str:
    return _VERDICTS.get(verdict, verdict).removesuffix(" is higher")
