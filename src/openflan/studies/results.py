"""The results of a study as plain values, CSV, and files to commit. They depend on the answers alone: no
time, no machine, no order of cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from openflan.errors import SetupError
from openflan.run_folder import replacing, write_json
from openflan.studies.cell_scores import Scores
from openflan.studies.directions import decide
from openflan.studies.figures import draw
from openflan.studies.page import page
from openflan.studies.statistics import Column, mean, over_items, over_seeds, score
from openflan.studies.study_schema import Study

_DECIMALS = 4


def results_of(study: Study, scores: Scores, seeds: Sequence[int]) -> dict[str, Any]:
    """`{"study", "question", "cells": [...], "directions": [...]}`; a cell has `scores[evaluation][group]`
    with the mean over its seeds, each seed's score, and both intervals, all in normalized points. Cells that
    have not run are not there."""
    evaluations = [*scores.layouts, *scores.averages]
    combinations = [
        (name, evaluation, group)
        for name in scores.names()
        for evaluation in evaluations
        for group in scores.groups(evaluation)
    ]
    scores_by_combination = {
        combination: by_seed
        for combination in combinations
        if (by_seed := _by_seed(scores, combination, seeds))
    }
    items = over_items(
        {
            "\t".join(combination): mean(list(by_seed.values()))
            for combination, by_seed in scores_by_combination.items()
        }
    )
    cells = []
    for name in scores.names():
        of_cell = {
            combination: by_seed
            for combination, by_seed in scores_by_combination.items()
            if combination[0] == name
        }
        if not of_cell:
            continue
        table: dict[str, dict[str, Any]] = {}
        for combination, by_seed in of_cell.items():
            table.setdefault(combination[1], {})[combination[2]] = _score(
                by_seed, items["\t".join(combination)], scores.trained(name)
            )
        cell = scores.any_of(name)
        cells.append(
            {
                "cell": name,
                "values": dict(cell.values),
                "control": cell.control,
                "trained": cell.trained,
                "scores": table,
            }
        )
    results: dict[str, Any] = _rounded(
        {
            "study": study.name,
            "question": study.question,
            "cells": cells,
            "directions": decide(study, scores, seeds),
        }
    )
    return results


def as_csv(results: Mapping[str, Any]) -> str:
    """A line for each cell, evaluation and group."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    axes = list(results["cells"][0]["values"]) if results["cells"] else []
    ends = ["seeds_low", "seeds_high", "items_low", "items_high"]
    writer.writerow(["cell", *axes, "control", "evaluation", "group", "mean", *ends, "seeds"])
    for cell in results["cells"]:
        for evaluation, groups in cell["scores"].items():
            for group, group_score in groups.items():
                intervals = [*(group_score["ci95_seeds"] or ("", "")), *group_score["ci95_items"]]
                named = [cell["cell"], *cell["values"].values(), cell["control"] or "", evaluation, group]
                writer.writerow([*named, group_score["mean"], *intervals, len(group_score["seeds"])])
    return written.getvalue()


def write_results(folder: Path, study: Study, scores: Scores, results: dict[str, Any], command: str) -> None:
    """results.json, results.csv, the figures where matplotlib is installed, and the page README.md."""
    write_json(folder / "results.json", results)
    _write(folder / "results.csv", as_csv(results))
    figures = {}
    for figure in study.figures:
        try:
            figures[figure.name] = draw(figure, study, results, folder / f"{figure.name}.svg")
        except SetupError:
            figures[figure.name] = False
    _write(
        folder / "README.md",
        page(study, scores, results, [name for name, drawn in figures.items() if drawn], command),
    )


def _by_seed(scores: Scores, combination: tuple[str, str, str], seeds: Sequence[int]) -> dict[int, Column]:
    name, evaluation, group = combination
    cell_seeds = seeds if scores.trained(name) else seeds[:1]
    return {
        seed: cell_column
        for seed in cell_seeds
        if (cell_column := scores.column(name, seed, evaluation, group)) is not None
    }


def _score(by_seed: Mapping[int, Column], items: tuple[float, float], trained: bool) -> dict[str, Any]:
    values = {seed: score(one) for seed, one in by_seed.items()}
    return {
        "mean": fmean(values.values()),
        "seeds": {str(seed): value for seed, value in values.items()} if trained else {},
        "ci95_seeds": over_seeds(list(values.values())) if trained else None,
        "ci95_items": items,
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return round(value, _DECIMALS) if isinstance(value, float) else value


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
