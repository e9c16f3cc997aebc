"""How full packed rows are, and how fast they are planned on one core: examples become rows by their lengths,
no row is assembled.

    python benchmarks/packing.py --data FOLDER --tokenizer FOLDER     # *_train.tsv, half zero-shot, half with
    two to five exemplars
    python benchmarks/packing.py                                      # log-normal lengths instead

Rows are compared with the lower bound that no packing beats, by three rules on the same windows: this
project's; one open row that is closed by the first example that does not fit, as seqio packs; and first fit
into 64 open rows. The last two are plain Python, written for their rows alone, so their speed says nothing.
CPU seconds, median of three runs, which alternate between the numbers of windows. More windows than there is
text for are the same ones in other orders.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openflan.mixture.open_mixture import open_tasks
from openflan.models.load_model import load_tokenizer
from openflan.packing.example_windows import packed_examples
from openflan.packing.pack import WINDOW, lower_bound, pack_windows
from openflan.recipe.load_recipe import load_recipe
from openflan.training.prepare import prepare

Lengths = list[NDArray[np.int64]]

RUNS = 3
WINDOWS = (1, 16, 256)
CAPACITIES = ((1_024, 256), (2_048, 512))


def real_lengths(data: Path, tokenizer: Path, capacity: tuple[int, int], windows: int) -> Lengths:
    """Tokens of what training would see at this capacity: few-shot examples pruned to fit, longer inputs cut,
    longer targets left out."""
    inputs, targets = capacity
    places = (
        f"mixture.submixtures.cot.data={data}",
        f"model.tokenizer={tokenizer}",
        f"packing.inputs={inputs}",
        f"packing.targets={targets}",
    )
    recipe = load_recipe("tiny-t5-cot", places)
    plan = packed_examples(
        *prepare(recipe, open_tasks(recipe.mixture), load_tokenizer(recipe.model), joint=False)
    )
    return [
        np.array(
            [
                (len(example.input_ids), len(example.target_ids))
                for example in plan.window(index).encoded
                if example.keeps
            ],
            dtype=np.int64,
        )
        for index in range(windows)
    ]


def made_up_lengths(capacity: tuple[int, int], windows: int) -> Lengths:
    """Log-normal lengths with medians of 150 and 30 tokens."""
    random = np.random.default_rng(0)
    sides = [
        random.lognormal(np.log(median), spread, windows * WINDOW)
        for median, spread in ((150, 0.8), (30, 0.7))
    ]
    return np.split(np.minimum(np.stack(sides, axis=1).astype(np.int64) + 1, capacity), windows)


def next_fit(lengths_N2: NDArray[np.int64], capacity: tuple[int, int]) -> int:
    """Rows where an example that does not fit the one open row closes it."""
    rows, left = 0, (-1, -1)
    for inputs, targets in lengths_N2.tolist():
        if inputs > left[0] or targets > left[1]:
            rows, left = rows + 1, capacity
        left = (left[0] - inputs, left[1] - targets)
    return rows


def first_fit(lengths_N2: NDArray[np.int64], capacity: tuple[int, int], open_rows: int = 64) -> int:
    """Rows where each example goes into the oldest open row that it fits; where a row must make way, the one
    that is fullest on its fuller side."""
    rows = 0
    left: list[tuple[int, int]] = []
    for inputs, targets in lengths_N2.tolist():
        for index, (first, second) in enumerate(left):
            if inputs <= first and targets <= second:
                left[index] = (first - inputs, second - targets)
                break
        else:
            if len(left) == open_rows:
                left.remove(
                    min(
                        left,
                        key=lambda room: min(
                            room[0] / capacity[0], room[1] / capacity[1] if capacity[1] else 1.0
                        ),
                    )
                )
            rows += 1
            left.append((capacity[0] - inputs, capacity[1] - targets))
    return rows


def repeated(windows: Lengths, count: int) -> Lengths:
    """`count` windows: the given ones, then again in other orders."""
    random = np.random.default_rng(1)
    return [
        windows[index % len(windows)]
        if index < len(windows)
        else random.permutation(windows[index % len(windows)], axis=0)
        for index in range(count)
    ]


def examples_per_second(windows: Lengths, capacity: tuple[int, int]) -> float:
    began = time.process_time()
    pack_windows(windows, capacity)
    return sum(map(len, windows)) / (time.process_time() - began)


def report(windows: Lengths, capacity: tuple[int, int]) -> None:
    lengths_N2 = np.concatenate(windows)
    print(
        f"\n{capacity[0]:,} + {capacity[1]:,} tokens a row: {len(lengths_N2):,} examples in "
        f"{len(windows)} windows"
    )
    for side, tokens_N in zip(("inputs", "targets"), lengths_N2.T, strict=True):
        if tokens_N.any():
            print(
                f"  {side}: mean {tokens_N.mean():.0f}, median {np.median(tokens_N):.0f}, p99 "
                f"{np.percentile(tokens_N, 99):.0f}, max {tokens_N.max()}"
            )
    bound = sum(lower_bound(window, capacity) for window in windows)
    packed = sum(len(one.starts) - 1 for one in pack_windows(windows, capacity))
    greedy, first = (sum(rule(window, capacity) for window in windows) for rule in (next_fit, first_fit))
    fills = ", ".join(
        f"{tokens / (packed * room):.3f}"
        for tokens, room in zip(lengths_N2.sum(axis=0), capacity, strict=True)
        if room
    )
    print(
        f"  rows / lower bound: {packed / bound:.4f} (fill {fills}); one open row {greedy / bound:.4f}; "
        f"first fit of 64 {first / bound:.4f}"
    )
    cases = {count: repeated(windows, count) for count in WINDOWS}
    runs = [
        {count: examples_per_second(case, capacity) for count, case in cases.items()} for _ in range(RUNS)
    ]
    for count in WINDOWS:
        speeds = [run[count] for run in runs]
        print(
            f"  {count:>3} windows: {statistics.median(speeds):,.0f} examples/s (runs: "
            f"{', '.join(f'{speed:,.0f}' for speed in speeds)})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with *_train.tsv")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer, such as Flan-T5's")
    parser.add_argument(
        "--windows", type=int, default=16, help=f"windows of {WINDOW:,} examples that are made"
    )
    options = parser.parse_args()
    if bool(options.data) != bool(options.tokenizer):
        parser.error("--data needs --tokenizer, and the other way round")
    for capacity in CAPACITIES:
        real = options.data is not None
        windows = (
            real_lengths(options.data, options.tokenizer, capacity, options.windows)
            if real
            else made_up_lengths(capacity, options.windows)
        )
        report(windows, capacity)
        # A causal model's row holds both sides together.
        report(
            [
                np.stack([window.sum(axis=1), np.zeros(len(window), dtype=np.int64)], axis=1)
                for window in windows
            ],
            (sum(capacity), 0),
        )


if __name__ == "__main__":
    main()
