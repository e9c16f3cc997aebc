"""The figures the paper printed, as packaged data (`paper_tables/*.json`, each file with its source), and
models looked up in them.

A model's figures are gathered over the tables. Table 5 has the six components, and Table 3 parts of the
mixture. Table 1 has people, forecasts and other systems on MMLU's test split. Table 4 has the test split, the
two halves of BBH, self-consistency and the best results before the paper. Tables 17 to 21 have cells per
task. A row that two tables print stands in one file; the other file names it (`same_as`). Decision: figures
stay as printed, rounding included. Only two cells, which no copy shows, are computed from their column's
mean, and they are marked. Price: misprints of the paper stay; those that are known are under `misprints`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from openflan.errors import InputError, did_you_mean

TABLES = (
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "table6",
    "table7",
    "table10",
    "tables17to19",
    "table20",
    "table21",
    "table22",
    "table23",
)

CITED = "Chung et al. 2022, Scaling Instruction-Finetuned Language Models, arXiv 2210.11416v5"
"""The sources of all tables start with this."""

ROUNDING = 0.05
"""Printed figures have one decimal."""


@dataclass(frozen=True, slots=True)
class PaperFigures:
    """A component's figures in percent: means by name (`average`; `test` of MMLU; `nlp` and `algorithmic` of
    BBH), cells by task, and where printed.

    `computed` names tasks whose cell follows from the printed mean.
    """

    averages: Mapping[str, float] = field(default_factory=dict)
    tasks: Mapping[str, float] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PaperModel:
    """A model of the paper: `components` by `benchmark-mode`, and the printed normalized average, None where
    there is none."""

    name: str
    normalized: float | None
    components: Mapping[str, PaperFigures]


@cache
def paper_table(name: str) -> dict[str, Any]:
    """A packaged table as it is in its file, with the cells of rows that another table prints; raises
    InputError for an unknown name."""
    if name not in TABLES:
        raise InputError(
            f"there is no table `{name}`{did_you_mean(name, TABLES) or '; there are ' + ', '.join(TABLES)}"
        )
    table: dict[str, Any] = json.loads(
        (files("openflan.evaluation") / "paper_tables" / f"{name}.json").read_text(encoding="utf-8")
    )
    table["rows"] = [_with_cells(row) if "same_as" in row else row for row in table["rows"]]
    return table


def _with_cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the cells of the row that it names by table and model. Table 1 has the first column only."""
    table_name, model = row["same_as"]
    rows = paper_table(table_name)["rows"]
    cells = next(other["cells"] for other in rows if model in (other.get("name"), other["model"]))
    others = {key: value for key, value in row.items() if key != "same_as"}
    return {**others, "cells": cells[:1] if table_name == "table4" else cells}


def paper_models() -> list[str]:
    """The names of the paper's models, in the order of the tables."""
    return [*_normalized(), *(name for name in _rows() if name not in _normalized())]


def paper_model(name: str) -> PaperModel:
    """The figures of a model such as `flan-t5-base`; raises InputError for an unknown name."""
    if name not in _rows():
        raise InputError(
            "the paper has no model "
            f"`{name}`{did_you_mean(name, paper_models()) or '; there are ' + ', '.join(paper_models())}"
        )
    components: dict[str, PaperFigures] = {}
    for component, averages, tasks, computed, source in _rows()[name]:
        old = components.get(component, PaperFigures())
        sources = old.sources if source in old.sources else (*old.sources, source)
        components[component] = PaperFigures(
            {**averages, **old.averages}, {**old.tasks, **tasks}, old.computed | computed, sources
        )
    return PaperModel(name, _normalized().get(name), components)


_WITHOUT_MODE = frozenset({"random", "human-average", "human-expert"})

_Row = tuple[str, dict[str, float], dict[str, float], frozenset[str], str]
"""Component, averages, cells by task, computed cells, source."""


@cache
def _rows() -> dict[str, list[_Row]]:
    """Every figure by model, tables in the order in which the first one counts where two print the same."""
    rows_by_model: dict[str, list[_Row]] = {}
    for table in (paper_table("table5"), _table3()):
        for row in table["rows"]:
            for component, value in zip(table["columns"][1:], row["cells"][1:], strict=True):
                if value is not None:
                    rows_by_model.setdefault(row["name"], []).append(
                        (component, {"average": value}, {}, frozenset(), row.get("source", table["source"]))
                    )
    table = paper_table("table4")
    for row in table["rows"]:
        # The best results before the paper are of several systems, each with a mode of its own.
        modes = row["modes"] if "modes" in row else [row["mode"]] * len(row["cells"])
        for column, value, mode in zip(table["columns"], row["cells"], modes, strict=True):
            if value is not None:
                benchmark, _, part = column.partition("-")
                average = "test" if benchmark == "mmlu" else part or "average"
                rows_by_model.setdefault(row["name"], []).append(
                    (f"{benchmark}-{mode}", {average: value}, {}, frozenset(), table["source"])
                )
    table = paper_table("table1")
    for row in table["rows"]:
        if "name" in row:
            # People and guesses have no prompt with or without rationales: both modes are held against them.
            for mode in ("direct", "cot") if row["name"] in _WITHOUT_MODE else ("direct",):
                rows_by_model.setdefault(row["name"], []).append(
                    (f"mmlu-{mode}", {"test": row["cells"][0]}, {}, frozenset(), table["source"])
                )
    table = paper_table("tables17to19")
    for row in table["rows"]:
        computed = frozenset(
            solved["task"]
            for solved in table["solved"]
            if (solved["name"], solved["component"]) == (row["name"], row["component"])
        )
        cells = dict(zip(table["tasks"], row["cells"], strict=True))
        rows_by_model.setdefault(row["name"], []).append(
            (row["component"], {}, cells, computed, table["source"])
        )
    for table in (paper_table("table20"), paper_table("table21")):
        for row in table["rows"]:
            cells = dict(zip(table["tasks"], row["cells"], strict=True))
            rows_by_model.setdefault(row["name"], []).append(
                (table["component"], {"average": row["average"]}, cells, frozenset(), table["source"])
            )
    return rows_by_model


@cache
def _normalized() -> dict[str, float]:
    """Printed normalized averages by model."""
    tables = (_table3(), paper_table("table5"))
    return {
        row["name"]: row["cells"][0]
        for table in tables
        for row in table["rows"]
        if row["cells"][0] is not None
    }


def _table3() -> dict[str, Any]:
    """Table 3 with names: `flan-palm-8b-muffin` is PaLM 8B finetuned on the mixture up to Muffin. Its rows
    without finetuning are in Table 5."""
    table = paper_table("table3")
    names = (
        {"name": f"flan-palm-{row['size']}-{row['mixture']}".lower(), **row}
        for row in table["rows"]
        if row["tasks"]
    )
    return {**table, "rows": list(names)}
