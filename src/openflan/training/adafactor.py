"""Adafactor as T5X runs it, which neither torch's nor transformers' version does.

Shazeer and Stern (2018) with T5X's choices: statistics are factored only where both of the largest dimensions reach 128 (the relative position bias
does not), the second moment's decay is 1 - t^-0.8, the update is clipped by its root mean square and scaled by the parameter's. The step counter is
a setting, because it sets how fast the second moment moves: T5X restores it from pretraining, a fresh optimiser starts at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

FACTORED_FROM = 128
"""Least size of both dimensions for factored statistics (T5X: min_dim_size_to_factor)."""

DECAY_EXPONENT = 0.8
EPSILON_SQUARED_GRADIENT = 1e-30
EPSILON_PARAMETER_SCALE = 1e-3
CLIPPING_THRESHOLD = 1.0


class Adafactor(Optimizer):
    """`step_offset`: steps it pretends to have made; `momentum`: T5X's beta1 (None: no first moment, the default there)."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        step_offset: int = 0,
        momentum: float | None = None,
    ) -> None:
        super().__init__(params, {"lr": lr, "step_offset": step_offset, "momentum": momentum})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad.float(), group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            _prepare(state, parameter, group["momentum"])
        state["step"] += 1
        beta2 = 1.0 - float(state["step"] + group["step_offset"]) ** -DECAY_EXPONENT
        squared = gradient.square().add_(EPSILON_SQUARED_GRADIENT)
        if "row" in state:
            large, small = _two_largest_dims(parameter)
            state["row"].lerp_(squared.mean(dim=large), 1.0 - beta2)
            state["column"].lerp_(squared.mean(dim=small), 1.0 - beta2)
            # `row` has lost the dimension `large`; its mean runs over what is left of `small`.
            mean = state["row"].mean(dim=small - (small > large), keepdim=True)
            update = gradient * (state["row"] / mean).rsqrt_().unsqueeze(large) * state["column"].rsqrt().unsqueeze(small)
        else:
            state["full"].lerp_(squared, 1.0 - beta2)
            update = gradient * state["full"].rsqrt()
        update.div_(torch.clamp(_root_mean_square(update) / CLIPPING_THRESHOLD, min=1.0))
        update.mul_(group["lr"] * torch.clamp(_root_mean_square(parameter), min=EPSILON_PARAMETER_SCALE))
        if "momentum" in state:
            update = state["momentum"].lerp_(update, 1.0 - group["momentum"])
        parameter.sub_(update)


def _prepare(state: dict[str, Any], parameter: Tensor, momentum: float | None) -> None:
    state["step"] = torch.zeros((), dtype=torch.int64)
    if parameter.ndim < 2 or sorted(parameter.shape)[-2] < FACTORED_FROM:
        state["full"] = torch.zeros_like(parameter, dtype=torch.float32)
    else:
        large, small = _two_largest_dims(parameter)
        state["row"] = torch.zeros_like(parameter.select(large, 0), dtype=torch.float32)
        state["column"] = torch.zeros_like(parameter.select(small, 0), dtype=torch.float32)
    if momentum is not None:
        state["momentum"] = torch.zeros_like(parameter, dtype=torch.float32)


def _two_largest_dims(parameter: Tensor) -> tuple[int, int]:
    small, large = sorted(range(parameter.ndim), key=lambda dim: parameter.shape[dim])[-2:]
    return large, small


def _root_mean_square(values: Tensor) -> Tensor:
    return values.float().square().mean().sqrt()
