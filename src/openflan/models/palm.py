"""PaLM's shape, as Cohere's architecture in transformers (Chowdhery et al. 2022, sections 2 and 5).

The block is the same: y = x + SwiGLU(LN(x)) + Attention(LN(x)) with one layer norm without bias, RoPE, and
one matrix for embeddings and logits. A configuration sets PaLM's sizes: one head of keys and values, heads of
256 for every width, `logit_scale` of 1 / sqrt(width). A configuration cannot set how random weights are
initialised, so that is done here. Decision: a `cohere` that scales its logits in this way counts as
PaLM-shaped; any other is initialised by transformers. docs/models.md lists the terms one by one, and what
stays different.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

UNLISTED = {"cohere": ("head_dim",)}
"""Settings that an architecture of transformers reads though its configuration does not list them, by
`model_type`."""


def is_palm_shaped(config: Any) -> bool:
    """Whether a Hugging Face configuration scales its logits as PaLM does."""
    return (
        config.model_type == "cohere"
        and config.logit_scale is not None
        and math.isclose(config.logit_scale, config.hidden_size**-0.5, rel_tol=1e-3)
    )


@torch.no_grad()
def initialise(model: Any) -> None:
    """Initialises random weights as PaLM's paper does: embeddings N(0, 1), matrices N(0, 1 / columns in),
    scales of norms 1 (section 5). They pair with the logits' scale."""
    embeddings = model.get_input_embeddings().weight
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight is not embeddings:
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    nn.init.normal_(embeddings)
