"""FLOPs of training as the paper accounts for them (Chung et al. 2022, Table 2), and device hours estimated
from them.

The paper prints no formula. Its finetuning column follows from 6 per parameter and token for decoders, and 3
for encoder-decoders, of whose parameters a token passes about half; tokens are the capacity of the packed
sequences, padding included. It reproduces all rows but the last (Flan-U-PaLM), which the table gives for
21,000 steps though Table 22 states 30,000.
"""

from __future__ import annotations

from openflan.recipe.pretraining import AnyRecipe


def training_flops(parameters: float, tokens: float, *, encoder_decoder: bool) -> float:
    """Forward and backward over so many tokens: 3 N D for an encoder-decoder, 6 N D for a decoder."""
    return (3 if encoder_decoder else 6) * parameters * tokens


def step_tokens(recipe: AnyRecipe) -> int:
    """The capacity of a step of a recipe in tokens, inputs and targets together."""
    return recipe.training.batch_size * (recipe.packing.inputs + recipe.packing.targets)


def recipe_flops(recipe: AnyRecipe, parameters: float, *, encoder_decoder: bool) -> float:
    """FLOPs of the whole run."""
    return training_flops(
        parameters, recipe.training.steps * step_tokens(recipe), encoder_decoder=encoder_decoder
    )


def device_hours(flops: float, peak: float, utilisation: float) -> float:
    """Hours on one device of `peak` FLOP/s, of which the share `utilisation` is reached; on n devices that
    scale perfectly, n times fewer."""
    return flops / (peak * utilisation) / 3600
