"""What the keys of `training:` cost: a whole step (forward, backward, update) under each, on one CPU core.

    taskset -c 0 python benchmarks/training_keys.py

CPU seconds of a step as a ratio to those of a step with every key at its default; arms alternate, the median
of five rounds each counts. The model is a T5 v1.1 of 13.6 M random weights, the batch eight rows of (256, 64)
full of documents; a batch of other shape or a larger model moves the ratios. Memory is what autograd keeps
for the backward of the largest micro-batch, weights left out.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers

from openflan.models.memory import keep_freed_memory
from openflan.packing.encode import Encoded
from openflan.recipe.schema import Training
from openflan.training.trainer import Trainer

ROUNDS, ROWS, DOCUMENTS, INPUTS, TARGETS, VOCABULARY = 5, 8, 4, 256, 64, 8_192
ARMS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "precision: bf16": {"precision": "bf16"},
    "micro_batch_size: 2": {"micro_batch_size": 2},
    "micro_batch_size: 1": {"micro_batch_size": 1},
    "activation_checkpointing: full": {"activation_checkpointing": "full"},
    "clip_norm: 1": {"clip_norm": 1.0},
    "z_loss: 1e-4": {"z_loss": 1e-4},
    "optimizer: adamw": {"optimizer": "adamw"},
    "momentum: 0.9 (adafactor)": {"momentum": 0.9},
}


def model() -> Any:
    torch.manual_seed(0)
    sizes = {
        "d_model": 256,
        "d_kv": 64,
        "d_ff": 512,
        "num_layers": 6,
        "num_heads": 4,
        "vocab_size": VOCABULARY,
    }
    made = transformers.T5ForConditionalGeneration(
        transformers.T5Config(**sizes, feed_forward_proj="gated-gelu", decoder_start_token_id=0)
    )
    made.lm_head.weight = torch.nn.Parameter(torch.randn_like(made.shared.weight) * 256**-0.5)
    return made.train()


def rows() -> list[list[Encoded]]:
    random = np.random.default_rng(0)

    def tokens(count: int) -> Any:
        return random.integers(3, VOCABULARY, count // DOCUMENTS).astype(np.int32)

    return [[Encoded(tokens(INPUTS), tokens(TARGETS)) for _ in range(DOCUMENTS)] for _ in range(ROWS)]


def stepper(settings: dict[str, Any]) -> tuple[Callable[[int], float], int, int]:
    """A function that takes a step and gives its CPU seconds; what the backward keeps and the optimiser's
    state, in bytes."""
    trainer = Trainer(model(), Training(steps=100, **settings), 0, 0)
    prepared = trainer.prepare(rows())
    held: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {parameter.untyped_storage().data_ptr() for parameter in trainer.root.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), trainer._arithmetic():
        loss = trainer.root(prepared.batches[0][0]).sum()
    kept = sum(size for pointer, size in held.items() if pointer not in weights)
    del loss

    def step(number: int) -> float:
        began = time.process_time()
        trainer.step(number, prepared)
        return time.process_time() - began

    step(0)
    state = sum(value.nbytes for found in trainer.optimizer.state.values() for value in found.values())
    return step, kept, state


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    arms = {name: stepper(settings) for name, settings in ARMS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for index in range(1, ROUNDS + 1):
        for name, (step, _, _) in arms.items():
            seconds[name].append(step(index))
    base = statistics.median(seconds["defaults"])
    print(f"{'':32} {'CPU s':>7} {'ratio':>6} {'lowest':>7} {'highest':>7} {'kept MB':>8} {'state MB':>8}")
    for name, (_, kept, state) in arms.items():
        taken = seconds[name]
        middle = statistics.median(taken)
        print(
            f"{name:32} {middle:7.3f} {middle / base:6.2f} {min(taken) / base:7.2f} "
            f"{max(taken) / base:7.2f} {kept / 1e6:8.1f} {state / 1e6:8.2f}"
        )


if __name__ == "__main__":
    main()
