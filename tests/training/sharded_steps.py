"""Optimiser steps on parameters of awkward shapes, plain or sharded by FSDP2 over gloo ranks; as a program,
one rank of two.

The loss is linear in the parameters, so that the gradients of a step are known numbers on any number of
ranks.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.fsdp import fully_shard

from openflan.recipe.schema import Training
from openflan.training.distributed import leave_distributed
from openflan.training.optimizers import clip_gradients, make_optimizer, restore_statistics, statistics
from openflan.training.shards import full_tensor

SHAPES = {
    "even": (256, 130),
    "uneven": (129, 140),
    "unfactored": (65, 90),
    "vector": (33,),
    "one_row": (1, 7),
    "one_number": (1,),
    "stack": (3, 128, 130),
    "spread": (131, 2, 128),
}
CASES: dict[str, dict[str, Any]] = {
    "plain-float32": {},
    "all-float64": {"momentum": 0.9, "weight_decay": 0.1, "step_offset": 10, "clip_norm": 1.0},
    "adamw-float32": {"optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 1.0},
    "plain-bfloat16": {"weights": "bf16", "statistics": "bf16", "momentum": 0.9},
    "adamw-bfloat16": {"optimizer": "adamw", "weights": "bf16", "statistics": "bf16", "weight_decay": 0.1},
}
HALF, STEPS = 25, 50


class Linear(torch.nn.Module):
    def __init__(self, values: dict[str, Tensor] | None = None, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(1)
        for name, shape in SHAPES.items():
            value = torch.randn(shape, generator=random, dtype=torch.float64) * 0.05
            self.register_parameter(
                name, torch.nn.Parameter(value.to(dtype) if values is None else values[name].clone())
            )

    def forward(self, slopes: dict[str, Tensor]) -> Tensor:
        return torch.stack(
            [(parameter * slopes[name]).sum() for name, parameter in self.named_parameters()]
        ).sum()


@cache
def slopes(step: int, dtype: torch.dtype) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(100 + step)
    gradients = {}
    for name, shape in SHAPES.items():
        gradients[name] = torch.randn(shape, generator=random, dtype=torch.float64) * 10.0 ** (step % 4 - 3)
        gradients[name][: shape[0] // 3] *= step % 5 > 0
    return {name: value.to(dtype) for name, value in gradients.items()}


def steps(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, training: Training, first: int, last: int
) -> list[float]:
    """Takes steps [first, last) and gives the gradients' norms, where they are clipped."""
    norms = []
    for step in range(first, last):
        model(slopes(step, next(model.parameters()).dtype)).backward()
        if training.clip_norm is not None:
            norms.append(clip_gradients(model.parameters(), training.clip_norm))
        optimizer.step()
        optimizer.zero_grad()
    return norms


def full(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: full_tensor(p).detach().clone() for name, p in model.named_parameters()}


def settings(case: str) -> Training:
    return Training(steps=STEPS, learning_rate=0.01, **CASES[case])


def run(case: str, *, sharded: bool, start: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """What 50 steps give, with the state after 25 of them; from `start` (such a state) only the second
    half."""
    training, dtype = settings(case), getattr(torch, case.split("-")[1])
    model: torch.nn.Module = Linear(
        None if start is None else {name: start[f"half/{name}"] for name in SHAPES}, dtype
    )
    if sharded:
        fully_shard(model)
    optimizer = make_optimizer(model.named_parameters(), training)
    results: dict[str, Tensor] = {}
    norms: list[float] = []
    if start is None:
        norms = steps(model, optimizer, training, 0, HALF)
        results |= {f"half/{name}": value for name, value in full(model).items()}
        results |= {
            f"half/statistics/{name}": full_tensor(value).clone()
            for name, value in statistics(optimizer).items()
        }
    else:
        prefix = "half/statistics/"
        restore_statistics(
            optimizer,
            {name.removeprefix(prefix): value for name, value in start.items() if name.startswith(prefix)},
        )
    norms += steps(model, optimizer, training, HALF, STEPS)
    results |= {f"end/{name}": value for name, value in full(model).items()}
    results |= {
        f"end/statistics/{name}": full_tensor(value).clone() for name, value in statistics(optimizer).items()
    }
    return results | {"norms": torch.tensor(norms, dtype=torch.float64)}


def save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def main(folder: Path, rank: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'meeting'}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=120),
    )
    calls = 0
    reduce = dist.all_reduce

    def counted(*values: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return reduce(*values, **named)

    for case in CASES:
        dist.all_reduce, calls = counted, 0
        sharded_run = run(case, sharded=True)
        dist.all_reduce, made = reduce, calls
        resumed = run(case, sharded=True, start=load_file(folder / f"{case}.safetensors"))
        if rank == 0:
            save(sharded_run | {"calls": torch.tensor(made)}, folder / f"{case}-whole.safetensors")
            save(resumed, folder / f"{case}-resumed.safetensors")
    # `destroy_process_group` alone leaves gloo's threads to abort the process at its end, now and then.
    leave_distributed()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
