"""Prefix-LM: a causal model whose inputs see one another in both directions; targets see only what comes
before them.

The setting of UL2 and U-PaLM (Tay et al. 2022). Training supports it in the flat layout (`causal.Documents`);
this module reads prompts in that way, for generation. A folder states it in generation_config.json as
`openflan_attention: prefix`. Tools that ignore the key attend causally, for which such a model was not
finetuned: their generations are worse, without a warning.

Shape suffixes: B prompts, P positions of the longest, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from openflan.models.attention_masks import prompt_mask
from openflan.models.folder import Attention

SETTING = "openflan_attention"


def attention_of_model(model: Any, stated: Attention | None = None) -> Attention:
    """How a causal model's inputs attend: as the recipe states, else as the model was finetuned before,
    else causally."""
    return stated or getattr(model.generation_config, SETTING, None) or "causal"


def state_attention(model: Any, attention: Attention) -> None:
    """Writes how inputs attend into the generation settings, which exports and checkpoints contain; causal
    is the default and is not written."""
    if attention == "prefix":
        setattr(model.generation_config, SETTING, attention)
    elif hasattr(model.generation_config, SETTING):
        delattr(model.generation_config, SETTING)


def attention_window(config: Any) -> int | None:
    """The width in tokens of a causal model's narrowest attention window; None where all layers see all
    tokens."""
    window = (
        None
        if getattr(config, "use_sliding_window", True) is False
        else getattr(config, "sliding_window", None)
    )
    return None if window is None else int(window)


@torch.no_grad()
def prefix_forward(model: Any, ids_BP: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Any]:
    """Reads left-padded prompts, each token seeing all of its prompt: logits of what follows (B, V), and
    transformers' cache of all P positions.

    From there on decoding is ordinary: causal, with a padding mask (B, P + generated). `model` has one of
    transformers' own attention functions that take 4-D masks (`sdpa`, `eager`). Raises ValueError for prompts
    that fill a sliding window, as the cache would lose what its last token saw.
    """
    positions, window = ids_BP.shape[1], attention_window(model.config)
    if window is not None and positions >= window:
        raise ValueError(f"a prompt of {positions:,} tokens fills the model's attention window of {window:,}")
    padding = positions - torch.tensor(list(lengths), device=ids_BP.device)[:, None]
    output = model(
        input_ids=ids_BP,
        attention_mask=prompt_mask(lengths, positions, model.dtype, ids_BP.device),
        position_ids=(torch.arange(positions, device=ids_BP.device) - padding).clamp(min=0),
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1], output.past_key_values


def prefix_cache(model: Any, ids_BP: Tensor, lengths: Sequence[int]) -> Any:
    """`past_key_values` for `model.generate(input_ids=ids_BP, attention_mask=...)`: the prompts but for their
    last token, which `generate` feeds itself.

    Exact, as that token sees the same fed alone as it did within its prompt: everything. Prompts have two
    tokens or more.
    """
    _, cache = prefix_forward(model, ids_BP, lengths)
    cache.crop(-1)
    return cache
