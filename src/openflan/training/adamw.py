"""AdamW for parameters in bfloat16: arithmetic in float32, results rounded stochastically.

Loshchilov and Hutter (2019) as torch computes it. torch's own optimizer computes bfloat16 parameters in
bfloat16, where most updates are lost. Here each piece of a parameter is widened, updated and rounded
(`training.rounding`); statistics are kept in float32 or, rounded in the same way, in bfloat16. No temporary
tensor is larger than a piece. Nothing is communicated, so shards need no care.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from openflan.training.adafactor import PIECE_ELSEWHERE, PIECE_ON_CPU
from openflan.training.rounding import rounding_key, store
from openflan.training.shards import LocalShard, local_shard

EPSILON = 1e-8


class RoundedAdamW(Optimizer):
    """`seed` sets the bits of stochastic rounding, `statistics` the number format of both moments. Parameters
    need names, which the bits depend on."""

    def __init__(
        self,
        params: Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]],
        lr: float,
        *,
        seed: int,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        statistics: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "weight_decay": weight_decay,
                "seed": seed,
                "statistics": statistics,
            },
        )

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for name, parameter in zip(group["param_names"], group["params"], strict=True):
                if parameter.grad is not None:
                    self._update(name, parameter, group)
        return loss

    def _update(self, name: str, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.int64)
            for kind in ("exp_avg", "exp_avg_sq"):
                state[kind] = torch.zeros_like(parameter, dtype=group["statistics"])
        state["step"] += 1
        step, (beta1, beta2) = int(state["step"]), group["betas"]
        shard = local_shard(parameter)
        tensors = (
            shard.local,
            local_shard(parameter.grad).local.contiguous(),  # type: ignore[arg-type]
            *(local_shard(state[kind]).local for kind in ("exp_avg", "exp_avg_sq")),
        )
        keys = {
            kind: rounding_key(group["seed"], step, name, kind)
            for kind in ("weight", "exp_avg", "exp_avg_sq")
        }
        for offset, (values, gradient, first, second) in pieces(shard, tensors):
            wide = gradient.float()
            average = _widened(first).lerp_(wide, 1.0 - beta1)
            square = _widened(second).mul_(beta2).addcmul_(wide, wide, value=1.0 - beta2)
            divisor = (square.sqrt() / math.sqrt(1.0 - beta2**step)).add_(EPSILON)
            updated = _widened(values).mul_(1.0 - group["lr"] * group["weight_decay"])
            updated.addcdiv_(average, divisor, value=-group["lr"] / (1.0 - beta1**step))
            store(values, updated, keys["weight"], offset)
            store(first, average, keys["exp_avg"], offset)
            store(second, square, keys["exp_avg_sq"], offset)


def pieces(shard: LocalShard, tensors: tuple[Tensor, ...]) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Flat pieces of tensors of a shard's shape, each with the offset of its first element in the whole
    tensor. The tensors must be contiguous, as parameters and what is made like them are."""
    size = PIECE_ON_CPU if shard.local.device.type == "cpu" else PIECE_ELSEWHERE
    flat = tuple(tensor.view(-1) for tensor in tensors)
    before = shard.first * math.prod(shard.shape[1:])
    for start in range(0, flat[0].numel(), size):
        yield before + start, tuple(tensor[start : start + size] for tensor in flat)


def _widened(piece: Tensor) -> Tensor:
    """The piece itself if it is float32, else a copy that is."""
    return piece if piece.dtype == torch.float32 else piece.float()
