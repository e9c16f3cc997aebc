"""LoRA beside full finetuning at equal tokens: the held-out loss of both at the same learning rates, several
seeds each.

    openflan mixture microflan --export rows.jsonl --examples 2000
    taskset -c 0 python benchmarks/adapter.py rows.jsonl embedded:microflan-tiny --rank 32 \\
        --rates 0.0003 0.001 0.003 --seeds 0 1 2

Both are trained by adamw on the same rows in the same order, and scored on rows that neither saw. Needs the
extra `lora`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import torch

from openflan.api.finetune import finetune, recipe_from_rows
from openflan.run_folder import read_jsonl


def losses(options: argparse.Namespace, rate: float, seed: int, keys: list[str]) -> tuple[float, int]:
    """The held-out loss after the last step, and the tokens that were read."""
    keys = [
        *keys,
        f"seed={seed}",
        "training.optimizer=adamw",
        f"training.learning_rate={rate}",
        f"training.steps={options.steps}",
        f"training.batch_size={options.batch}",
        f"packing.inputs={options.inputs}",
        f"packing.targets={options.targets}",
        f"mixture.validation_rows={options.validation}",
        f"evaluation.validation_examples={options.validation}",
        f"evaluation.every={options.steps}",
        f"checkpoints.every={options.steps}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        recipe = recipe_from_rows(options.rows, options.base, overrides=keys)
        lines = read_jsonl(finetune(recipe, Path(folder) / "run").metrics)
    return lines[-1]["validation_loss"], sum(line["tokens"] for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("base")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 1e-3, 3e-3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--inputs", type=int, default=128)
    parser.add_argument("--targets", type=int, default=64)
    parser.add_argument("--validation", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = {"full": [], f"LoRA, rank {options.rank}": [f"model.adapter.rank={options.rank}"]}
    print(f"| trained | learning rate | {' | '.join(f'seed {seed}' for seed in options.seeds)} | mean | sd |")
    for rate in options.rates:
        for kind, keys in kinds.items():
            found = [losses(options, rate, seed, keys) for seed in options.seeds]
            values = [loss for loss, _ in found]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            cells = [kind, f"{rate:g}", *(f"{value:.4f}" for value in values)]
            print(
                f"| {' | '.join(cells)} | {statistics.mean(values):.4f} | {spread:.4f} | "
                f"{[tokens for _, tokens in found]} tokens",
                flush=True,
            )


if __name__ == "__main__":
    main()
