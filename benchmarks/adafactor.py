"""One optimiser step at the shapes of T5-v1.1-small (77 M parameters, 190 tensors): ours, torch's Adafactor
both ways, AdamW.

    python benchmarks/adafactor.py

CPU seconds of one thread; the arms take turns (A B C ... A B C ...), the median of the rounds counts.
Gradients are normal numbers of size 1e-3. The control is ours on half of the tensors: if it did not take
about half of the time, the clock would not measure the step.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.optim import Optimizer

from openflan.training.adafactor import Adafactor

VOCABULARY, WIDTH, INNER, HIDDEN, LAYERS, HEADS, BUCKETS = 32_128, 512, 384, 1_024, 8, 6, 32
OURS = "openflan Adafactor"


def shapes() -> list[tuple[int, ...]]:
    attention = [(INNER, WIDTH)] * 3 + [(WIDTH, INNER), (WIDTH,)]
    feed_forward = [(HIDDEN, WIDTH)] * 2 + [(WIDTH, HIDDEN), (WIDTH,)]
    encoder, decoder = attention + feed_forward, attention * 2 + feed_forward
    return [(VOCABULARY, WIDTH)] * 2 + (encoder + decoder) * LAYERS + [(BUCKETS, HEADS), (WIDTH,)] * 2


def parameters(sizes: list[tuple[int, ...]]) -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    made = [torch.nn.Parameter(torch.randn(size) * 0.05) for size in sizes]
    for parameter in made:
        parameter.grad = torch.randn_like(parameter) * 1e-3
    return made


def arms(sizes: list[tuple[int, ...]]) -> dict[str, Callable[[list[torch.nn.Parameter]], Optimizer]]:
    return {
        OURS: lambda tensors: Adafactor(tensors, lr=1e-3),
        "torch Adafactor, foreach=False": lambda tensors: torch.optim.Adafactor(
            tensors, lr=1e-3, foreach=False
        ),
        "torch Adafactor, foreach=True": lambda tensors: torch.optim.Adafactor(
            tensors, lr=1e-3, foreach=True
        ),
        "torch AdamW, fused": lambda tensors: torch.optim.AdamW(tensors, lr=1e-3, fused=True),
        "torch AdamW, foreach": lambda tensors: torch.optim.AdamW(tensors, lr=1e-3, foreach=True),
    }


def seconds(optimizer: Optimizer) -> float:
    began = time.process_time()
    optimizer.step()
    return time.process_time() - began


def megabytes(optimizer: Optimizer) -> float:
    tensors = [
        value
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds: int = parser.parse_args().rounds
    torch.set_num_threads(1)
    tensors = parameters(shapes())
    optimizers = {name: make(tensors) for name, make in arms(shapes()).items()}
    optimizers["control: ours, half of the tensors"] = Adafactor(tensors[1::2], lr=1e-3)
    share = sum(tensor.numel() for tensor in tensors[1::2]) / sum(tensor.numel() for tensor in tensors)
    for optimizer in optimizers.values():
        optimizer.step()
    times: dict[str, list[float]] = {name: [] for name in optimizers}
    for _ in range(rounds):
        for name, optimizer in optimizers.items():
            times[name].append(seconds(optimizer))
    median = {name: statistics.median(values) for name, values in times.items()}
    best = min(median[name] for name in median if name.startswith("torch Adafactor"))
    print(
        f"{sum(tensor.numel() for tensor in tensors) / 1e6:.2f} M parameters in {len(tensors)} tensors, "
        f"torch {torch.__version__}, {rounds} rounds"
    )
    for name, values in times.items():
        print(
            f"{name:36s} {median[name]:.4f} s ({min(values):.4f}-{max(values):.4f})   state "
            f"{megabytes(optimizers[name]):7.2f} MB"
        )
    print(f"ours / torch's Adafactor in its best mode: {median[OURS] / best:.2f}")
    print(
        f"control / ours: {median['control: ours, half of the tensors'] / median[OURS]:.2f} (its share "
        f"of the parameters: {share:.2f})"
    )


if __name__ == "__main__":
    main()
