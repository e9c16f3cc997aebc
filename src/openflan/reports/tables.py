"""All tables of a report, which terminal, HTML and JSON share. Pure.

Cells are raw values: numbers stay numbers, and None stands for an unknown value. Accuracies, shares and
differences are in percent.
"""

from __future__ import annotations

from openflan.reports.comparison_tables import Headline, before_after, by_checkpoint, gain, headlines
from openflan.reports.gather import Gathered
from openflan.reports.mixture_tables import counts, formats, submixtures, tasks
from openflan.reports.results import bits_per_byte, by_task, results, suite, wordings
from openflan.reports.table import Cell, Table
from openflan.reports.training_tables import loss, running_mean, training, watched, window

__all__ = [
    "ABSENT",
    "Cell",
    "Headline",
    "Table",
    "absent",
    "all_tables",
    "before_after",
    "by_checkpoint",
    "counts",
    "formats",
    "gain",
    "headlines",
    "loss",
    "running_mean",
    "scores",
    "submixtures",
    "tasks",
    "training",
    "watched",
    "window",
]

ABSENT = {
    "scores": "No scores: no model of this run has been evaluated.",
    "samples": "No generations: no model of this run has been evaluated.",
    "metrics": "No training metrics: no step has been made.",
    "ledger": "No ledger: the mixture of this run has not been measured.",
    "provenance": "No provenance: the run has not been started.",
}
"""A sentence for each part of a run that may be absent."""


def all_tables(gathered: Gathered) -> list[Table]:
    """Return every table for which the run has data, in the order of the report."""
    tables = [
        *before_after(gathered),
        by_checkpoint(gathered),
        *scores(gathered),
        training(gathered),
        loss(gathered),
    ]
    return [
        table
        for table in [*tables, submixtures(gathered), tasks(gathered), formats(gathered), counts(gathered)]
        if table is not None
    ]


def scores(gathered: Gathered) -> list[Table]:
    """Return the score tables: averages, suite averages, and the final model by task."""
    tables = [
        results(gathered),
        bits_per_byte(gathered),
        wordings(gathered),
        suite(gathered),
        *by_task(gathered),
    ]
    return [table for table in tables if table is not None]


def absent(gathered: Gathered) -> list[str]:
    """Return a sentence for each part that the run lacks."""
    expected = ABSENT if gathered.recipe else ("scores", "samples")
    return [ABSENT[part] for part in expected if not getattr(gathered, part)]
