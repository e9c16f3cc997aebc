"""Time and memory of the ledger, the plan and the first batch over many made-up rows.

    python benchmarks/ledger.py --tokenizer FOLDER --rows 10000000

Writes one Arrow file of short rows into a temporary folder (663 MB for ten million) and takes it away
afterwards. Linux only, as private memory is read from /proc.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

WORDS = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they
which you were her all she there would their we him been has when who will more no if out so said what up
its about into than them can only other new some could time these two may then do first any my now such like
our over man me even most made after also did many before must through
"""
BATCH = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", required=True, help="a Hugging Face folder")
    parser.add_argument("--rows", type=int, default=10_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "rows.arrow", chosen.rows)
        measure(Path(folder) / "rows.arrow", chosen.tokenizer)


def write_rows(path: Path, count: int) -> None:
    """A number and ten words as inputs, two words as targets."""
    words = np.array(WORDS.split())
    random, schema = np.random.default_rng(0), pa.schema([("inputs", pa.string()), ("targets", pa.string())])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for first in range(0, count, BATCH):
            ten, two = (
                words[random.integers(0, len(words), (min(BATCH, count - first), many))].tolist()
                for many in (10, 2)
            )
            inputs, targets = (
                [f"{first + number} {' '.join(row)}" for number, row in enumerate(ten)],
                [" ".join(row) for row in two],
            )
            writer.write_batch(pa.record_batch([pa.array(inputs), pa.array(targets)], schema=schema))


def measure(data: Path, tokenizer: str) -> None:
    stages = Stages()
    from openflan.mixture.open_mixture import open_tasks
    from openflan.models.estimate import shape_of_model
    from openflan.models.load_model import empty_model, load_tokenizer
    from openflan.packing.batch import seq2seq_batch
    from openflan.packing.example_windows import packed_examples
    from openflan.recipe.load_recipe import load_recipe
    from openflan.recipe.schema import Recipe
    from openflan.training.ledger import ledger
    from openflan.training.prepare import prepare

    stages.end("imports")
    inputs = load_recipe(
        "tiny-t5-cot", [f"model.tokenizer={tokenizer}", "packing.inputs=1024", "packing.targets=256"]
    ).model_dump()
    recipe = Recipe.model_validate(inputs | {"mixture": {"submixtures": {"own": {"data": str(data)}}}})
    tasks = open_tasks(recipe.mixture)
    stages.end("open the task, every row checked")
    model = empty_model(recipe.model)
    stream, encoder = prepare(recipe, tasks, load_tokenizer(recipe.model), joint=False)
    stages.end("tokenizer, model without weights, stream")
    plan = packed_examples(stream, encoder)
    plan.window(0)
    stages.end("plan: first window of 4,096 examples")
    ledger(recipe, tasks, stream, encoder, plan, shape_of_model(model))
    stages.end("ledger")
    seq2seq_batch(plan.sequences(0, 64), pad_id=0, start_id=0)
    stages.end("first batch of 64 rows")


class Stages:
    """Prints what each stage took."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def end(self, stage: str) -> None:
        wall, cpu = time.monotonic() - self._wall, time.process_time() - self._cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{stage}: {cpu:.1f} CPU s, {wall:.1f} s, {_private():,.0f} MB private, peak {peak:,.0f} MB",
            flush=True,
        )
        self._wall, self._cpu = time.monotonic(), time.process_time()


def _private() -> float:
    """MB of memory that no file stands behind."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


if __name__ == "__main__":
    main()
