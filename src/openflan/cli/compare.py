"""`openflan compare`, and the comparison that `openflan evaluate --against` prints."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import print_json, print_table
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.paper import CITED

PAPER = "paper:"

_VERDICTS = {"a is higher": "a", "b is higher": "b", "above the paper": "above", "below the paper": "below", "agrees with the paper": "agrees"}
"""As a table shows them; nothing where no difference is shown."""


def compare(
    a: str = typer.Argument(help="A run folder, FOLDER:LABEL (base, final, step-N) or a file of generations."),
    b: str = typer.Argument(help="The same, or paper:NAME such as paper:flan-t5-base."),
    benchmark: list[Path] = typer.Option([], help="The YAML file of a benchmark of your own, to compare by it as well; may be repeated."),
    seed: int = typer.Option(0, help="Of the bootstrap."),
    as_json: bool = typer.Option(False, "--json", help="One JSON value on standard output."),
) -> None:
    """Compare two models question by question, or one with the paper's printed figures; needs no model.

    Example: `openflan compare runs/mine:final runs/mine:base`
    """
    found = comparison(a, b, [one for path in benchmark for one in _both_modes(path)], seed=seed)
    if as_json:
        print_json(found)
    else:
        print_comparison(found)


def comparison(a: str, b: str, own: Sequence[Benchmark] = (), *, seed: int = 0, only: Collection[str] | None = None) -> dict[str, Any]:
    """`{"a", "b", "benchmarks": [...], "left_out": [...]}`; `own` are benchmarks beside those of the catalogue, `only` keeps components such as
    `bbh-cot`. Raises InputError if the two have no benchmark in common.
    """
    from openflan.evaluation.compare import against_paper, compare_models
    from openflan.evaluation.paper import paper_model
    from openflan.evaluation.saved import judge_all, read_saved, score_file
    from openflan.evaluation.saved_models import benchmark_of, saved_model

    if a.startswith(PAPER):
        raise InputError(f"`{a}` has printed figures only: give your own model first, as in `openflan compare runs/mine {a}`")
    first = saved_model(a, own)
    chosen = {name: place for name, place in first.files.items() if only is None or name in only}
    results = []
    if b.startswith(PAPER):
        model = paper_model(b.removeprefix(PAPER))
        left_out = [name for name, place in chosen.items() if f"{place.benchmark}-{place.mode}" not in model.components]
        for name, place in chosen.items():
            if name not in left_out:
                rule = benchmark_of(place, own)
                figures = model.components[f"{place.benchmark}-{place.mode}"]
                found = against_paper(score_file(place.path, rule, partial=True), figures, split=rule.split)
                results.append({"benchmark": name, **found, "sources": list(figures.sources)})
    else:
        second = saved_model(b, own)
        left_out = [name for name in chosen if name not in second.files]
        for name, place in chosen.items():
            if name not in left_out:
                rule = benchmark_of(place, own)
                ours, theirs = ({key: one for key, (_, one) in judge_all(read_saved(file, rule)).items()} for file in (place.path, second.files[name].path))
                results.append({"benchmark": name, **compare_models(ours, theirs, rule.averages, seed=seed).as_json()})
    if not results:
        raise InputError(f"{a} and {b} have no benchmark in common: {a} has {', '.join(chosen) or 'none'}")
    return {"a": a, "b": b, "benchmarks": results, "left_out": [*left_out, *map(str, first.unknown)]}


def _both_modes(path: Path) -> list[Benchmark]:
    """A benchmark of one's own, answered directly and with rationales; its exemplars do not matter any more."""
    from openflan.evaluation.own import own_benchmark

    return [own_benchmark(path, mode, shots=0) for mode in ("direct", "cot")]


def check_side(name: str) -> None:
    """Raises InputError if the other side of a comparison does not exist, before anything is computed for it."""
    from openflan.evaluation.paper import paper_model
    from openflan.evaluation.saved_models import saved_model

    if name.startswith(PAPER):
        paper_model(name.removeprefix(PAPER))
    else:
        saved_model(name)


def components(scores: Iterable[Mapping[str, Any]]) -> set[str]:
    """The components of results of an evaluation, as `comparison` names them."""
    return {f"{one['benchmark']}-{one['mode']}{one.get('variant', '')}" + (f"-{one['split']}" if one["split"] else "") for one in scores}


def print_comparison(found: dict[str, Any]) -> None:
    """A table a benchmark, averages first."""
    for one in found["benchmarks"]:
        paper = "sources" in one
        keys = ["n", "ours", "paper", "difference"] if paper else ["n", "a", "b", "difference"]
        rows = []
        for name, cells in [*((f"mean: {name}", cells) for name, cells in one["averages"].items()), *one["tasks"].items()]:
            more = [] if paper else [cells["only_a"], cells["only_b"], cells["p"]]
            rows.append([name, *(cells[key] for key in keys), *cells["ci95"], *more, _VERDICTS.get(cells["verdict"], "")])
        columns = ["task", *keys, *(["ours from", "ours to"] if paper else ["95% from", "95% to", "only a", "only b", "p"]), "verdict"]
        print_table(f"{one['benchmark']}: {found['a']} against {found['b']}", columns, rows)
        if paper:
            typer.echo(f"source: {CITED}, " + "; ".join(source.removeprefix(f"{CITED}, ") for source in one["sources"]))
            if one["partial"]:
                typer.echo("not all questions were answered: means are not held against the paper's, and tasks on the questions that were")
            if one["samples"] > 1:
                typer.echo(f"ours is the majority of {one['samples']} samples; the paper's figures are greedy, but for those of models named -sc")
        elif any(one["unmatched"].values()):
            typer.echo(f"left out: {one['unmatched']['a']:,} questions that only a answered, {one['unmatched']['b']:,} that only b answered")
    if found["left_out"]:
        typer.echo(f"not compared: {', '.join(found['left_out'])}")
