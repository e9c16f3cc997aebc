"""The recipe's optimiser, its statistics by name, and clipping; all of it also for parameters that FSDP2 has
sharded.

Statistics leave under `PARAMETER|KIND`, placed as they are, and enter as whole tensors of which each rank
takes its rows, so that a checkpoint of one rank is restored on two and back. Adafactor's factored ones are
whole on every rank, AdamW's two are sharded as their parameter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import AdamW, Optimizer

from openflan.errors import InputError
from openflan.recipe.schema import Training
from openflan.training.adafactor import Adafactor, statistics_shapes
from openflan.training.schedule import learning_rate_at
from openflan.training.shards import Whole, part_of, slice_like, square_sums

ADAMW_BETAS = (0.9, 0.999)
"""Kingma and Ba (2015); `momentum` takes the first one's place."""


def make_optimizer(parameters: Iterable[tuple[str, torch.nn.Parameter]], training: Training) -> Optimizer:
    """The recipe's optimiser for `model.named_parameters()`; those that need no gradient are left out.

    AdamW decays matrices only, no norms and biases, as is the custom; Adafactor decays all, as T5X does.
    """
    trained = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
    rate = learning_rate_at(training, 0)
    if training.optimizer == "adafactor":
        return Adafactor(
            trained,
            rate,
            step_offset=training.step_offset,
            momentum=training.momentum,
            weight_decay=training.weight_decay,
        )
    groups = [
        {
            "params": [(name, parameter) for name, parameter in trained if parameter.ndim >= 2],
            "weight_decay": training.weight_decay,
        },
        {
            "params": [(name, parameter) for name, parameter in trained if parameter.ndim < 2],
            "weight_decay": 0.0,
        },
    ]
    betas = (ADAMW_BETAS[0] if training.momentum is None else training.momentum, ADAMW_BETAS[1])
    return AdamW([group for group in groups if group["params"]], rate, betas=betas, fused=True)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """For the next step, of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scales all gradients so that their common norm is at most `max_norm`; returns the norm before.

    The norm is over all parameters and shards, hence every rank must call it. A norm that is no finite number
    leaves the gradients as they are.
    """
    on_all_ranks: dict[tuple[dist.ProcessGroup | None, torch.device], list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            part = part_of(parameter.grad)
            on_all_ranks.setdefault((part.group, part.local.device), []).append(part.local)
    square = 0.0
    for (ranks, _), gradients in on_all_ranks.items():
        total = square_sums(
            [gradient if gradient.dtype == torch.float64 else gradient.float() for gradient in gradients]
        ).sum()
        if ranks is not None:
            dist.all_reduce(total, group=ranks)
        square += float(total)
    norm = math.sqrt(square)
    if math.isfinite(norm) and norm > max_norm:
        for gradients in on_all_ranks.values():
            torch._foreach_mul_(gradients, max_norm / norm)
    return norm


def statistics(optimizer: Optimizer) -> dict[str, Tensor]:
    """`PARAMETER|KIND` and the tensor that is kept, in the same order on every rank. The optimiser must be
    one of `make_optimizer`."""
    return {
        f"{name}|{kind}": value
        for name, parameter, _ in _named(optimizer)
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def restore_statistics(optimizer: Optimizer, tensors: Mapping[str, Whole]) -> None:
    """Puts what `statistics` gave, whole, in place; each rank takes its rows, nothing is communicated.

    Raises InputError if they are of another model or optimiser.
    """
    left = set(tensors)
    for name, parameter, group in _named(optimizer):
        shapes = _shapes(optimizer, parameter, group)
        found = {kind: tensors[f"{name}|{kind}"] for kind in shapes if f"{name}|{kind}" in left}
        left -= {f"{name}|{kind}" for kind in found}
        if not found:
            continue  # a parameter that never had a gradient
        wrong = next(
            (kind for kind in shapes if kind not in found or tuple(found[kind].shape) != shapes[kind]), None
        )
        if wrong is not None:
            there = f"of shape {tuple(found[wrong].shape)}" if wrong in found else "missing"
            raise InputError(
                f"the optimiser's statistic `{name}|{wrong}` is {there}, expected {shapes[wrong]}; start "
                "anew with --restart"
            )
        optimizer.state[parameter] = {
            kind: _placed(kind, value, parameter, optimizer) for kind, value in found.items()
        }
    if left:
        raise InputError(
            f"the optimiser's statistic `{min(left)}` has no place in this model and optimiser; start "
            "anew with --restart"
        )


def _named(optimizer: Optimizer) -> Iterator[tuple[str, Tensor, dict[str, Any]]]:
    for group in optimizer.param_groups:
        for name, parameter in zip(group["param_names"], group["params"], strict=True):
            yield name, parameter, group


def _shapes(optimizer: Optimizer, parameter: Tensor, group: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    shape = tuple(parameter.shape)
    kept = (
        statistics_shapes(shape, group["momentum"])
        if isinstance(optimizer, Adafactor)
        else {"exp_avg": shape, "exp_avg_sq": shape}
    )
    return {"step": ()} | kept


def _placed(kind: str, value: Whole, parameter: Tensor, optimizer: Optimizer) -> Tensor:
    device = part_of(parameter).local.device
    if kind == "step":
        # torch's fused kernels read it on the device, ours on the host.
        return value[...].to(device if optimizer.defaults.get("fused") else "cpu", copy=True)
    return (
        slice_like(value, parameter)
        if tuple(value.shape) == tuple(parameter.shape)
        else value[...].to(device, copy=True)
    )
