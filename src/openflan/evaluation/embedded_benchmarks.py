"""The benchmarks of the embedded sources by name, to generate answers for and to judge saved ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, cast

from openflan.embedded import EMBEDDED_SUBMIXTURES, EmbeddedData, parse_benchmark
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.custom_benchmark import is_custom_benchmark
from openflan.evaluation.known_benchmarks import Mode
from openflan.tasks.embedded_rows import embedded_data_of


class _BenchmarksModule(Protocol):
    """What the module `benchmarks` of an embedded source offers."""

    def benchmark(
        self, name: str, seed: int, mode: Mode, *, shots: int, limit: int | None, with_chance: bool
    ) -> Benchmark:
        """The benchmark of that name about the data of a seed."""
        ...


def open_embedded_benchmark(
    name: str, mode: Mode, *, shots: int = 0, limit: int | None = None, with_chance: bool = True
) -> Benchmark | None:
    """The benchmark of an embedded source that is called so, such as `microflan-dev` or `microflan@7`; None
    for any other name.

    `limit` is the most rows of a task. `with_chance=False` leaves all chances 0, which judging saved
    generations does not need. Raises InputError for a seed that is no whole number.
    """
    embedded = parse_benchmark(name)
    if embedded is None:
        return None
    module = cast(_BenchmarksModule, embedded.source.load_part("benchmarks"))
    return module.benchmark(
        embedded.benchmark, embedded.seed, mode, shots=shots, limit=limit, with_chance=with_chance
    )


def rows_are_embedded(name: str) -> bool:
    """Return True if a benchmark, or a task such as `microflan/NAME`, is of an embedded source: it needs no
    data."""
    return name.partition("/")[0] in EMBEDDED_SUBMIXTURES or parse_benchmark(name) is not None


def data_of_benchmarks(names: Iterable[str], data: Path | None) -> list[EmbeddedData]:
    """The embedded data that benchmarks of these names test. Those of tasks, such as `microflan/NAME`, are
    what `data` names."""
    tested = (
        benchmark.data if (benchmark := parse_benchmark(name)) else _data_of_task(name, data)
        for name in names
    )
    return list(dict.fromkeys(one for one in tested if one is not None))


def _data_of_task(name: str, data: Path | None) -> EmbeddedData | None:
    if "/" not in name or is_custom_benchmark(name):
        return None
    return embedded_data_of(name.partition("/")[0], data)
