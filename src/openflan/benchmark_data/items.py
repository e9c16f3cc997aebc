"""Every text of the benchmarks in a folder: what must not be in training data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from openflan.benchmark_data.data import Item
from openflan.benchmark_data.registry import benchmark_names, built_in_benchmarks, find_benchmark_data
from openflan.errors import InputError

__all__ = ["BenchmarkFiles", "Item", "benchmark_items", "find_benchmark_files"]


@dataclass(frozen=True, slots=True)
class BenchmarkFiles:
    """The files of the benchmarks in a folder by benchmark, and the patterns of those that are missing."""

    files: Mapping[str, tuple[Path, ...]]
    missing: tuple[str, ...]


def find_benchmark_files(data: Path) -> BenchmarkFiles:
    """Looks for every known benchmark in the folder `data`; raises InputError if none is there."""
    if not data.is_dir():
        raise InputError(
            f"{data}: no such folder; `--benchmarks` names the folder that holds "
            f"{', '.join(f'{name}/' for name in built_in_folders())}"
        )
    files: dict[str, tuple[Path, ...]] = {}
    missing: list[str] = []
    for name in benchmark_names():
        benchmark = find_benchmark_data(name)
        paths: list[Path] = []
        for patterns in benchmark.item_files:
            matches = (sorted((data / benchmark.folder_name).glob(pattern)) for pattern in patterns)
            first_matches = next((found for found in matches if found), [])
            paths += first_matches
            if not first_matches:
                missing.append(f"{benchmark.folder_name}/{patterns[0]}")
        if paths:
            files[name] = tuple(paths)
    if not files:
        raise InputError(f"{data}: holds no benchmark; expected some of {', '.join(missing)}")
    return BenchmarkFiles(files, tuple(missing))


def benchmark_items(data: Path) -> Iterator[Item]:
    """Every text of every benchmark in `data`, benchmark by benchmark; missing files are skipped
    (`find_benchmark_files` names them).

    Raises InputError, naming the file, for a file that is not in its benchmark's layout, and if there is no
    benchmark.
    """
    for name, paths in find_benchmark_files(data).files.items():
        items = find_benchmark_data(name).items
        for path in paths:
            yield from items(path)


def built_in_folders() -> tuple[str, ...]:
    """The names of the folders of the built-in benchmarks, each once."""
    return tuple(dict.fromkeys(benchmark.folder_name for benchmark in built_in_benchmarks().values()))
