"""A model that several processes train is loaded by one of them: the others get its structure, and then their
shards of its weights.

The main rank loads as a process alone would, which every family, tied or grown matrices and random weights go
through alike, and tries how the model packs. Its module, weights left out, is sent to the others, all shard
it without weights, and each weight is sent once. Hence the bits are those of a process alone. Price: the main
rank's machine holds the model once, whatever the number of processes, until they have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from openflan.training.distributed import DistributedContext
from openflan.training.shards import fill


def load_on_main(load: Callable[[], Any], distributed: DistributedContext) -> Any:
    """What `load` gives on the main rank; on the others the same model, its weights on the meta device. What
    `load` raises is raised on all."""
    if distributed.size == 1:
        return load()
    weights: dict[str, nn.Parameter] = {}

    def bare() -> Any:
        model = load()
        weights.update(take_weights(model))
        return model

    model = distributed.run_on_main(bare)
    for name, parameter in model.named_parameters():
        if name in weights:
            torch.utils.swap_tensors(parameter, weights[name])  # type: ignore[no-untyped-call]
    return model


def take_weights(model: Any) -> dict[str, nn.Parameter]:
    """The weights by name; the model's own parameters, the same objects as before, tied or not, go to the
    meta device."""
    taken = {}
    for name, parameter in model.named_parameters():
        taken[name] = nn.Parameter(
            torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad
        )
        torch.utils.swap_tensors(parameter, taken[name])  # type: ignore[no-untyped-call]
    return taken


@torch.no_grad()
def give_weights(
    root: nn.Module, model: Any, weights: dict[str, nn.Parameter], distributed: DistributedContext
) -> None:
    """Gives a model that was sharded on the meta device the main rank's `weights`, which are used up; `root`
    is what was sharded."""

    def placed(tensor: Tensor) -> Tensor:
        # Buffers are there.
        return torch.empty_like(tensor, device=distributed.device) if tensor.is_meta else tensor

    root._apply(placed)  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        mine = weights.pop(name)
        full = (
            mine.detach().to(distributed.device).contiguous()
            if distributed.main
            else torch.empty(parameter.shape, dtype=parameter.dtype, device=distributed.device)
        )
        dist.broadcast(full, src=0)
        fill(parameter, full)
