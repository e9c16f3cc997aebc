"""Benchmarks by name, ready for evaluation: published ones, YAML files of the user, and tasks of a data
folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from openflan.benchmark_data.fetch import benchmark_cache, fetch, has_public_files, is_fetched
from openflan.benchmark_data.registry import built_in_benchmarks, find_benchmark_data
from openflan.embedded import EMBEDDED_BENCHMARKS, EMBEDDED_SUBMIXTURES, parse_data
from openflan.errors import InputError, did_you_mean
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.custom_benchmark import custom_benchmark, is_custom_benchmark
from openflan.evaluation.embedded_benchmarks import open_embedded_benchmark
from openflan.evaluation.known_benchmarks import (
    BENCHMARKS,
    SUITES,
    Mode,
    find_benchmark,
    find_mode,
    find_suite,
    has_splits,
)

if TYPE_CHECKING:
    from openflan.tasks.task import Task

NAMES = ", ".join([*built_in_benchmarks(), *EMBEDDED_BENCHMARKS])
"""Built-in benchmarks, for help texts; packages may add others."""

OWN_HELP = (
    "a YAML file with at least `name`, `data` (.jsonl or .csv), `prompt` (such as 'Q: "
    "{question}\\nA:') and `target` (a field of the data)"
)


def chosen_benchmarks(
    names: Sequence[str],
    suite: str | None,
    mode: str,
    data: Path | None,
    *,
    shots: int | None = None,
    split: str | None = None,
    limit: int | None = None,
    metric: str | None = None,
    all_wordings: bool = False,
) -> list[Benchmark]:
    """The named benchmarks in `mode`, then those of the suite in theirs, each once.

    Raises InputError if there is none, for unknown names, and for data that is missing.
    """
    names_and_modes = [(name, find_mode(mode)) for name in names] + list(find_suite(suite) if suite else ())
    if not names_and_modes:
        raise InputError(
            f"nothing to evaluate: name a benchmark (`--benchmark`: {NAMES}) or a suite (`--suite`: "
            f"{', '.join(SUITES)})"
        )
    # With several benchmarks `--split` holds for those that have several splits.
    several = len(names_and_modes) > 1
    return [
        open_benchmark(
            name,
            of_mode,
            data,
            shots=shots,
            split=split if not several or has_splits(name) else None,
            limit=limit,
            metric=metric,
            all_wordings=all_wordings,
        )
        for name, of_mode in dict.fromkeys(names_and_modes)
    ]


def open_benchmark(
    name: str,
    mode: Mode,
    data: Path | None,
    *,
    shots: int | None = None,
    split: str | None = None,
    limit: int | None = None,
    scored: bool = False,
    metric: str | None = None,
    all_wordings: bool = False,
) -> Benchmark:
    """One benchmark by its name, a YAML file, or a task (`niv2/task1356_...`, `mine/*`) of `data`; `scored`
    needs no data where none is needed. Tasks take another `metric` than their own, and `all_wordings`; raises
    InputError for these on any other benchmark."""
    if (metric or all_wordings) and ("/" not in name or is_custom_benchmark(name)):
        option = f"--metric {metric}" if metric else "--wordings all"
        raise InputError(
            f"`{option}` is for tasks, such as `--benchmark niv2/NAME`: {name} has a metric and a prompt of "
            "its own"
        )
    if is_custom_benchmark(name):
        # A report names no folder of the machine.
        return replace(custom_benchmark(Path(name), mode, shots=shots), requested_name=Path(name).name)
    if embedded := open_embedded_benchmark(name, mode, shots=shots or 0, limit=limit):
        return embedded
    if "/" in name:
        from openflan.evaluation.task_benchmark import task_benchmark

        tasks = _tasks_of(name, data, split)
        chosen = dict.fromkeys(tasks, metric) if metric else None
        made = task_benchmark(
            tasks, mode, shots=shots or 0, limit=limit, metrics=chosen, all_wordings=all_wordings
        )
        return replace(made, requested_name=name, split=split or "")
    if name in BENCHMARKS and data is None and not scored:
        if not is_fetched(name):
            folder = find_benchmark_data(name).folder_name
            or_fetch = ", or --fetch, which gets its public files once" if has_public_files(name) else ""
            raise InputError(f"--benchmark {name} needs --data, the folder that holds {folder}/{or_fetch}")
        data = benchmark_cache()
    if name not in BENCHMARKS:
        known = [*BENCHMARKS, *EMBEDDED_BENCHMARKS]
        hint = (
            did_you_mean(name, known)
            or f"; there are {', '.join(known)}, a YAML file of your own, and tasks such as niv2/NAME"
        )
        raise InputError(f"there is no benchmark `{name}`{hint}")
    return find_benchmark(name, mode, data, shots=shots, split=split)


def subset_of(
    benchmarks: Sequence[Benchmark], names: Sequence[str] | None
) -> list[tuple[Benchmark, list[str] | None]]:
    """Each benchmark with those of the named tasks that it has; without any, it is left out. Raises
    InputError for a name that none has."""
    if names is None:
        return [(one, None) for one in benchmarks]
    known = [task for one in benchmarks for task in one.tasks]
    for name in names:
        if name not in known:
            if len(benchmarks) == 1:
                benchmarks[0].task(name)
            raise InputError(f"no benchmark that was chosen has a task `{name}`{did_you_mean(name, known)}")
    chosen = [(one, [name for name in names if name in one.tasks]) for one in benchmarks]
    return [(one, tasks) for one, tasks in chosen if tasks]


def fetch_files(names: Sequence[str], suite: str | None) -> None:
    """Gets the public files of the benchmarks that are named and not in the cache; raises SetupError if they
    cannot be had."""
    for name in dict.fromkeys([*names, *(one for one, _ in (find_suite(suite) if suite else ()))]):
        if name in BENCHMARKS and not is_fetched(name):
            fetch(name)


def check_prompts(benchmarks: Sequence[tuple[Benchmark, list[str] | None]]) -> None:
    """Makes every prompt of the evaluation, so that a missing or damaged file is found before a model is
    loaded."""
    for benchmark, tasks in benchmarks:
        for task in tasks if tasks is not None else benchmark.tasks:
            benchmark.examples(task)


def _tasks_of(pattern: str, data: Path | None, split: str | None) -> dict[str, Task]:
    """The tasks that a pattern names, with the rows of a split where one is given."""
    from openflan.tasks.custom import task_of_split
    from openflan.tasks.reach import reach
    from openflan.tasks.sources import open_submixture
    from openflan.tasks.task import open_each, select

    submixture = pattern.partition("/")[0]
    if data is None and submixture not in EMBEDDED_SUBMIXTURES:
        raise InputError(f"--benchmark {pattern} needs --data, a file or folder with the rows of its tasks")
    if data is None or parse_data(data):
        tasks = dict(open_submixture(submixture, data, [pattern]))
    else:
        reached = select({one.name: one for one in reversed(reach(data, submixture))}, [pattern])
        opened, _ = open_each({name: one.open for name, one in reached.items()}, [pattern])
        tasks = dict(opened)
    return tasks if split is None else {name: task_of_split(task, split) for name, task in tasks.items()}
