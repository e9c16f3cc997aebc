"""Stand-ins for the Flan collection: a natural-instructions checkout and ready-made copies, of real size.

    python benchmarks/collection.py --niv2 FOLDER --cot FOLDER --to FOLDER
    python benchmarks/collection.py --cot FOLDER --to FOLDER --export 1000000 --workers 2

`--niv2` is a folder of real `task*.json` files; their instances are repeated under the 1,613 names of the
public list until the checkout has `--bytes`. The copies of Flan 2021, T0 and Dialog are Parquet files with
1,000-row groups and made-up texts, in the layout and with the columns of the hub's copies. `--export` exports
the mixture of both and of the real chain-of-thought files at the release's rates, without pruning, from
stand-ins that are there, and prints the speed, the memory, the disk and the shares.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from openflan.tasks.catalogue import find

STYLES = ("zs_opt", "zs_noopt", "fs_opt", "fs_noopt")
SOURCES = {"flan2021": "Flan2021", "t0": "P3", "dialog": "Dialog"}
GROUP = 1_000
"""Rows of a row group, as in the hub's files."""

WORDS = np.array(
    re.findall(
        r"\w+",
        """the of to a in question answer when which where people water city year film river light music paper
        market engine number green small early never always under between story teacher winter house road
        write read choose explain following sentence passage option review because however therefore""",
    )
)


def checkout(real: Path, to: Path, total: int) -> None:
    """Writes 1,613 task files of together about `total` bytes to `to`/tasks."""
    names = [entry.name.partition("/")[2] for entry in find(submixture="niv2", held_out=None)]
    folder = to / "tasks"
    folder.mkdir(parents=True, exist_ok=True)
    documents = [json.loads(file.read_text(encoding="utf-8-sig")) for file in sorted(real.glob("task*.json"))]
    # Sizes differ as those of the real files do: most are small, and a few are twenty times the median.
    weights = np.random.default_rng(0).lognormal(0.0, 1.0, len(names))
    for number, (name, document, weight) in enumerate(zip(names, cycle(documents), weights, strict=False)):
        instances, wanted, size = document["Instances"], total * weight / weights.sum(), 0.0
        average = len(json.dumps(instances)) / len(instances)
        chosen: list[Any] = []
        for count, instance in enumerate(cycle(instances)):
            chosen.append(instance | {"id": f"{name}-{number}-{count}"})
            size += average
            if size > wanted:
                break
        text = json.dumps(document | {"Instances": chosen}, indent=0, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def texts(rng: np.random.Generator, count: int, mean: float) -> list[str]:
    lengths = np.maximum(1, rng.exponential(mean, count)).astype(int)
    words = WORDS[rng.integers(0, len(WORDS), int(lengths.sum()))]
    ends = np.cumsum(lengths)
    return [" ".join(words[end - length : end]) for end, length in zip(ends, lengths, strict=True)]


def rows(source: str, file: int, count: int) -> Iterator[pa.Table]:
    rng = np.random.default_rng([file, *(ord(letter) for letter in source)])
    for first in range(0, count, GROUP):
        size = min(GROUP, count - first)
        yield pa.table(
            {
                "inputs": texts(rng, size, 180.0),
                "targets": texts(rng, size, 20.0),
                "task_source": [SOURCES[source]] * size,
                "task_name": [f"{source}_task_{(first + row) % 97}" for row in range(size)],
                "template_type": [STYLES[(first + row) % len(STYLES)] for row in range(size)],
            }
        )


def copy(source: str, to: Path, count: int, files: int) -> None:
    """Writes `count` rows of a source to `files` Parquet files in `to`/SOURCE_submix_original/data."""
    folder = to / f"{source}_submix_original" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        tables = rows(source, number, count // files)
        first = next(tables)
        name = f"train-{number:05}-of-{files:05}-0123456789abcdef.parquet"
        with parquet.ParquetWriter(folder / name, first.schema, compression="snappy") as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)


RECIPE = """name: release
mixture:
  rates: release
  held_out: [mmlu]
  submixtures:
    muffin: {{ data: {to}/copies }}
    t0_sf: {{ data: {to}/copies }}
    niv2: {{ data: {to}/natural-instructions }}
    cot: {{ data: {cot} }}
model: {{ base: embedded:microflan-tiny }}
packing: {{ inputs: 2048, targets: 512 }}
training: {{ steps: 1, batch_size: 1 }}
"""


def report(to: Path, cot: Path, count: int, workers: int, suffix: str) -> None:
    recipe, out = to / "release.yaml", to / "export" / f"flan{suffix}"
    recipe.write_text(RECIPE.format(to=to.absolute(), cot=cot.absolute()))
    command = [sys.executable, "-m", "openflan", "mixture", str(recipe), "--export", str(out), "--json"]
    began, most_disk = time.monotonic(), 0
    with subprocess.Popen(
        [*command, "--no-pruning", "--examples", str(count), "--workers", str(workers)],
        stdout=subprocess.PIPE,
    ) as process:
        while process.poll() is None and not (out.is_file() and out.with_name("README.md").is_file()):
            most_disk = max(most_disk, sum(size_of(file) for file in out.parent.rglob("*")))
            time.sleep(1)
        done = json.loads(process.communicate()[0])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.monotonic() - began
    print(f"{count:,} examples of {len(done['tasks']):,} tasks, {done['bytes'] / 1e6:,.0f} MB")
    print(f"export {done['seconds']:,.0f} s wall ({count / done['seconds']:,.0f} examples/s)")
    print(f"command {wall:,.0f} s wall, {used.ru_utime + used.ru_stime:,.0f} CPU s of all processes")
    print(f"largest process {used.ru_maxrss / 1024:,.0f} MB, most disk {most_disk / 1e6:,.0f} MB")
    card = out.with_name("README.md").read_text(encoding="utf-8")
    print(card[card.index("## Shares") : card.index("## Licences")])


def size_of(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--niv2", type=Path, help="a folder of real task*.json files")
    parser.add_argument("--cot", type=Path, required=True, help="a folder of *_train.tsv files")
    parser.add_argument("--to", type=Path, required=True, help="an empty folder for the stand-ins")
    parser.add_argument("--bytes", type=float, default=3.0e9, help="the size of the checkout")
    parser.add_argument("--rows", type=int, default=400_000, help="the rows of the largest copy")
    parser.add_argument("--export", type=int, metavar="N", help="export N examples of what is in --to")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--suffix", choices=(".parquet", ".jsonl"), default=".parquet")
    options = parser.parse_args()
    if options.export:
        report(options.to, options.cot, options.export, options.workers, options.suffix)
        return
    if options.niv2 is None:
        parser.error("--niv2 names the real task files that the stand-ins are made of")
    checkout(options.niv2, options.to / "natural-instructions", int(options.bytes))
    for source, share in (("flan2021", 1.0), ("t0", 0.8), ("dialog", 0.1)):
        copy(source, options.to / "copies", int(options.rows * share), 2)


if __name__ == "__main__":
    main()
