"""Which parameters of a model are trained, saved and counted.

Without a frozen parameter this is the whole model. If some are frozen, they stay what the base has: the
optimizer keeps no statistics of them, checkpoints do not hold them, and estimates count neither their
gradients nor their statistics. The export of a run is nevertheless a complete model, unless the view says
otherwise.

Names, not tensors, say what is frozen, because sharding replaces the parameters of a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class TrainableView:
    """A model and the names of its frozen parameters, tied ones under each of their names.

    `export_all`: an export holds the frozen parameters too, which makes it a complete model; otherwise it
    holds only what was trained.
    """

    model: Any
    frozen: frozenset[str] = frozenset()
    export_all: bool = True

    @property
    def complete(self) -> bool:
        """Whether nothing is frozen."""
        return not self.frozen

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters to train with their names, tied ones once. A parameter that needs no gradient by its
        architecture, such as fixed positions, is not among them."""
        return [
            (name, parameter)
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad and name not in self.frozen
        ]

    def saved(self) -> list[tuple[str, Tensor]]:
        """What a checkpoint holds: parameters that are not frozen and lasting buffers, tied ones under each
        of their names."""
        lasting = self.model.state_dict().keys()
        buffers = [
            (name, value)
            for name, value in self.model.named_buffers(remove_duplicate=False)
            if name in lasting
        ]
        return [
            (name, value)
            for name, value in [*self.model.named_parameters(remove_duplicate=False), *buffers]
            if name not in self.frozen
        ]


def freeze(model: Any, is_frozen: Callable[[str], bool], *, export_all: bool = True) -> TrainableView:
    """Freezes the parameters for whose names `is_frozen` is true, and returns the view of the others. Of tied
    parameters one name is enough."""
    named = list(model.named_parameters(remove_duplicate=False))
    frozen = {id(parameter) for name, parameter in named if is_frozen(name)}
    for _, parameter in named:
        if id(parameter) in frozen:
            parameter.requires_grad_(False)
    return TrainableView(
        model, frozenset(name for name, parameter in named if id(parameter) in frozen), export_all
    )
