"""The memory that a recipe takes on one device, by the formulas of `models.estimate`."""

from __future__ import annotations

from openflan.models.estimate import Memory, Shape, memory
from openflan.recipe.pretraining import AnyRecipe
from openflan.training.optimizers import state_bytes


def sequences_at_a_time(recipe: AnyRecipe, devices: int = 1) -> int:
    """The sequences of a micro-batch on one of so many devices."""
    share = -(-recipe.training.batch_size // devices)
    return min(share, recipe.training.micro_batch_size or share)


def memory_of_recipe(recipe: AnyRecipe, shape: Shape, devices: int = 1) -> Memory:
    """What a recipe takes on one of so many devices that each hold the whole model of this shape."""
    settings = recipe.training
    return memory(
        shape,
        rows=sequences_at_a_time(recipe, devices),
        inputs=recipe.packing.inputs,
        targets=recipe.packing.targets,
        precision=settings.precision,
        optimizer_bytes=sum(state_bytes(size, settings) for size in shape.trained_tensors),
        weights=settings.weights,
        recomputed=settings.activation_checkpointing == "full",
    )
