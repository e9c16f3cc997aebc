"""Every benchmark that can be evaluated, by name, and suites of benchmarks.

The list is that of `benchmark_data`; a benchmark's prompts and metrics are imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from openflan.benchmark_data.registry import PAPER, benchmark_names, find_benchmark_data
from openflan.errors import InputError, SetupError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from openflan.evaluation.benchmark import Benchmark

MODES = ("direct", "cot")
Mode: TypeAlias = Literal["direct", "cot"]


class _Benchmarks(Mapping[str, Callable[..., "Benchmark"]]):
    """The functions that make benchmarks, by name; a function is imported when it is looked up."""

    def __getitem__(self, name: str) -> Callable[..., Benchmark]:
        if name not in benchmark_names():
            raise KeyError(name)
        return _function_of(name)

    def __iter__(self) -> Iterator[str]:
        return iter(benchmark_names())

    def __len__(self) -> int:
        return len(benchmark_names())

    def __contains__(self, name: object) -> bool:
        return name in benchmark_names()


BENCHMARKS: Mapping[str, Callable[..., Benchmark]] = _Benchmarks()

SUITES: dict[str, tuple[tuple[str, Mode], ...]] = {
    "flan": (
        ("mmlu", "direct"),
        ("mmlu", "cot"),
        ("bbh", "direct"),
        ("bbh", "cot"),
        ("tydiqa", "direct"),
        ("mgsm", "cot"),
    ),
    "reasoning": (("mmlu", "cot"), ("bbh", "cot"), ("mgsm", "cot"), ("gsm8k", "cot")),
    "all": tuple((name, mode) for name in PAPER for mode in ("direct", "cot")),
}
"""`flan` has the six components of the paper's normalized average. `reasoning` has the benchmarks with
rationales, `all` the five benchmarks of the paper in both modes."""


def find_benchmark(
    name: str, mode: str, data: Path | None = None, *, shots: int | None = None, split: str | None = None
) -> Benchmark:
    """Return the benchmark of that name; `data` may be left out for scoring.

    Raises InputError for an unknown name, and for a mode or split that the benchmark does not have;
    SetupError if the package that adds the benchmark cannot be imported.
    """
    benchmark = find_benchmark_data(name)
    found_mode = find_mode(mode)
    if found_mode not in benchmark.modes:
        raise InputError(f"{name} has no mode `{mode}`: use `--mode {benchmark.modes[0]}`")
    if split is not None and not has_splits(name):
        with_splits = ", ".join(other for other in benchmark_names() if has_splits(other))
        raise InputError(
            f"{name} has one split that is scored: leave `--split {split}` out, it goes with {with_splits}"
        )
    options: dict[str, Any] = {"shots": shots} | ({} if split is None else {"split": split})
    return _function_of(name)(found_mode, data, **options)


def has_splits(name: str) -> bool:
    """True if `name` is a benchmark with several splits that can be scored."""
    return name in benchmark_names() and len(find_benchmark_data(name).splits) > 1


def usual_shots(name: object, mode: object) -> int | None:
    """The number of exemplars that a published benchmark has; None for any other benchmark, or a mode that it
    does not have."""
    if not isinstance(name, str) or name not in BENCHMARKS or mode not in find_benchmark_data(name).modes:
        return None
    return find_benchmark(name, str(mode)).usual_shots


def find_mode(mode: str) -> Mode:
    """`direct` or `cot`; raises InputError for anything else."""
    if mode not in MODES:
        raise InputError(
            f"`--mode {mode}` is not a mode{did_you_mean(mode, MODES) or '; expected direct or cot'}"
        )
    return cast(Mode, mode)


def find_suite(name: str) -> tuple[tuple[str, Mode], ...]:
    """Names and modes of a suite's benchmarks; raises InputError for an unknown one."""
    if name not in SUITES:
        raise InputError(
            f"there is no suite `{name}`{did_you_mean(name, SUITES) or '; there are ' + ', '.join(SUITES)}"
        )
    return SUITES[name]


def _function_of(name: str) -> Callable[..., Benchmark]:
    """The function that makes a benchmark."""
    function = find_benchmark_data(name).benchmark
    if not isinstance(function, str):
        return function
    module, _, attribute = function.partition(":")
    try:
        return cast(Callable[..., "Benchmark"], getattr(import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        raise SetupError(
            f"the benchmark `{name}` cannot be evaluated: `{function}` cannot be imported ({error})"
        ) from error
