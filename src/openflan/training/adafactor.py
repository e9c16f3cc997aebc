"""Adafactor as T5X runs it, which neither torch's nor transformers' version does; also on parameters that
FSDP2 has sharded.

Shazeer and Stern (2018) with T5X's choices: statistics are factored only where both of the largest dimensions
reach 128 (the relative position bias does not), the second moment's decay is 1 - t^-0.8, the update is
clipped by its root mean square and scaled by the parameter's. The step counter is a setting, because it sets
how fast the second moment moves: T5X restores it from pretraining, a fresh optimiser starts at 0.

A step reads each gradient three times, in pieces that stay in the processor's cache, and makes no temporary
of a factored parameter's size; the price is code that is longer than the formulas. Arithmetic and statistics
are float32, for float64 parameters float64. On shards, two flat all-reduces a step add up what concerns all
rows. Factored statistics are then the same full tensors on every rank; statistics of a parameter's own shape
(unfactored ones, momentum) are sharded as it is. Parameters and gradients in bfloat16 are widened piece by
piece, and updated parameters rounded once: with a seed stochastically (`training.rounding`), else to nearest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, overload

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from openflan.training.adafactor_statistics import prepare_statistics, two_largest_dims
from openflan.training.rounding import rounding_key, store
from openflan.training.shards import LocalShard, local_shard, square_sums

DECAY_EXPONENT = 0.8
EPSILON_SQUARED_GRADIENT = 1e-30
EPSILON_PARAMETER_SCALE = 1e-3
CLIPPING_THRESHOLD = 1.0

PIECE_ON_CPU = 1 << 17
"""Elements of a matrix that are worked on at once: half a megabyte of float32 stays in a core's cache."""

PIECE_ELSEWHERE = 1 << 26
"""On accelerators starting a kernel costs more than memory traffic: 256 MB of float32."""


class Adafactor(Optimizer):
    """`step_offset`: steps it pretends to have made; `momentum`: T5X's beta1 (None: no first moment, the
    default there).

    `weight_decay`: a step multiplies every parameter by 1 - lr * weight_decay, then subtracts the update.
    This is T5X's weight_decay_rate with a weight_decay_rate_lr_exponent of 1 (t5x/adafactor.py,
    apply_param_gradient); PaLM's lr^2, its exponent of 2, is weight_decay = lr.

    `seed`: parameters in bfloat16, which then need names, are rounded stochastically. `statistics`: the
    number format of statistics of a parameter's own shape where it is bfloat16; all others are float32.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]],
        lr: float,
        *,
        step_offset: int = 0,
        momentum: float | None = None,
        weight_decay: float = 0.0,
        seed: int | None = None,
        statistics: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "step_offset": step_offset,
                "momentum": momentum,
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
        """One update. Of sharded parameters every rank must take it, with gradients for the same ones."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        on_all_ranks: dict[tuple[Any, ...], list[_Item]] = {}
        for group in self.param_groups:
            names = group.get("param_names") or [""] * len(group["params"])
            for name, parameter in zip(names, group["params"], strict=True):
                if parameter.grad is not None:
                    item = self._item(name, parameter, parameter.grad, group)
                    on_all_ranks.setdefault((item.shard.group, item.gradient.device, item.dtype), []).append(
                        item
                    )
        for (ranks, _, _), items in on_all_ranks.items():
            _update(items, ranks)
        return loss

    def _item(self, name: str, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> _Item:
        state = self.state[parameter]
        shard = local_shard(parameter)
        dtype = torch.float64 if parameter.dtype == torch.float64 else torch.float32
        if not state:
            own_dtype = group["statistics"] if parameter.dtype == torch.bfloat16 else dtype
            prepare_statistics(state, parameter, dtype, own_dtype, shard.local.device, group["momentum"])
        state["step"] += 1
        new = float(state["step"].item() + group["step_offset"]) ** -DECAY_EXPONENT
        return _Item(name, shard, local_shard(gradient).local, state, new, group, dtype)


@dataclass(frozen=True, slots=True)
class _Item:
    """A parameter in a step: its name, this rank's shard, its gradient (of the shard's shape), statistics,
    the weight of new squares, settings, the dtype of the arithmetic."""

    name: str
    shard: LocalShard
    gradient: Tensor
    state: dict[str, Any]
    new: float
    group: dict[str, Any]
    dtype: torch.dtype

    def own(self, kind: str) -> Tensor | None:
        """This rank's shard of a statistic that has the parameter's shape; None if none is kept."""
        return local_shard(self.state[kind]).local if kind in self.state else None

    def store(self, target: Tensor, values: Tensor, kind: str) -> None:
        """Writes new values into a piece of this rank's shard of the weight or a statistic."""
        if self.group["seed"] is None:
            if target.data_ptr() != values.data_ptr():
                target.copy_(values)
            return
        whole = self.shard.local if kind == "weight" else self.own(kind)
        within = target.storage_offset() - (target if whole is None else whole).storage_offset()
        first = int(self.shard.first * math.prod(self.shard.shape[1:]) + within)
        key = rounding_key(self.group["seed"], int(self.state["step"]), self.name, kind)
        store(target, values, key, first)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of a matrix of a factored parameter, and the vectors beside them.

    `along_rows` has a number for each of the rows, `along_columns` one for each column: first the means of
    squares, then the roots that scale the gradient. The matrix has `all_rows` on all ranks together; `item`
    is the parameter's place among those of the step.
    """

    item: int
    all_rows: int
    gradient: Tensor
    values: Tensor
    momentum: Tensor | None
    along_rows: Tensor
    along_columns: Tensor


def _update(items: list[_Item], ranks: dist.ProcessGroup | None) -> None:
    """One update of parameters that lie on the same ranks and device."""
    factored, whole = (
        [item for item in items if "row" in item.state],
        [item for item in items if "row" not in item.state],
    )
    items = factored + whole
    count, like = len(items), items[0].gradient.new_empty(0, dtype=items[0].dtype)

    # First sums: squared parameters, a number each, and the means of squared gradients over columns and over
    # rows.
    statistics = [item.state[kind] for item in factored for kind in ("row", "column")]
    lengths = [statistic.numel() for statistic in statistics]
    flat = like.new_zeros(count + sum(lengths))
    flat[:count] = square_sums([item.shard.local for item in items])
    means = [
        run.view(statistic.shape)
        for run, statistic in zip(flat[count:].split_with_sizes(lengths), statistics, strict=True)
    ]
    pieces = [
        piece
        for number, item in enumerate(factored)
        for piece in _pieces(number, item, *means[2 * number : 2 * number + 2])
    ]
    token_budget = like.new_empty(max((piece.gradient.numel() for piece in pieces), default=0))
    ones = like.new_ones(max((max(piece.gradient.shape) for piece in pieces), default=0))
    for piece in pieces:
        _add_means(piece, token_budget, ones)
    if ranks is not None:
        dist.all_reduce(flat, group=ranks)
    numels = like.new_tensor([max(1, item.shard.shape.numel()) for item in items])
    scales = (flat[:count] / numels).sqrt_().clamp_(min=EPSILON_PARAMETER_SCALE)
    scales *= like.new_tensor([item.group["lr"] for item in items])

    # The second moments; their roots take the place of the means.
    flat[count:] += EPSILON_SQUARED_GRADIENT
    if factored:
        torch._foreach_lerp_(statistics, means, [item.new for item in factored for _ in range(2)])
        torch._foreach_copy_(means, statistics)
        flat[count:].rsqrt_()
        for item, root in zip(factored, means[::2], strict=True):
            root *= _mean_of_row(item).sqrt_()
    updates = _unfactored_updates(whole)

    # Second sums: the squared updates, which clip them.
    sizes = like.new_zeros(count)
    squares_by_item: dict[int, list[Tensor]] = {}
    for piece in pieces:
        squares_by_item.setdefault(piece.item, []).append(_squared_update(piece, token_budget))
    for number, squares in squares_by_item.items():
        sizes[number] = torch.stack(squares).sum() if len(squares) > 1 else squares[0]
    if whole:
        sizes[len(factored) :] = square_sums(updates)
    if ranks is not None:
        dist.all_reduce(sizes, group=ranks)
    scales /= (sizes / numels).sqrt_().div_(CLIPPING_THRESHOLD).clamp_(min=1.0)

    each = scales.unbind()
    for piece in pieces:
        _apply(piece, each[piece.item], token_budget, factored[piece.item])
    for item, update, scale in zip(whole, updates, each[len(factored) :], strict=True):
        _subtract(item, item.shard.local, update.mul_(scale), item.own("momentum"))


def _mean_of_row(item: _Item) -> Tensor:
    """The mean of the statistic `row` over the side it is along; a stack of matrices has one each."""
    large, small = two_largest_dims(item.shard.shape)
    mean: Tensor = item.state["row"].mean(dim=small - (small > large), keepdim=True)
    return mean


def _unfactored_updates(items: list[_Item]) -> list[Tensor]:
    """gradient / sqrt(second moment), which is moved before. Most are short, hence all in one call."""
    if not items:
        return []
    gradients, kept = (
        [item.gradient.to(item.dtype) for item in items],
        [local_shard(item.state["full"]).local for item in items],
    )
    moments = [moment.to(item.dtype) for moment, item in zip(kept, items, strict=True)]
    updates = list(torch._foreach_mul(gradients, gradients))
    torch._foreach_add_(updates, EPSILON_SQUARED_GRADIENT)
    torch._foreach_lerp_(moments, updates, [item.new for item in items])
    torch._foreach_copy_(updates, moments)
    torch._foreach_rsqrt_(updates)
    torch._foreach_mul_(updates, gradients)
    for item, target, moment in zip(items, kept, moments, strict=True):
        item.store(target, moment, "full")
    return updates


def _pieces(number: int, item: _Item, row: Tensor, column: Tensor) -> Iterator[_Piece]:
    """The pieces of a factored parameter; `row` and `column` have the shapes of its statistics."""
    shape, local = item.shard.shape, item.shard.local
    large, small = two_largest_dims(shape)
    first, second = min(large, small), max(large, small)
    along_rows, along_columns = (row, column) if large == second else (column, row)
    along_rows = along_rows.narrow(0, item.shard.first, local.shape[0])
    if first != 0:
        along_columns = along_columns.narrow(0, item.shard.first, local.shape[0])
    gradient, values, momentum = item.gradient, local, item.own("momentum")
    if len(shape) > 2:
        gradient, values = (tensor.movedim((first, second), (-2, -1)) for tensor in (gradient, values))
        momentum = None if momentum is None else momentum.movedim((first, second), (-2, -1))
        along_rows, along_columns = along_rows.movedim(first, -1), along_columns.movedim(second - 1, -1)
    step = max(1, (PIECE_ON_CPU if local.device.type == "cpu" else PIECE_ELSEWHERE) // shape[second])
    for place in product(*map(range, along_columns.shape[:-1])):
        for start in range(0, along_rows.shape[-1], step):
            at: Any = (*place, slice(start, start + step))
            kept = None if momentum is None else momentum[at]
            yield _Piece(
                number, shape[first], gradient[at], values[at], kept, along_rows[at], along_columns[place]
            )


def _add_means(piece: _Piece, token_budget: Tensor, ones: Tensor) -> None:
    """Adds the means of the squared gradient over columns, and this piece's share of those over rows, to the
    vectors."""
    rows, columns = piece.gradient.shape
    squares = _squares(piece, token_budget)
    piece.along_rows.addmv_(squares, ones[:columns], alpha=1.0 / columns)
    piece.along_columns.addmv_(squares.t(), ones[:rows], alpha=1.0 / piece.all_rows)


def _squared_update(piece: _Piece, token_budget: Tensor) -> Tensor:
    """The sum of (gradient * root * root)^2."""
    squares = _squares(piece, token_budget)
    # One factor at a time: where there is no gradient, the product of the roots may be too large for float32.
    return torch.dot(torch.mv(squares, piece.along_columns.square()).mul_(piece.along_rows), piece.along_rows)


def _squares(piece: _Piece, token_budget: Tensor) -> Tensor:
    """The squared gradient, in the memory of `token_budget`."""
    squares = token_budget[: piece.gradient.numel()].view(piece.gradient.shape)
    if piece.gradient.dtype == squares.dtype:
        return torch.mul(piece.gradient, piece.gradient, out=squares)
    # A product of two bfloat16 tensors would be computed in bfloat16.
    return squares.copy_(piece.gradient).square_()


def _apply(piece: _Piece, scale: Tensor, token_budget: Tensor, item: _Item) -> None:
    """Takes scale * gradient * root * root from the values."""
    update = token_budget[: piece.gradient.numel()].view(piece.gradient.shape)
    torch.mul(piece.gradient, piece.along_columns, out=update)
    root = (piece.along_rows * scale).unsqueeze(-1)
    if piece.momentum is None and not item.group["weight_decay"] and piece.values.dtype == update.dtype:
        piece.values.addcmul_(update, root, value=-1.0)
    else:
        _subtract(item, piece.values, update.mul_(root), piece.momentum)


def _subtract(item: _Item, values: Tensor, update: Tensor, momentum: Tensor | None) -> None:
    group = item.group
    if momentum is not None:
        average = momentum.to(update.dtype).lerp_(update, 1.0 - group["momentum"])
        update.copy_(average)
        item.store(momentum, average, "momentum")
    # The same tensor, unless parameters are stored in fewer bits than the arithmetic has.
    exact = values.to(update.dtype)
    if group["weight_decay"]:
        exact.mul_(1.0 - group["lr"] * group["weight_decay"])
    exact.sub_(update)
    item.store(values, exact, "weight")
