"""What a study will take, before any of it runs: cells, steps, and an estimate of arithmetic, time and memory
for each.

Tokens are those that rows have room for, as the paper counts them, so data need not be here. Parameters come
from the model's files where they are on this machine, else from the paper's table by the base's name. Not
counted: evaluation, whose cost depends on how much a model writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openflan.embedded import EMBEDDED
from openflan.errors import OpenflanError
from openflan.models.adapter import shape_with_adapter
from openflan.models.estimate import Hardware, Shape
from openflan.models.folder import bundled_model_folder
from openflan.recipe.presets import PARAMETERS
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.schema import Recipe
from openflan.studies.cells import Cell
from openflan.training.flops import device_hours, recipe_flops, step_tokens
from openflan.training.memory_of_recipe import memory_of_recipe


@dataclass(frozen=True, slots=True)
class Planned:
    """A cell's cost; None means unknown without the model. `seconds` are those of one device after another;
    `memory` is bytes on one device."""

    cell: str
    seed: int | None
    steps: int
    tokens: int
    parameters: float | None
    flops: float | None
    seconds: float | None
    memory: int | None
    missing: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def plan(cells: Sequence[Cell], hardware: Hardware) -> list[Planned]:
    """One line a cell, in the order in which they run."""
    return [_planned(cell, hardware) for cell in cells]


def _planned(cell: Cell, hardware: Hardware) -> Planned:
    recipes: list[AnyRecipe] = [cell.recipe, *([cell.pretraining] if cell.pretraining else [])]
    shape = _shape(cell.recipe)
    parameters = float(shape.parameters) if shape else PARAMETERS.get(_paper_name(cell.recipe.model.base))
    if not cell.trained:
        return Planned(cell.label, None, 0, 0, parameters, 0.0, 0.0, None, cell.missing)
    seq2seq = shape.seq2seq if shape else True  # the models whose size the name tells are T5
    flops = (
        None
        if parameters is None
        else sum(recipe_flops(recipe, parameters, encoder_decoder=seq2seq) for recipe in recipes)
    )
    device = hardware.device
    seconds = (
        None
        if device is None or flops is None
        else 3600 * device_hours(flops, device.tflops * 1e12, hardware.mfu)
    )
    tokens = sum(recipe.training.steps * step_tokens(recipe) for recipe in recipes)
    needed = (
        None
        if shape is None
        else max(memory_of_recipe(recipe, shape, hardware.devices).total for recipe in recipes)
    )
    return Planned(
        cell.label, cell.seed, cell.steps, tokens, parameters, flops, seconds, needed, cell.missing
    )


def _shape(recipe: Recipe) -> Shape | None:
    from openflan.models.load_model import empty_model

    base = recipe.model.base
    if base is not None and not base.startswith(EMBEDDED) and not Path(base).exists():
        return None  # on the hub
    try:
        if base is not None and not ((bundled_model_folder(base) or Path(base)) / "config.json").is_file():
            return None
        return shape_with_adapter(recipe.model, empty_model(recipe.model))
    except OpenflanError:
        return None


def _paper_name(base: str | None) -> str:
    """`google/t5-xl-lm-adapt` is what the paper's Flan-T5-XL began with."""
    return "flan-" + (base or "").rpartition("/")[2].removesuffix("-lm-adapt")
