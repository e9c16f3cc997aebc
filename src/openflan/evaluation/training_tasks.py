"""Find training tasks of a model that are made from the data of a benchmark."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

from openflan.benchmark_data.registry import benchmark_names, find_benchmark_data
from openflan.json_files import read_json_file
from openflan.run_folder import Run
from openflan.tasks.catalogue import real_name

_MAX_LISTED = 3


def training_tasks_of(run: Run, benchmark: str) -> tuple[str, ...]:
    """The tasks in a run's ledger that are made from the data of a benchmark; none for a benchmark that is
    not known by name, or a run without a ledger.

    Raises InputError for a ledger that is not valid JSON.
    """
    if benchmark not in benchmark_names() or not run.ledger.is_file():
        return ()
    data = find_benchmark_data(benchmark)
    ledger = read_json_file(run.ledger)
    rows = ledger.get("tasks") if isinstance(ledger, dict) else None
    names = [str(row.get("task")) for row in rows or () if isinstance(row, dict)]
    return tuple(name for name in names if data.is_source_of(real_name(name)))


def warn_of_training_tasks(run: Run, benchmarks: Iterable[str]) -> None:
    """Warns, once for each benchmark, if the model of `run` was trained on tasks made from its data."""
    for benchmark in dict.fromkeys(benchmarks):
        if tasks := training_tasks_of(run, benchmark):
            warnings.warn(
                f"{run.folder} was trained on {_listed(tasks)}, made from the data of {benchmark}: its score "
                f"is no held-out score. To train without: `mixture.held_out` with {benchmark} in the recipe",
                stacklevel=2,
            )


def _listed(tasks: Sequence[str]) -> str:
    more = f" and {len(tasks) - _MAX_LISTED} more" if len(tasks) > _MAX_LISTED else ""
    return ", ".join(tasks[:_MAX_LISTED]) + more
