"""Scoring saved generations: all 6,511 rows of BBH as a command, start-up included, and the parts of that
time.

    python benchmarks/score.py                          # made-up generations with rationales of real length
    python benchmarks/score.py --generations FILE.jsonl # one's own, of bbh with rationales

Wall and CPU seconds of `openflan score bbh --mode cot --json` in a fresh process, medians of seven runs; the
bar is 2 s. CPU seconds matter where others use the machine too. `start` is `openflan score --help`, which
loads the same modules and scores nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from openflan.benchmark_data.bbh import BBH_TASKS

RUNS = 7
BAR = 2.0
RATIONALE = "We look at the first statement and see what it says about the second one. "


def made_up(path: Path, samples: int = 1) -> Path:
    """Rationales of 60 to 1,100 characters; a third of the answers are wrong and every thirtieth generation
    gives none."""
    with path.open("w", encoding="utf-8") as file:
        for task, item in BBH_TASKS.items():
            for index in range(item.size):
                for sample in range(samples):
                    turn = index + 7 * sample
                    end = (
                        "I do not know."
                        if turn % 30 == 0
                        else f"So the answer is ({'A' if turn % 3 else 'B'})."
                    )
                    line = {
                        "task": task,
                        "index": index,
                        "sample": sample,
                        "generation": RATIONALE * (1 + turn % 14) + end,
                        "target": "(A)",
                    }
                    file.write(json.dumps(line) + "\n")
    return path


def measured(arguments: list[str]) -> tuple[float, float]:
    """Median wall and CPU seconds of an `openflan` command."""
    walls, cpus = [], []
    for _ in range(RUNS):
        before, began = os.times(), time.perf_counter()
        subprocess.run([sys.executable, "-m", "openflan", *arguments], check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - began)
        after = os.times()
        cpus.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    return statistics.median(walls), statistics.median(cpus)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--generations", type=Path)
    inputs: Path | None = parser.parse_args().generations
    with tempfile.TemporaryDirectory() as folder:
        path = inputs or made_up(Path(folder) / "made-up.jsonl")
        cases = {
            "start": ["score", "--help"],
            "score": ["score", "bbh", "--mode", "cot", "--generations", str(path), "--json"],
        }
        for name, arguments in cases.items():
            wall, cpu = measured(arguments)
            print(
                f"{name}: {wall:.2f} s wall, {cpu:.2f} s "
                f"CPU{f' (bar {BAR:.0f} s)' if name == 'score' else ''}"
            )


if __name__ == "__main__":
    main()
