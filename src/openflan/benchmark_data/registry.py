"""Every known benchmark by name: the modules of this package, and entry points of other packages.

A module of this package is a benchmark if it defines `BENCHMARKS`, a tuple of BenchmarkData. Another package
adds one by an entry point of the group `openflan.benchmarks`, whose name is the benchmark's name and whose
value is a BenchmarkData. Entry points are listed without importing their packages; a package is imported when
its benchmark is needed. Trade-off: a broken package is noticed only then.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules

import openflan.benchmark_data
from openflan.benchmark_data.data import BenchmarkData
from openflan.errors import InputError, SetupError, did_you_mean

ENTRY_POINT_GROUP = "openflan.benchmarks"

PAPER = ("mmlu", "bbh", "tydiqa", "mgsm", "gsm8k")
"""The benchmarks of Chung et al. 2022. They stand first in lists."""

_OTHER_MODULES = frozenset({"data", "fetch", "files", "items", "registry"})
"""Modules of this package that are no benchmark."""


@cache
def built_in_benchmarks() -> Mapping[str, BenchmarkData]:
    """The benchmarks of this package by name: those of the paper, then the others in alphabetical order."""
    package = openflan.benchmark_data
    names = sorted(module.name for module in iter_modules(package.__path__))
    benchmarks = {
        benchmark.name: benchmark
        for name in names
        if name not in _OTHER_MODULES
        for benchmark in import_module(f"{package.__name__}.{name}").BENCHMARKS
    }
    return {name: benchmarks[name] for name in dict.fromkeys((*PAPER, *sorted(benchmarks)))}


def benchmark_names() -> tuple[str, ...]:
    """The names of all benchmarks, built-in ones first; imports no other package."""
    return (*built_in_benchmarks(), *_added_benchmarks())


def find_benchmark_data(name: str) -> BenchmarkData:
    """The benchmark of that name.

    Raises InputError for an unknown name, with the nearest one. Raises SetupError if the package that adds
    the benchmark cannot be imported or adds something else.
    """
    built_in = built_in_benchmarks()
    if name in built_in:
        return built_in[name]
    added = _added_benchmarks()
    if name not in added:
        names = (*built_in, *added)
        raise InputError(
            f"there is no benchmark `{name}`{did_you_mean(name, names) or '; there are ' + ', '.join(names)}"
        )
    return _loaded(added[name])


@cache
def _added_benchmarks() -> Mapping[str, EntryPoint]:
    """Entry points of other packages by name; a name that is already taken is left out with a warning."""
    added: dict[str, EntryPoint] = {}
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        if entry_point.name in built_in_benchmarks():
            warnings.warn(
                f"{_described(entry_point)} is left out: openflan has a benchmark of that name; rename it",
                stacklevel=2,
            )
        elif entry_point.name in added and added[entry_point.name].value != entry_point.value:
            warnings.warn(
                f"{_described(entry_point)} is left out: {_described(added[entry_point.name])} has the same "
                "name; rename one of them",
                stacklevel=2,
            )
        else:
            added.setdefault(entry_point.name, entry_point)
    return added


@cache
def _loaded(entry_point: EntryPoint) -> BenchmarkData:
    try:
        value = entry_point.load()
    except Exception as error:  # the code of another package may raise anything
        raise SetupError(
            f"{_described(entry_point)} cannot be imported ({type(error).__name__}: {error}): repair or "
            "uninstall its package"
        ) from error
    if not isinstance(value, BenchmarkData):
        raise SetupError(
            f"{_described(entry_point)} is a {type(value).__name__}, expected a "
            "openflan.benchmark_data.data.BenchmarkData"
        )
    if value.name != entry_point.name:
        raise SetupError(
            f"{_described(entry_point)} is named `{value.name}`: give the entry point and the BenchmarkData "
            "the same name"
        )
    return value


def _described(entry_point: EntryPoint) -> str:
    package = f" of the package {entry_point.dist.name}" if entry_point.dist else ""
    return f"the benchmark `{entry_point.name}`{package} ({entry_point.value})"
