"""A training step on a GPU: flat buffers by buckets and by documents, rows under dense masks, and batches
grouped by length, over the same documents.

    python benchmarks/gpu.py --shape t5-base                      # on a CUDA machine; t5-xl, llama-1b;
    --precision float32
    python benchmarks/gpu.py --device cpu --shape tiny            # or tiny-llama: whether it works, and what
    buckets cost a CPU

Random weights, and documents whose lengths are drawn like those of chain-of-thought rows (median 106 and 27,
long tails); token ids at random. A step is forward, backward and optimizer of `training.trainer`, with
dropout of 0.1 for T5, over `--rows` sequences packed to capacity. The grouped arm takes the same documents
sorted by length, `--group` at a time (as many as a packed micro-batch holds, unless stated), through
transformers' own forward, as Seq2SeqTrainer does with group_by_length. Arms alternate, A B A B, `--runs`
turns after one that is not measured; medians count. The arms must agree on the loss without dropout. Batches
are made beforehand, as the loader's thread makes them.

MFU counts what the model needs, not what an arm computes: six FLOPs for each weight (but embeddings) and
token that passes it, twelve for each pair of tokens and channel within a document; padding and recomputation
are no work done. The peak is that of bfloat16, from the device's name or `--peak`.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers as hf

from openflan.errors import OpenflanError
from openflan.models.estimate import DEVICES
from openflan.models.memory import keep_freed_memory
from openflan.models.packed import Packing
from openflan.models.staged import Attending
from openflan.packing.encode import Encoded
from openflan.packing.pack import pack_windows
from openflan.recipe.schema import Training
from openflan.training.distributed import DistributedContext, join_distributed
from openflan.training.trainer import GlobalBatch, Trainer

PEAKS = {device.name.split()[0]: device.tflops for name, device in DEVICES.items() if name != "cpu"}
"""Dense bfloat16 TFLOP/s by a word of the device's name, of its SXM form; state others as `--peak`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`sizes` go to the configuration; rows of `inputs` and `targets` tokens, together for a causal model."""

    family: str
    sizes: dict[str, Any]
    inputs: int
    targets: int
    rows: int
    micro: int


T5 = {
    "vocab_size": 32128,
    "feed_forward_proj": "gated-gelu",
    "decoder_start_token_id": 0,
    "d_kv": 64,
    "dropout_rate": 0.1,
    "tie_word_embeddings": False,
}
SHAPES = {
    "tiny": Shape(
        "t5",
        T5 | {"vocab_size": 2048, "d_model": 128, "d_ff": 256, "num_layers": 2, "num_heads": 2},
        512,
        128,
        4,
        2,
    ),
    "t5-base": Shape(
        "t5", T5 | {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12}, 1024, 256, 32, 16
    ),
    "t5-xl": Shape(
        "t5", T5 | {"d_model": 2048, "d_ff": 5120, "num_layers": 24, "num_heads": 32}, 1024, 256, 32, 16
    ),
    "tiny-llama": Shape(
        "llama",
        {
            "vocab_size": 2048,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        },
        512,
        128,
        4,
        2,
    ),
    "llama-1b": Shape(
        "llama",
        {
            "vocab_size": 128256,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
        },
        1536,
        512,
        32,
        8,
    ),
}
ARMS: dict[str, tuple[Packing, Attending]] = {
    "flat, by buckets": ("flat", "buckets"),
    "flat, by documents": ("flat", "documents"),
    "rows under dense masks": ("dense", "documents"),
    "grouped by length": ("none", "documents"),
}


def model_of(shape: Shape) -> Any:
    torch.manual_seed(0)
    if shape.family == "llama":
        return hf.LlamaForCausalLM(hf.LlamaConfig(**shape.sizes, pad_token_id=0)).train()
    model = hf.T5ForConditionalGeneration(hf.T5Config(**shape.sizes))
    # transformers ties a fresh T5 whatever its configuration says.
    model.lm_head.weight = torch.nn.Parameter(
        torch.randn_like(model.shared.weight) * shape.sizes["d_model"] ** -0.5
    )
    return model.train()


def documents(shape: Shape) -> list[list[Encoded]]:
    """Rows packed to capacity, as many as the shape has; the documents beyond them are left out."""
    random = np.random.default_rng(0)
    count = shape.rows * 16
    inputs = np.clip(np.exp(random.normal(np.log(106), 1.0, count)), 8, shape.inputs).astype(int)
    targets = np.clip(np.exp(random.normal(np.log(27), 0.75, count)), 2, shape.targets).astype(int)
    both, joint = np.stack([inputs, targets], axis=1), shape.family == "llama"
    lengths, room = (
        (both.sum(1, keepdims=True) * [1, 0], (shape.inputs + shape.targets, 0))
        if joint
        else (both, (shape.inputs, shape.targets))
    )
    packed = pack_windows([lengths], room)[0].rows()[: shape.rows]
    return [
        [
            Encoded(
                *(random.integers(3, shape.sizes["vocab_size"], size).astype(np.int32) for size in both[item])
            )
            for item in row
        ]
        for row in packed
    ]


def flops(shape: Shape, model: Any, examples: Sequence[Encoded]) -> float:
    """Of one step over these documents, forward and backward."""
    lengths = np.array(
        [(len(example.input_ids), len(example.target_ids)) for example in examples], dtype=np.float64
    )
    embeddings = model.get_input_embeddings().weight
    sizes = {name: weight.numel() for name, weight in model.named_parameters() if weight is not embeddings}
    if shape.family == "llama":
        # Logits are of targets only, by the embeddings or a head of its own.
        head = model.get_output_embeddings().weight
        layers = sum(size for name, size in sizes.items() if not name.startswith("lm_head."))
        # Of a causal document half the square is needed.
        pairs = (lengths.sum(1) ** 2).sum() / 2
        width = model.config.num_attention_heads * model.config.head_dim
        return float(
            6 * (lengths.sum() * layers + lengths[:, 1].sum() * head.numel())
            + 12 * pairs * width * model.config.num_hidden_layers
        )
    inside = sum(size for name, size in sizes.items() if name.startswith("encoder."))
    # Keys and values of the decoder's attention to the encoder are made of input tokens.
    crossing = sum(
        size for name, size in sizes.items() if ".EncDecAttention.k." in name or ".EncDecAttention.v." in name
    )
    rest = sum(sizes.values()) - inside - crossing
    width = shape.sizes["d_kv"] * shape.sizes["num_heads"]
    pairs = (
        (lengths[:, 0] ** 2).sum() + (lengths[:, 1] ** 2).sum() / 2 + (lengths[:, 0] * lengths[:, 1]).sum()
    )
    return float(
        6 * (lengths[:, 0].sum() * (inside + crossing) + lengths[:, 1].sum() * rest)
        + 12 * pairs * width * shape.sizes["num_layers"]
    )


def trainer_of(
    shape: Shape,
    rows: list[list[Encoded]],
    name: str,
    distributed: DistributedContext,
    precision: str,
    group: int | None,
) -> tuple[Trainer, GlobalBatch]:
    """An arm with weights of its own, and its step's batches."""
    packing, attending = ARMS[name]
    micro = shape.micro
    if packing == "none":
        examples = sorted(
            (example for row in rows for example in row),
            key=lambda example: len(example.input_ids),
            reverse=True,
        )
        micro = group or round(len(examples) / len(rows) * shape.micro)
        rows = [[example] for example in examples]
    settings: dict[str, Any] = {
        "steps": 1000,
        "batch_size": len(rows),
        "micro_batch_size": micro,
        "precision": precision,
        "learning_rate": 1e-5,
    }
    trainer = Trainer(model_of(shape), Training(**settings), 0, 0, packing, distributed, attending=attending)
    return trainer, trainer.prepare(rows)


def peak_of(device: torch.device, expected: float | None) -> float | None:
    """FLOP/s, if they are known."""
    if expected is not None:
        return expected * 1e12
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((tflops * 1e12 for word, tflops in PEAKS.items() if word in name), None)


def turn(trainer: Trainer, prepared: GlobalBatch, steps: int) -> tuple[float, list[float], int]:
    """The loss before training, seconds of each step but the first (by the clock, on a CPU of the process),
    and the most memory in bytes."""
    on_gpu = trainer.distributed.device.type == "cuda"
    wait = torch.cuda.synchronize if on_gpu else time.process_time
    clock = time.perf_counter if on_gpu else time.process_time
    loss, seconds = trainer.validate([prepared]), list[float]()
    for index in range(steps + 1):
        wait()
        began = clock()
        trainer.step(index, prepared)
        wait()
        seconds.append(clock() - began)
    return loss, seconds[1:], torch.cuda.max_memory_allocated() if on_gpu else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="t5-base")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--precision", choices=["bf16", "float32"], help="default: bf16, on a CPU float32")
    parser.add_argument("--peak", type=float, help="of the device, in dense bfloat16 TFLOP/s")
    parser.add_argument("--runs", type=int, default=4, help="turns of each arm")
    parser.add_argument("--steps", type=int, default=3, help="measured steps of a turn")
    parser.add_argument("--rows", type=int, help="packed rows of a step")
    parser.add_argument("--micro", type=int, help="packed rows of a micro-batch")
    parser.add_argument("--group", type=int, help="documents of a batch grouped by length")
    parser.add_argument("--arms", help="some of them, by number from 0, as in 0,1")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            "no GPU here: --device cpu --shape tiny shows that the script works, and what buckets cost a CPU"
        )
    shape = SHAPES[arguments.shape]
    shape = Shape(
        shape.family,
        shape.sizes,
        shape.inputs,
        shape.targets,
        arguments.rows or shape.rows,
        arguments.micro or shape.micro,
    )
    distributed = (
        join_distributed() if arguments.device == "cuda" else DistributedContext(0, 1, torch.device("cpu"))
    )
    precision = arguments.precision or ("bf16" if arguments.device == "cuda" else "float32")
    if arguments.device == "cpu":
        torch.set_num_threads(1)
        keep_freed_memory()
    rows = documents(shape)
    examples = [example for row in rows for example in row]
    lengths = np.array([(len(example.input_ids), len(example.target_ids)) for example in examples])
    tokens, peak = int(lengths.sum()), peak_of(distributed.device, arguments.peak)
    # There the sizes are known without memory for the weights.
    with torch.device("meta"):
        work = flops(shape, model_of(shape), examples)
    device = torch.cuda.get_device_name() if distributed.device.type == "cuda" else "one CPU core"
    print(
        f"{arguments.shape} in {precision} on {device}, torch {torch.__version__}; {work / 1e12:.3g} "
        "TFLOP a step"
    )
    print(
        f"{len(rows)} rows of {shape.inputs} + {shape.targets}, {shape.micro} at once: {len(examples)} "
        f"documents, {tokens:,} tokens"
    )
    print(
        f"inputs and targets: mean {lengths.mean(0).round()}, median {np.median(lengths, 0)}, longest "
        f"{lengths.max(0)}"
    )
    names = [
        name
        for index, name in enumerate(ARMS)
        if arguments.arms is None or str(index) in arguments.arms.split(",")
    ]
    losses: dict[str, float] = {}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory = dict.fromkeys(names, 0)
    for index in range(arguments.runs + 1):
        for name in list(names):
            # One arm's weights at a time, so that the memory is its own.
            gc.collect()
            if distributed.device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            try:
                losses[name], step_seconds, largest = turn(
                    *trainer_of(shape, rows, name, distributed, precision, arguments.group), arguments.steps
                )
            except OpenflanError as error:
                print(f"{name}: {str(error)[:150]}")
                names.remove(name)
                continue
            if index:
                seconds[name].append(statistics.median(step_seconds))
                memory[name] = max(memory[name], largest)
        if max(losses.values()) - min(losses.values()) > (1e-4 if precision == "float32" else 0.05):
            raise SystemExit(f"the arms differ in their loss: {losses}")
    medians = {name: statistics.median(seconds[name]) for name in names}
    for name in names:
        line = (
            f"{name}: {tokens / medians[name]:,.0f} tokens/s, step {medians[name]:.4g} s "
            f"({', '.join(f'{value:.4g}' for value in seconds[name])})"
        )
        line += f", {medians[name] / medians[names[0]]:.2f} of the first arm's time"
        line += f", MFU {work / medians[name] / peak:.1%}" if peak else ""
        print(line + (f", peak memory {memory[name] / 1e9:.1f} GB" if memory[name] else ""))


if __name__ == "__main__":
    main()
