"""Reading packed rows of a build at random: rows per CPU second on one core, and the private memory that ten
million examples cost.

    python benchmarks/rows.py --data FOLDER --tokenizer FOLDER     # *_train.tsv, half zero-shot, half with
    two to five exemplars
    python benchmarks/rows.py                                      # log-normal lengths instead
    python benchmarks/rows.py --examples 10000000                  # memory: a build of made-up short
    examples, some 2 GB in --scratch for a while

A row is read as training reads it, `PackedStream.sequences(position, 1)` and then `seq2seq_batch`, at
positions drawn evenly from the whole build, whose files were read once before (their hashes are checked
then). CPU seconds, median of three runs. Memory is that of a process that reads 20,000 rows, less what it was
after its imports, by /proc/self/smaps_rollup: its own (Private_Dirty), and beside it pages of the build's
files (Private_Clean), which the system takes back whenever it needs them and which processes that read the
same build share.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.packing.batch import seq2seq_batch
from openflan.packing.build_ahead import build
from openflan.packing.encode import Encoder, Limits
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.packing.pack import WINDOW, Packed, pack_windows
from openflan.packing.store import WINDOWS, Parts, Store, write_block
from openflan.packing.tokens import Tokens
from openflan.templates.render import Rendered

RUNS = 3
ROWS = 10_000
CAPACITY = (1_024, 256)
PARTS = Parts({"made up": True}, {"capacity": CAPACITY})
BLOCK = WINDOW * WINDOWS
# Medians and spreads of log-normal lengths, inputs and targets: near those of chain-of-thought text, and
# short.
LIKE_TEXT, SHORT = ((150, 0.8), (30, 0.7)), ((40, 0.8), (10, 0.7))


@dataclass(frozen=True)
class Nothing:
    """Stands where tokenizer and stream do, which reading needs no more."""

    eos_token_id: int = 1
    bos_token_id: int | None = None
    name_or_path: str = "none"
    room: None = None

    def __len__(self) -> int:
        return 32_128

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": []}

    def __getitem__(self, position: int) -> Rendered:
        raise IndexError(position)

    unpruned = __getitem__


def encoder() -> Encoder:
    return Encoder(Nothing(), Limits(*CAPACITY, joint=False))


def write_made_up(folder: Path, examples: int, shape: tuple[tuple[int, float], ...]) -> None:
    """Whole blocks of examples with log-normal lengths."""
    for index in range(-(-examples // BLOCK)):
        random = np.random.default_rng(index)
        sides = [random.lognormal(np.log(median), spread, BLOCK) for median, spread in shape]
        lengths_N2 = np.minimum(np.stack(sides, axis=1).astype(np.int64) + 1, np.array(CAPACITY) - 1)
        ids = random.integers(2, 32_000, int(lengths_N2.sum()), dtype=np.uint16)
        tokens = Tokens(ids, np.concatenate([[0], np.cumsum(lengths_N2)]), np.zeros(BLOCK, dtype=np.uint8))
        # EOS is not among the tokens, but it takes room.
        packed: list[Packed] = pack_windows(np.split(lengths_N2 + 1, WINDOWS), CAPACITY)
        write_block(folder, index, PARTS, tokens, packed)


def real(folder: Path, data: Path, tokenizer: Path, windows: int) -> ExampleStream:
    """A build of chain-of-thought text."""
    from openflan.mixture.open_mixture import open_tasks
    from openflan.models.load_model import load_tokenizer
    from openflan.recipe.load_recipe import load_recipe
    from openflan.training.prepare import parts_of, prepare

    places = (
        f"mixture.submixtures.cot.data={data}",
        f"model.tokenizer={tokenizer}",
        f"packing.inputs={CAPACITY[0]}",
        f"packing.targets={CAPACITY[1]}",
    )
    recipe = load_recipe("tiny-t5-cot", places)
    tasks, loaded = open_tasks(recipe.mixture), load_tokenizer(recipe.model)
    stream, encode = prepare(recipe, tasks, loaded, joint=False)
    parts = parts_of(recipe, tasks, encode, loaded)
    build(folder, stream, encode, parts, windows)
    return packed_examples(stream, encode, built=Store(folder, parts))


def read(plan: ExampleStream, positions: NDArray[np.int64]) -> int:
    """Tokens of the rows at `positions`, each read by itself."""
    return sum(
        seq2seq_batch(plan.sequences(position, 1), pad_id=0, start_id=0).tokens
        for position in positions.tolist()
    )


def report_speed(plan: ExampleStream) -> None:
    rows = sum(plan.index())
    windows = [plan.window(number) for number in range(len(plan.index()))]
    lengths_N2 = np.concatenate([window.fit.lengths_N2[window.fit.kept] for window in windows])
    for side, tokens_N in zip(("inputs", "targets"), lengths_N2.T, strict=True):
        print(
            f"  {side}: mean {tokens_N.mean():.0f}, median {np.median(tokens_N):.0f}, p99 "
            f"{np.percentile(tokens_N, 99):.0f}, max {tokens_N.max()}"
        )
    positions = np.random.default_rng(0).integers(0, rows, ROWS)
    speeds = []
    for _ in range(RUNS):
        began = time.process_time()
        read(plan, positions)
        speeds.append(ROWS / (time.process_time() - began))
    print(f"  {rows:,} rows, {len(lengths_N2) / rows:.1f} examples a row")
    print(
        f"  {statistics.median(speeds):,.0f} rows per CPU second (runs: "
        f"{', '.join(f'{speed:,.0f}' for speed in speeds)})"
    )


def private_bytes() -> tuple[int, int]:
    """The process's own memory, and pages of files that it alone has mapped."""
    lines = dict(
        line.split()[:2]
        for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    )
    return int(lines["Private_Dirty:"]) * 1_024, int(lines["Private_Clean:"]) * 1_024


def report_memory(folder: Path) -> None:
    """Called in a process of its own."""
    states = [private_bytes()]
    plan = packed_examples(Nothing(), encoder(), built=Store(folder, PARTS))
    rows = sum(plan.index())
    read(plan, np.random.default_rng(1).integers(0, rows, ROWS))
    states.append(private_bytes())
    read(plan, np.random.default_rng(2).integers(0, rows, ROWS))
    states.append(private_bytes())
    own, files = ([value / 1e6 for value in side] for side in zip(*states, strict=True))
    print(f"  {rows:,} rows; own memory {own[0]:.0f} MB after imports")
    print(
        f"  +{own[1] - own[0]:.0f} MB after reading {ROWS:,} rows, +{own[2] - own[0]:.0f} MB after "
        f"{2 * ROWS:,}"
    )
    print(f"  pages of files: {files[0]:.0f} MB after imports, +{files[2] - files[0]:.0f} MB")


def versions() -> str:
    return f"Python {platform.python_version()}, numpy {np.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with *_train.tsv")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer, such as Flan-T5's")
    parser.add_argument(
        "--windows",
        type=int,
        default=WINDOWS,
        help=(f"windows of {WINDOW:,} examples that are read for speed"),
    )
    parser.add_argument("--examples", type=int, help="measure memory instead, with so many made-up examples")
    parser.add_argument(
        "--scratch", type=Path, help="where builds lie for a while; default: the system's temporary folder"
    )
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    if bool(options.data) != bool(options.tokenizer):
        parser.error("--data needs --tokenizer, and the other way round")
    if options.memory_of:
        report_memory(options.memory_of)
        return
    print(versions())
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        if options.examples:
            write_made_up(folder, options.examples, SHORT)
            size = sum(path.stat().st_size for path in folder.rglob("*.npy"))
            print(f"{options.examples:,} examples, {size / 1e9:.2f} GB", flush=True)
            subprocess.run([sys.executable, __file__, "--memory-of", str(folder)], check=True)
            return
        if options.data:
            plan = real(folder, options.data, options.tokenizer, options.windows)
        else:
            write_made_up(folder, options.windows * WINDOW, LIKE_TEXT)
            plan = packed_examples(Nothing(), encoder(), built=Store(folder, PARTS))
        print(f"{CAPACITY[0]:,} + {CAPACITY[1]:,} tokens a row")
        report_speed(plan)


if __name__ == "__main__":
    main()
