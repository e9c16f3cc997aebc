"""The memory of whole finetuning processes beside the estimate: weights in float32 and bfloat16, and LoRA.

    python benchmarks/memory.py BASE ROWS [NAME ...]

For each arm (or those named) one process of `openflan finetune` on the CPU with one thread: four steps of
adamw, a checkpoint after the second and the fourth, and the export. Its peak is the largest resident set that
the kernel saw, less that of a process that only imports the same libraries. The estimate is that of `openflan
mixture`; a checkpoint copies weights and statistics once more, which on a CPU is the same memory. The ratio
is the peak above the libraries by the sum of the two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ARMS = {
    "float32": [],
    "bf16": ["training.weights=bf16"],
    "bf16, statistics bf16": ["training.weights=bf16", "training.statistics=bf16"],
    "LoRA": ["model.adapter.rank=16"],
    "LoRA, bf16": ["model.adapter.rank=16", "training.weights=bf16"],
}
KEYS = [
    "training.optimizer=adamw",
    "training.learning_rate=0.0002",
    "training.steps=4",
    "training.batch_size=1",
    "packing.inputs=192",
    "packing.targets=96",
    "checkpoints.every=2",
]
LIBRARIES = """
import peft, torch, transformers, openflan.training.finetune
from torch.utils import tensorboard
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM
"""
ESTIMATE = """
import json, sys
from openflan.models.adapter import shape_with_adapter
from openflan.models.load_model import empty_model
from openflan.recipe.load_recipe import load_recipe
from openflan.training.memory_of_recipe import memory_of_recipe
recipe = load_recipe(sys.argv[1])
memory = memory_of_recipe(recipe, shape_with_adapter(recipe.model, empty_model(recipe.model)))
saved = memory.gradients + memory.optimizer  # gradients have the sizes of what is trained
print(json.dumps([memory.total, saved]))
"""
RECIPE = """
import sys
from openflan.api.finetune import recipe_from_rows
from openflan.recipe.load_recipe import dump_recipe
print(dump_recipe(recipe_from_rows(sys.argv[1], sys.argv[2], overrides=sys.argv[3:])))
"""


def output_of(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def peak_of(*arguments: str) -> int:
    """The largest resident set of a Python process, in bytes. Raises RuntimeError if it fails."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{arguments} ended with status {status}")
    return usage.ru_maxrss * 1024


def main() -> None:
    base, rows, *names = sys.argv[1:]
    os.environ["OMP_NUM_THREADS"] = "1"
    libraries = peak_of("-c", LIBRARIES)
    print(f"libraries alone: {libraries / 1e9:.2f} GB")
    print("| recipe | estimate | copy for a checkpoint | peak above the libraries | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for name in names or ARMS:
        with tempfile.TemporaryDirectory() as folder:
            recipe = Path(folder) / "recipe.yaml"
            recipe.write_text(output_of(RECIPE, rows, base, *KEYS, *ARMS[name]))
            estimate, copy = json.loads(output_of(ESTIMATE, str(recipe)))
            peak = peak_of("-m", "openflan", "finetune", str(recipe), "--run", f"{folder}/run") - libraries
        cells = [name, *(f"{value / 1e9:.2f}" for value in (estimate, copy, peak))]
        print(f"| {' | '.join(cells)} | {peak / (estimate + copy):.2f} |", flush=True)


if __name__ == "__main__":
    main()
