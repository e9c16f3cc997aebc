"""Which parameters of a model are trained, saved and counted.

Without a frozen parameter this is the whole model. If some are frozen, they stay what the base has: the
optimizer keeps no statistics of them, checkpoints do not hold them, and estimates count neither their
gradients nor their statistics. The export of a run is nevertheless a complete model, unless the view says
otherwise.

Names, not tensors, say what is frozen, because sharding replaces the parameters of a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from openflan.models.adapter import AdapterRecord, add_adapter, is_adapter_parameter, name_in_file
from openflan.models.load_model import stored_names
from openflan.models.memory import return_freed_memory
from openflan.recipe.pretraining import AnyRecipe
from openflan.training.distributed import DistributedContext
from openflan.training.weights_format import hold_in_bfloat16


@dataclass(frozen=True, slots=True)
class TrainableView:
    """A model and the names of its frozen parameters, tied ones under each of their names.

    `export_all`: an export holds the frozen parameters too, which makes it a complete model; otherwise it
    holds only what was trained. `adapter` is the record of the adapter that is trained, if one is; its
    parameters are then all that a checkpoint holds.
    """

    model: Any
    frozen: frozenset[str] = frozenset()
    export_all: bool = True
    adapter: AdapterRecord | None = None

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

    def names_in_files(self) -> dict[str, str] | None:
        """How files name what a checkpoint holds, by the model's own names; see `load_model.stored_names`."""
        if self.adapter is not None:
            return {name: name_in_file(name) for name, _ in self.parameters()}
        return stored_names(self.model)

    def saved(self) -> list[tuple[str, Tensor]]:
        """What a checkpoint holds: parameters that are not frozen and lasting buffers, tied ones under each
        of their names. Of an adapter only its parameters."""
        if self.adapter is not None:
            return list(self.parameters())
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


def trainable_view(model: Any, recipe: AnyRecipe, distributed: DistributedContext) -> TrainableView:
    """The view of a model that a recipe trains, in the number formats of the recipe; every rank must call it.

    With `model.adapter` an adapter is put into the model, and the base's weights are frozen. With `weights:
    bf16` all weights but those of an adapter are rounded to bfloat16. Raises what `add_adapter` raises.
    """
    view = TrainableView(model)
    if recipe.model.adapter is not None:
        record = add_adapter(model, recipe.model, recipe.seed, distributed.run_on_main)
        frozen = freeze(model, lambda name: not is_adapter_parameter(name))
        view = replace(frozen, adapter=record)
    if recipe.training.weights == "bf16":
        hold_in_bfloat16(
            parameter for name, parameter in model.named_parameters() if not is_adapter_parameter(name)
        )
        return_freed_memory()
    return view
