"""Examples a second and memory of the overlap report: the public chain-of-thought files, made-up rows, and
rows that are all hits.

    python benchmarks/overlap.py --benchmarks FOLDER [--cot FOLDER] [--rows N]
    python benchmarks/overlap.py --benchmarks FOLDER --ways

`--ways` compares prefix sums over code points with Python's own words and hashes of tuples, on the questions
of GSM8K.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from openflan.benchmark_data.items import benchmark_items
from openflan.mixture.overlap.index import build_index
from openflan.mixture.overlap.report import check_task
from openflan.mixture.overlap.units import prefix_sums, split, windows
from openflan.tasks.reach import reach
from openflan.tasks.task import Row, Task

KEPT = 10_000
WORDS = 250


class Repeated:
    """Few rows as if they were many, so that making them costs nothing."""

    def __init__(self, rows: list[Row], count: int) -> None:
        self._rows = rows
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Row:
        return self._rows[index % len(self._rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmarks", type=Path, required=True)
    parser.add_argument("--cot", type=Path)
    parser.add_argument("--rows", type=int, default=200_000, help="made-up rows")
    parser.add_argument("--ways", action="store_true", help="compare ways of hashing instead")
    options = parser.parse_args()
    items = list(benchmark_items(options.benchmarks))
    if options.ways:
        _ways([item.text for item in items if item.benchmark == "gsm8k"] * 3)
        return
    began = time.process_time()
    index = build_index(items)
    print(
        f"index: {index.ngrams:,} n-grams, {index.nbytes / 1e6:.0f} MB, "
        f"{time.process_time() - began:.1f} CPU s, {_memory()}"
    )
    # Words of the English benchmarks at their own frequencies, in random order.
    words = np.array(
        " ".join(item.text for item in items if item.benchmark in ("mmlu", "gsm8k"))[:2_000_000].split(),
        dtype=object,
    )
    draw = np.random.default_rng(0)
    made_up: list[Row] = [
        {"inputs": " ".join(draw.choice(words, int(length))), "targets": " ".join(draw.choice(words, 5))}
        for length in draw.exponential(WORDS, KEPT) + 1
    ]
    tasks = [task.open() for task in reach(options.cot)] if options.cot else []
    questions: list[Row] = [{"question": item.text} for item in items if item.part == "question"]
    for name, group in (
        ("chain-of-thought files", tasks),
        (f"made up, {WORDS} words", [_task(made_up, options.rows)]),
        ("the benchmarks themselves", [_task(questions, len(questions))]),
    ):
        if group:
            wall, cpu = time.perf_counter(), time.process_time()
            done = [check_task(task, index) for task in group]
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            rows = sum(one.rows for one in done)
            hits = sum(one.hit_rows for one in done)
            print(
                f"{name}: {rows:,} rows, {hits:,} with hits, {rows / cpu:,.0f} rows per CPU second "
                f"({wall:,.1f} s), {_memory()}",
                flush=True,
            )


def _ways(texts: list[str]) -> None:
    blanks = {code: " " if not chr(code).isalnum() else chr(code).lower() for code in range(128)}

    def hashed_words() -> np.ndarray:
        words = [word for text in texts for word in text.translate(blanks).split()]
        return np.fromiter(map(hash, words), dtype=np.int64, count=len(words))

    words = [word for text in texts for word in text.translate(blanks).split()]
    sums = prefix_sums(split(texts).hashes)
    for name, way in (
        (
            "units by prefix sums",
            lambda: [split(texts[first : first + 1_000]) for first in range(0, len(texts), 1_000)],
        ),
        ("words by str.split and hash", hashed_words),
        ("13-grams by prefix sums", lambda: windows(sums, 13)),
        (
            "13-grams by hash of tuples",
            lambda: list(map(hash, zip(*(words[first:] for first in range(13)), strict=False))),
        ),
    ):
        print(f"{name}: {min(_seconds(way) for _ in range(7)) / len(words) * 1e9:.0f} ns a word")


def _seconds(way: Callable[[], object]) -> float:
    began = time.process_time()
    way()
    return time.process_time() - began


def _task(rows: list[Row], count: int) -> Task:
    return Task("own/rows", Repeated(rows, count), frozenset(rows[0]), "own", "own")


def _memory() -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"peak memory {peak / (1e6 if sys.platform == 'darwin' else 1e3):.0f} MB"


if __name__ == "__main__":
    main()
