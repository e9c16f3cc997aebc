"""Whether a recipe's model can be trained on this machine, and how it must change to fit into a given memory.

Both are found out from the estimate (`models.estimate`), before data are read or weights are loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from openflan.errors import InputError, SetupError
from openflan.models.adapter import check_adapter_on, shape_with_adapter
from openflan.models.estimate import Memory, Shape
from openflan.models.load_model import empty_model
from openflan.models.sizes import machine_memory
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.schema import Recipe
from openflan.training.distributed import DistributedContext
from openflan.training.memory_of_recipe import memory_of_recipe, sequences_at_a_time

SPARE = 0.1
"""The share of a memory that is left for what the estimate does not count."""

ADAPTER_RANK = 16
ADAPTER_LEARNING_RATE = 2e-4
"""What `fit` sets where it chooses an adapter: a usual rank, and a usual learning rate of adamw for it."""

_UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to train that was considered: what differs from the recipe, the bytes that it takes on a device
    by the estimate, and what it costs."""

    overrides: Mapping[str, Any]
    bytes: int
    price: str

    @property
    def text(self) -> str:
        """The changed keys as a command line has them."""
        keys = " ".join(f"{key}={value}" for key, value in self.overrides.items())
        return keys or "the recipe as it is"


@dataclass(frozen=True, slots=True)
class Fit:
    """The recipe that fits, and all ways that were considered, the chosen one last."""

    recipe: Recipe
    choices: tuple[Choice, ...]

    def lines(self, memory: int) -> list[str]:
        """What was considered and why the last one was chosen, a line each."""
        chosen = self.choices[-1]
        limit = (1 - SPARE) * memory
        return [
            *(f"{choice.text}: {_gigabytes(choice.bytes)}, too much" for choice in self.choices[:-1]),
            f"{chosen.text}: {_gigabytes(chosen.bytes)} by the estimate, fits into {_gigabytes(limit)} "
            f"({_gigabytes(memory)} less a tenth for what the estimate does not count). {chosen.price}",
        ]


def check_fit(recipe: AnyRecipe, distributed: DistributedContext) -> None:
    """Checks a recipe's adapter against the structure of its base, and that weights, gradients and statistics
    have room.

    Raises SetupError where they have none, or without the library that adapters need; InputError for an
    adapter that the base cannot have.
    """
    if recipe.model.base is None:
        return
    distributed.run_on_main(lambda: _check(recipe, distributed))


def _check(recipe: AnyRecipe, distributed: DistributedContext) -> None:
    model = empty_model(recipe.model)
    check_adapter_on(recipe.model, model)
    if distributed.device.type == "cuda":
        there: int | None = torch.cuda.get_device_properties(distributed.device).total_memory
        where = f"the {distributed.size} GPUs have" if distributed.size > 1 else "the GPU has"
    else:
        there, where = machine_memory(), "this machine has"
    if there is None:
        return
    there *= distributed.size if distributed.device.type == "cuda" else 1
    held = _held(memory_of_recipe(recipe, shape_with_adapter(recipe.model, model)))
    if held > there:
        raise SetupError(
            f"{recipe.model.base}: no room: weights, gradients and the optimiser's statistics take "
            f"{_gigabytes(held)}, and {where} {_gigabytes(there)}; set training.weights=bf16 or "
            "model.adapter.rank=16 (`openflan finetune --fit 24GB` chooses), or take a smaller base"
        )


def bytes_of(text: str) -> int:
    """The number of bytes of a text such as `24GB`, `24 G` or `500MB` (powers of 1,000). Raises InputError
    for any other text, and for 0."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text, re.IGNORECASE)
    number = 0.0 if match is None else float(match[1]) * _UNITS[match[2].lower()]
    if not 1 <= number < math.inf:
        raise InputError(f"--fit {text[:40]}: expected a size of memory, such as 24GB")
    return int(number)


def fit(recipe: Recipe, memory: int, devices: int = 1) -> Fit:
    """The recipe, changed as little as `memory` bytes on each of so many devices require.

    Tried in this order: smaller micro-batches (the same result), layers computed again (the same result, a
    third more work), weights in bfloat16, an adapter on weights in bfloat16; each with and without layers
    computed again. Raises InputError if nothing fits, SetupError if only an adapter would fit and the library
    for it is missing.
    """
    model = empty_model(recipe.model)
    considered: list[Choice] = []
    for overrides, price in _ways(recipe):
        changed = _with(recipe, overrides)
        shape = shape_with_adapter(changed.model, model)
        smaller, needed = _with_micro_batches(changed, shape, (1 - SPARE) * memory, devices)
        if smaller.training.micro_batch_size != recipe.training.micro_batch_size:
            overrides = overrides | {"training.micro_batch_size": smaller.training.micro_batch_size}
        considered.append(Choice(overrides, needed, price))
        if needed <= (1 - SPARE) * memory:
            check_adapter_on(smaller.model, model)
            return Fit(smaller, tuple(considered))
    least = min(considered, key=lambda choice: choice.bytes)
    raise InputError(
        f"--fit {_gigabytes(memory)}: {recipe.model.base or 'the model'} does not fit: {least.text} still "
        f"takes {_gigabytes(least.bytes)}, and {_gigabytes((1 - SPARE) * memory)} are there (a tenth is left "
        "for what the estimate does not count); take a smaller base, lower packing.inputs, or use more "
        "devices"
    )


def _ways(recipe: Recipe) -> list[tuple[dict[str, Any], str]]:
    """What may be changed, the least first, and its price."""
    again = {"training.activation_checkpointing": "full"}
    dearer = "Layers are computed again in the backward pass: the same result, a third more work"
    bf16 = {"training.weights": "bf16", "training.precision": "bf16"}
    rounded = "Weights are bfloat16, rounded stochastically: a little more noise than float32"
    adapted = "Only an adapter is trained; the base's weights stay what they are"
    ways: list[tuple[dict[str, Any], str]] = [({}, "Nothing that shapes the result changes")]
    if recipe.training.activation_checkpointing == "none":
        ways.append((again, dearer))
    if recipe.training.weights == "float32":
        ways += [(bf16, rounded), (bf16 | again, f"{rounded}. {dearer}")]
    if recipe.model.adapter is None and recipe.model.base is not None:
        adapter: dict[str, Any] = bf16 | {"model.adapter.rank": ADAPTER_RANK}
        if recipe.training.optimizer == "adafactor":
            adapter |= {
                "training.optimizer": "adamw",
                "training.step_offset": 0,
                "training.learning_rate": ADAPTER_LEARNING_RATE,
            }
        ways += [(adapter, adapted), (adapter | again, f"{adapted}. {dearer}")]
    return ways


def _with(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    values = recipe.model_dump()
    for key, value in overrides.items():
        *sections, last = key.split(".")
        section = values
        for name in sections:
            section[name] = section.get(name) or {}
            section = section[name]
        section[last] = value
    return Recipe.model_validate(values)


def _with_micro_batches(recipe: Recipe, shape: Shape, limit: float, devices: int) -> tuple[Recipe, int]:
    """The recipe with the largest micro-batches that fit, or of one sequence, and its bytes."""
    while True:
        needed = _on_a_device(memory_of_recipe(recipe, shape, devices), devices)
        size = sequences_at_a_time(recipe, devices)
        if needed <= limit or size == 1:
            return recipe, needed
        recipe = _with(recipe, {"training.micro_batch_size": size // 2})


def _held(memory: Memory) -> int:
    """Bytes that are there during the whole training, all devices together."""
    return memory.weights + memory.gradients + memory.optimizer


def _on_a_device(memory: Memory, devices: int) -> int:
    """Bytes on one of so many devices that share the weights."""
    return -(-_held(memory) // devices) + memory.total - _held(memory)


def _gigabytes(number: float) -> str:
    return f"{number / 10**9:,.1f} GB" if number >= 10**8 else f"{number / 10**6:,.1f} MB"
