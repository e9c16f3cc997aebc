"""Whether a model can be trained as a recipe says."""

from __future__ import annotations

import warnings
from typing import Any

from openflan.errors import InputError
from openflan.models.load_model import is_seq2seq
from openflan.models.packed import Packing
from openflan.models.packing_check import check_packing, chosen_packing
from openflan.models.prefix import attention_of_model
from openflan.models.staged import Attending
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.schema import Model, Recipe


def check_context(recipe: AnyRecipe, model: Any) -> None:
    """Raises InputError if a sequence of a causal model may be longer than the positions that it has."""
    positions = getattr(model.config, "max_position_embeddings", None)
    joint = recipe.packing.inputs + recipe.packing.targets
    if not is_seq2seq(model) and isinstance(positions, int) and joint > positions:
        raise InputError(
            f"packing.inputs + packing.targets is {joint:,}, but the model has {positions:,} positions; "
            f"set for instance packing.inputs={positions * 3 // 4} packing.targets={positions // 4}"
        )


def check_loss(recipe: Recipe, model: Any) -> None:
    """Raises InputError for a full-sequence loss on a model that cannot have one."""
    if recipe.training.loss_on != "full_sequence":
        return
    if is_seq2seq(model):
        raise InputError(
            "training.loss_on: full_sequence is for causal models; an encoder-decoder learns its targets only"
        )
    if attention_of_model(model, recipe.model.attention) == "prefix":
        raise InputError(
            "training.loss_on: full_sequence does not go with prefix attention, in which an input sees what "
            "it would have to predict; take targets"
        )


def packing_for(model: Any, section: Model, strict: bool, attending: Attending) -> Packing:
    """The fastest exact layout of batches for the attention that training will use; warns of one that pads.

    Raises InputError for a model that cannot be packed if `strict`, or whose inputs cannot see one another
    although they should.
    """
    if section.attention == "prefix" or (
        not is_seq2seq(model) and attention_of_model(model, section.attention) == "prefix"
    ):
        check_packing(model, "flat", prefix=True, attending=attending)
        return "flat"
    chosen = chosen_packing(model, attending)
    if chosen.packing == "none":
        if strict:
            raise InputError(
                f"{chosen.reasons[-1]} (--strict); leave --strict out to train on padded examples, or "
                "use T5 or another causal model"
            )
        warnings.warn(
            f"{chosen.reasons[-1]}. Every example is a sequence of its own, padded to the longest of its "
            "batch",
            stacklevel=3,
        )
    return chosen.packing
