"""The benchmarks of an embedded world by name, as they are asked and as their saved generations are
judged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.custom_benchmark import is_custom_benchmark
from openflan.evaluation.known_benchmarks import Mode
from openflan.evaluation.microflan import microflan_benchmark
from openflan.evaluation.microflan_probes import NAME as PROBES
from openflan.evaluation.microflan_probes import microflan_probes
from openflan.tasks.microflan.names import world_benchmark
from openflan.tasks.sources import EMBEDDED, embedded_seed


def open_world(
    name: str, seed: int, mode: Mode, *, shots: int = 0, limit: int | None = None, with_chance: bool = True
) -> Benchmark:
    """One of `names.BENCHMARKS` about the world of that seed; probes know no mode and no exemplars.
    `with_chance=False` is for judging alone."""
    if name == PROBES:
        return microflan_probes(limit, seed)
    return microflan_benchmark(mode, name=name, world=seed, shots=shots, limit=limit, with_chance=with_chance)


def is_world(name: str) -> bool:
    """Whether a benchmark or a task such as `microflan/NAME` is one of an embedded world, which needs no
    data."""
    return name.partition("/")[0] in EMBEDDED or world_benchmark(name) is not None


def world_named(name: str, mode: Mode) -> Benchmark | None:
    """The benchmark of a world that is called so, such as `microflan-dev` or `microflan@7`, to judge by, its
    chances left out; None for any other name."""
    of_world = world_benchmark(name)
    return open_world(*of_world, mode, with_chance=False) if of_world else None


def worlds_asked(names: Iterable[str], data: Path | None) -> set[int]:
    """The seeds of the worlds that benchmarks of these names ask about; those of tasks, such as
    `microflan/NAME`, tell of the world that `data` names."""
    seeds = (
        of_world[1] if (of_world := world_benchmark(name)) else _seed_of_task(name, data) for name in names
    )
    return {seed for seed in seeds if seed is not None}


def _seed_of_task(name: str, data: Path | None) -> int | None:
    return (
        embedded_seed(name.partition("/")[0], data) if "/" in name and not is_custom_benchmark(name) else None
    )
