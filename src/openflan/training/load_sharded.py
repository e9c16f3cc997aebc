"""One process loads a model that several train: the others get its structure, and then their shards of its
weights.

The main rank loads the model as a single process would, and finds out how it packs; this is the same for
every family, tied or grown matrices and random weights. It sends the module without weights to the others,
all shard it without weights, and each weight is sent once. Hence the bits are those of a single process.
Trade-off: the main rank's machine holds the model once, whatever the number of processes, until they have it.
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
    """The result of `load` on the main rank; on the others the model with its weights on the meta device.
    What `load` raises is raised on all ranks."""
    if distributed.size == 1:
        return load()
    weights: dict[str, nn.Parameter] = {}

    def load_without_weights() -> Any:
        model = load()
        weights.update(detach_weights(model))
        return model

    model = distributed.run_on_main(load_without_weights)
    for name, parameter in model.named_parameters():
        if name in weights:
            torch.utils.swap_tensors(parameter, weights[name])  # type: ignore[no-untyped-call]
    return model


def detach_weights(model: Any) -> dict[str, nn.Parameter]:
    """Returns the weights by name and leaves the model's parameters on the meta device. The parameters stay
    the same objects, tied or not."""
    weights = {}
    for name, parameter in model.named_parameters():
        weights[name] = nn.Parameter(
            torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad
        )
        torch.utils.swap_tensors(parameter, weights[name])  # type: ignore[no-untyped-call]
    return weights


@torch.no_grad()
def distribute_weights(
    root: nn.Module, model: Any, weights: dict[str, nn.Parameter], distributed: DistributedContext
) -> None:
    """Gives the main rank's `weights` to a model that was sharded on the meta device; the mapping ends empty.
    `root` is the module that was sharded."""

    def placed(tensor: Tensor) -> Tensor:
        # Buffers have their values already.
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
