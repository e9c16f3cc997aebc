"""Forward and backward of a T5-v1.1-small: padded batches, length-grouped batches and the flat path, over the
same documents on one CPU core.

    python benchmarks/train_step.py --data FOLDER --tokenizer MODEL     # chain-of-thought rows (*_train.tsv),
    half of them few-shot
    python benchmarks/train_step.py                                     # lengths drawn to the same median and
    tail; token ids at random

Real tokens (no padding) per CPU second; arms alternate, the median of three runs each counts. Padded and
grouped batches go through transformers' own forward with labels, as Seq2SeqTrainer's collator makes them. The
share of the machine's matrix rate is the time that the step's own matrix multiplications take when each runs
by itself at its own shape, over the time of the step. Attention is counted document by document and as the
causal arithmetic it does (the whole square); recomputation is not counted. Before anything is timed, both
paths must give the same loss.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from openflan.models.memory import keep_freed_memory
from openflan.models.packed import packed_layout
from openflan.packing.batch import IGNORED
from openflan.packing.encode import Encoded, Encoder, Limits
from openflan.tasks.sources import open_submixture
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import packaged_wordings, wordings_for

RUNS, BATCH, VOCABULARY, LAYERS, WIDTH, INNER, HIDDEN = 3, 8, 32128, 8, 512, 384, 1024
INPUTS, TARGETS = 1024, 256


def model_of_shape(dropout: float) -> Any:
    """T5-v1.1-small with random weights: 76.96 M parameters, a head of its own, scaled for a loss near ln
    V."""
    torch.manual_seed(0)
    sizes = {
        "d_model": WIDTH,
        "d_kv": 64,
        "d_ff": HIDDEN,
        "num_layers": LAYERS,
        "num_heads": 6,
        "vocab_size": VOCABULARY,
    }
    settings = {
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "decoder_start_token_id": 0,
        "dropout_rate": dropout,
    }
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, **settings))
    # transformers ties a fresh T5 whatever its configuration says.
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.shared.weight) * WIDTH**-0.5)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if round(parameters / 1e4) != 7696:
        raise SystemExit(f"{parameters:,} parameters, expected 76.96 million: the head is tied")
    return model.train()


def made_up(count: int) -> list[Encoded]:
    """Lengths with the medians (106 and 27) and about the means (176 and 36) of chain-of-thought rows, half
    of them few-shot."""
    random = np.random.default_rng(0)
    inputs = np.clip(np.exp(random.normal(np.log(106), 1.0, count)), 8, INPUTS).astype(int)
    targets = np.clip(np.exp(random.normal(np.log(27), 0.75, count)), 2, TARGETS).astype(int)
    return [
        Encoded(*(random.integers(3, VOCABULARY, size).astype(np.int32) for size in sizes))
        for sizes in zip(inputs, targets, strict=True)
    ]


def real(count: int, data: Path, tokenizer: str) -> list[Encoded]:
    tasks = open_submixture("cot", data)
    renderers = [
        Renderer(task, wordings_for(name, task.fields, packaged_wordings())) for name, task in tasks.items()
    ]
    random, rendered = np.random.default_rng(0), []
    for index in range(count):
        renderer = renderers[random.integers(len(renderers))]
        few = index % 2 == 1
        style, shots = Style(few_shot=few, rationale=True), int(random.integers(2, 6)) if few else None
        row = int(random.integers(len(renderer.task.rows)))
        rendered.append(renderer.render(row, style, 0, index, shots=shots))
    encoded = Encoder(
        transformers.AutoTokenizer.from_pretrained(tokenizer), Limits(INPUTS, TARGETS, joint=False)
    ).encode(rendered)
    # Ids are taken into the model's vocabulary: only lengths matter here.
    return [
        Encoded(example.input_ids % VOCABULARY, example.target_ids % VOCABULARY)
        for example in encoded
        if example.keeps
    ]


def padded(examples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    """One batch as transformers' collator for sequence to sequence makes it."""
    wide, long = (
        max(len(getattr(example, name)) for example in examples) for name in ("input_ids", "target_ids")
    )
    ids, labels = (
        np.zeros((len(examples), wide), dtype=np.int64),
        np.full((len(examples), long), IGNORED, dtype=np.int64),
    )
    for index, example in enumerate(examples):
        ids[index, : len(example.input_ids)], labels[index, : len(example.target_ids)] = (
            example.input_ids,
            example.target_ids,
        )
    mask = np.arange(wide) < np.array([len(example.input_ids) for example in examples])[:, None]
    return {
        name: torch.from_numpy(array)
        for name, array in (("input_ids", ids), ("attention_mask", mask.astype(np.int64)), ("labels", labels))
    }


def batches(examples: Sequence[Encoded]) -> list[list[Encoded]]:
    return [list(examples[first : first + BATCH]) for first in range(0, len(examples), BATCH)]


def grouped(examples: Sequence[Encoded]) -> list[list[Encoded]]:
    """Batches of like input lengths: group_by_length, at its best (sorted as a whole; it sorts pieces of 50
    batches)."""
    return batches(sorted(examples, key=lambda example: len(example.input_ids), reverse=True))


def linear_shapes(examples: Sequence[Encoded]) -> list[tuple[int, int, int, int]]:
    """Tokens, inputs, outputs and number of the step's linear layers."""
    e, d = (
        sum(len(example.input_ids) for example in examples),
        sum(len(example.target_ids) for example in examples),
    )
    shapes = [(e, WIDTH, INNER, 3 + 2), (e, INNER, WIDTH, 1), (e, WIDTH, HIDDEN, 2), (e, HIDDEN, WIDTH, 1)]
    shapes += [(d, WIDTH, INNER, 3 + 1), (d, INNER, WIDTH, 2), (d, WIDTH, HIDDEN, 2), (d, HIDDEN, WIDTH, 1)]
    return [(tokens, k, n, number * LAYERS) for tokens, k, n, number in shapes] + [(d, WIDTH, VOCABULARY, 1)]


def flops(examples: Sequence[Encoded]) -> float:
    """Of forward and backward: six for each weight and token, and twelve for each pair of tokens and channel
    that attention looks at."""
    linear = sum(6 * tokens * k * n * number for tokens, k, n, number in linear_shapes(examples))
    pairs = sum(
        len(x.input_ids) ** 2 + len(x.target_ids) ** 2 + len(x.input_ids) * len(x.target_ids)
        for x in examples
    )
    return linear + 12.0 * pairs * INNER * LAYERS


def cpu_seconds(call: Callable[[], Any], runs: int = 1) -> float:
    began = time.process_time()
    for _ in range(runs):
        call()
    return (time.process_time() - began) / runs


def matrix_rate(examples: Sequence[Encoded], dtype: torch.dtype) -> float:
    """FLOP/s of the linear layers of one flat batch, forward and backward, each by itself at its own
    shape."""
    seconds = work = 0.0
    for tokens, k, n, index in linear_shapes(examples):
        x, w, y = (torch.randn(*size).to(dtype) for size in ((tokens, k), (n, k), (tokens, n)))
        for left, right in ((x, w.T), (y, w), (y.T, x)):
            product = torch.empty(left.shape[0], right.shape[1], dtype=dtype)
            torch.mm(left, right, out=product)
            seconds += index * cpu_seconds(
                lambda left=left, right=right, product=product: torch.mm(left, right, out=product), 2
            )  # type: ignore[misc]
            work += index * 2.0 * tokens * k * n
    return work / seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=64)
    parser.add_argument("--data", type=Path, help="folder with *_train.tsv")
    parser.add_argument("--tokenizer", help="model or folder; needed with --data")
    parser.add_argument("--precision", choices=["float32", "bf16", "both"], default="both")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--rows", type=int, default=16, help="documents of one flat batch")
    parser.add_argument(
        "--keep-memory",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep freed memory, in every arm",
    )
    parser.add_argument("--compile", action="store_true", help="compile the flat path")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.keep_memory:
        print(f"freed memory is kept by the process in every arm: {keep_freed_memory()}")
    examples = (
        real(arguments.documents, arguments.data, arguments.tokenizer)
        if arguments.data
        else made_up(arguments.documents)
    )
    lengths = np.array([(len(example.input_ids), len(example.target_ids)) for example in examples])
    print(
        f"{len(examples)} documents; inputs and targets: mean {lengths.mean(0).round()}, median "
        f"{np.median(lengths, 0)}, longest {lengths.max(0)}"
    )
    model = model_of_shape(arguments.dropout)
    layout = packed_layout(model, "flat")
    if arguments.compile:
        layout.module.compile(fullgraph=True, dynamic=True)
    flat = [examples[first : first + arguments.rows] for first in range(0, len(examples), arguments.rows)]

    autocast: Callable[..., Any] = nullcontext

    def hugging_face(groups: list[list[Encoded]]) -> None:
        for group in groups:
            with autocast():
                loss = model(**padded(group), use_cache=False).loss
            loss.backward()
            model.zero_grad(set_to_none=True)

    def ours() -> None:
        for group in flat:
            with autocast():
                losses, _ = layout.losses(layout.batch([group]))
            (losses.sum() / len(losses)).backward()
            model.zero_grad(set_to_none=True)

    for precision in ("float32", "bf16"):
        if arguments.precision not in (precision, "both"):
            continue
        dtype = torch.float32 if precision == "float32" else torch.bfloat16
        autocast = partial(torch.autocast, "cpu", dtype=dtype, enabled=precision == "bf16")
        if arguments.dropout == 0:
            with torch.no_grad(), autocast():
                alone = float(model(**padded(examples[:2]), use_cache=False).loss)
                mine = float(layout.losses(layout.batch([examples[:2]]))[0].mean())
            if abs(alone - mine) > (1e-4 if precision == "float32" else 0.1):
                raise SystemExit(f"the losses differ: {alone} by transformers, {mine} flat")
        arms = {
            "padded": lambda: hugging_face(batches(examples)),
            "grouped": lambda: hugging_face(grouped(examples)),
            "flat": ours,
        }
        hugging_face(batches(examples[:BATCH]))
        ours()
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(RUNS):
            for name, arm in arms.items():
                seconds[name].append(cpu_seconds(arm))
        report(precision, examples, flat, seconds, dtype)


def report(
    precision: str,
    examples: Sequence[Encoded],
    flat: Sequence[Sequence[Encoded]],
    seconds: dict[str, list[float]],
    dtype: torch.dtype,
) -> None:
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        speed = _tokens(examples) / medians[name]
        print(
            f"{precision} {name}: {speed:,.0f} tokens/s, {', '.join(f'{value:.2f}' for value in values)} "
            f"CPU s; flat is {medians[name] / medians['flat']:.2f}x"
        )
    rate = statistics.median(matrix_rate(flat[0], dtype) for _ in range(RUNS))
    reached = flops(examples) / medians["flat"]
    print(
        f"{precision} flat: {reached / 1e9:.1f} GFLOP/s of the {rate / 1e9:.1f} of matrix "
        f"multiplications alone: {reached / rate:.0%}"
    )


def _tokens(examples: Sequence[Encoded]) -> int:
    return sum(len(example.input_ids) + len(example.target_ids) for example in examples)


if __name__ == "__main__":
    main()
