"""The optimizers of a recipe in one table, their statistics by name, and clipping.

All of it also works on parameters that FSDP2 has sharded. A new optimizer is an entry of `OPTIMIZERS` and a
value of the recipe's `training.optimizer`.

Statistics are saved under `PARAMETER|KIND`. They are restored from full tensors, of which each rank reads its
rows, so that a checkpoint of one rank is restored on two ranks and back. Adafactor's factored statistics are
full on every rank; AdamW's two are sharded as their parameter is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import AdamW, Optimizer

from openflan.errors import InputError
from openflan.recipe.schema import Training
from openflan.training.adafactor import Adafactor
from openflan.training.adafactor_statistics import statistics_shapes
from openflan.training.adamw import RoundedAdamW
from openflan.training.schedule import learning_rate_at
from openflan.training.shards import FullTensor, local_shard, slice_like, square_sums

ADAMW_BETAS = (0.9, 0.999)
"""Kingma and Ba (2015); `momentum` takes the first one's place."""


Parameters: TypeAlias = Sequence[tuple[str, torch.nn.Parameter]]
"""Parameters with their names."""


@dataclass(frozen=True, slots=True)
class OptimizerSpec:
    """What training must know of an optimizer.

    `build(parameters, training, rate, seed)` makes one of `optimizers`. `state_shapes(shape, momentum)` gives
    the shapes of the tensors that it keeps of a parameter of that shape, by kind, besides the scalar `step`:
    estimates count their numbers and checkpoints are checked against them. `restore(kind, value, parameter)`
    places a saved tensor where the optimizer expects it.
    """

    optimizers: tuple[type[Optimizer], ...]
    build: Callable[[Parameters, Training, float, int], Optimizer]
    state_shapes: Callable[[tuple[int, ...], float | None], dict[str, tuple[int, ...]]]
    restore: Callable[[str, FullTensor, Tensor], Tensor]


def _build_adafactor(parameters: Parameters, training: Training, rate: float, seed: int) -> Optimizer:
    # As in T5X, all parameters decay.
    return Adafactor(
        list(parameters),
        rate,
        step_offset=training.step_offset,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        seed=seed,
        statistics=statistics_dtype(training),
    )


def _build_adamw(parameters: Parameters, training: Training, rate: float, seed: int) -> Optimizer:
    # Only matrices decay, not norms and biases, as is usual.
    matrices, others = (
        [(name, parameter) for name, parameter in parameters if (parameter.ndim >= 2) == matrix]
        for matrix in (True, False)
    )
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": training.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    betas = (ADAMW_BETAS[0] if training.momentum is None else training.momentum, ADAMW_BETAS[1])
    groups = [group for group in groups if group["params"]]
    if any(parameter.dtype == torch.bfloat16 for _, parameter in parameters):
        # torch's own would compute in bfloat16, in which most updates are lost.
        return RoundedAdamW(groups, rate, seed=seed, betas=betas, statistics=statistics_dtype(training))
    return AdamW(groups, rate, betas=betas, fused=True)


def _adamw_shapes(shape: tuple[int, ...], momentum: float | None) -> dict[str, tuple[int, ...]]:
    return {"exp_avg": shape, "exp_avg_sq": shape}


def _restore_adafactor(kind: str, value: FullTensor, parameter: Tensor) -> Tensor:
    # Our step is read on the host.
    return value[...].to("cpu", copy=True) if kind == "step" else _restore_statistic(value, parameter)


def _restore_adamw(kind: str, value: FullTensor, parameter: Tensor) -> Tensor:
    # torch's fused kernels read the step on the device; ours, for bfloat16, reads it on the host.
    device = "cpu" if parameter.dtype == torch.bfloat16 else local_shard(parameter).local.device
    return value[...].to(device, copy=True) if kind == "step" else _restore_statistic(value, parameter)


def _restore_statistic(value: FullTensor, parameter: Tensor) -> Tensor:
    if tuple(value.shape) == tuple(parameter.shape):
        return slice_like(value, parameter)
    return value[...].to(local_shard(parameter).local.device, copy=True)


OPTIMIZERS: Mapping[str, OptimizerSpec] = {
    "adafactor": OptimizerSpec((Adafactor,), _build_adafactor, statistics_shapes, _restore_adafactor),
    "adamw": OptimizerSpec((AdamW, RoundedAdamW), _build_adamw, _adamw_shapes, _restore_adamw),
}
"""The optimizers by the recipe's `training.optimizer`."""


def make_optimizer(
    parameters: Iterable[tuple[str, torch.nn.Parameter]], training: Training, seed: int = 0
) -> Optimizer:
    """The recipe's optimizer for named parameters, with the learning rate of the first step. Parameters that
    need no gradient are left out. `seed` sets how parameters in bfloat16 are rounded."""
    trained = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
    return OPTIMIZERS[training.optimizer].build(trained, training, learning_rate_at(training, 0), seed)


def statistics_dtype(training: Training) -> torch.dtype:
    """The number format of statistics that have the shape of a parameter in bfloat16."""
    return torch.bfloat16 if training.statistics == "bf16" else torch.float32


def state_bytes(shape: tuple[int, ...], training: Training) -> int:
    """How many bytes the recipe's optimizer keeps of a trained parameter of this shape."""
    shapes = OPTIMIZERS[training.optimizer].state_shapes(shape, training.momentum)
    own = 2 if training.statistics == "bf16" else 4
    return sum(math.prod(kept) * (own if kept == shape else 4) for kept in shapes.values())


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Sets the learning rate of the next step for all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scales all gradients so that their common norm is at most `max_norm`; returns the norm before scaling.

    The norm is over all parameters and shards, so every rank must call it. A NaN or infinite norm leaves the
    gradients as they are.
    """
    on_all_ranks: dict[tuple[dist.ProcessGroup | None, torch.device], list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            shard = local_shard(parameter.grad)
            on_all_ranks.setdefault((shard.group, shard.local.device), []).append(shard.local)
    square = 0.0
    for (ranks, _), gradients in on_all_ranks.items():
        total = square_sums(gradients).sum()
        if ranks is not None:
            dist.all_reduce(total, group=ranks)
        square += float(total)
    norm = math.sqrt(square)
    if math.isfinite(norm) and norm > max_norm:
        for gradients in on_all_ranks.values():
            torch._foreach_mul_(gradients, max_norm / norm)
    return norm


def statistics(optimizer: Optimizer) -> dict[str, Tensor]:
    """The tensors that an optimizer of `make_optimizer` keeps, by `PARAMETER|KIND`, in the same order on
    every rank."""
    return {
        f"{name}|{kind}": value
        for name, parameter, _ in _named(optimizer)
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def restore_statistics(optimizer: Optimizer, tensors: Mapping[str, FullTensor]) -> None:
    """Restores the full tensors of `statistics`. Each rank reads its rows; nothing is communicated.

    Raises InputError if they belong to another model or optimizer.
    """
    spec = next(spec for spec in OPTIMIZERS.values() if isinstance(optimizer, spec.optimizers))
    unused = set(tensors)
    for name, parameter, group in _named(optimizer):
        shapes = {"step": ()} | spec.state_shapes(tuple(parameter.shape), group.get("momentum"))
        stored = {kind: tensors[f"{name}|{kind}"] for kind in shapes if f"{name}|{kind}" in unused}
        unused -= {f"{name}|{kind}" for kind in stored}
        if not stored:
            continue  # a parameter that never had a gradient
        wrong = next(
            (kind for kind in shapes if kind not in stored or tuple(stored[kind].shape) != shapes[kind]), None
        )
        if wrong is not None:
            actual = f"of shape {tuple(stored[wrong].shape)}" if wrong in stored else "missing"
            raise InputError(
                f"the optimiser's statistic `{name}|{wrong}` is {actual}, expected {shapes[wrong]}; start "
                "anew with --restart"
            )
        optimizer.state[parameter] = {
            kind: spec.restore(kind, value, parameter) for kind, value in stored.items()
        }
    if unused:
        raise InputError(
            f"the optimiser's statistic `{min(unused)}` has no place in this model and optimiser; start "
            "anew with --restart"
        )


def _named(optimizer: Optimizer) -> Iterator[tuple[str, Tensor, dict[str, Any]]]:
    for group in optimizer.param_groups:
        for name, parameter in zip(group["param_names"], group["params"], strict=True):
            yield name, parameter, group
