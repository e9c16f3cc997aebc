"""Layers that carry state from token to token: Mamba, linear attention, gated delta rules, recurrences, short
convolutions.

The state of such a layer after one document reaches the next document, and no attention mask prevents it. For
some of these layers transformers accepts the borders of documents, on some devices; that is not used here, so
models with such a layer are not packed.
"""

from __future__ import annotations

import re
from typing import Any

from torch import nn

_KINDS = re.compile(
    r"mamba|ssm|linear|conv|recurrent|rglru|rwkv|lightning|delta|retention|hybrid|xlstm|mlstm|slstm|kda",
    re.IGNORECASE,
)
_CLASSES = re.compile(
    r"(?i:mamba|deltanet|shortconv|rglru|recurrent|rwkv|retention|lightning|linearattention"
    r"|xlstm|mlstm|slstm)|SSM"
)
_PARAMETERS = {"A_log", "time_decay"}


def recurrent_layer(model: Any) -> str | None:
    """The model's name for a layer type that carries state across positions; None where it has no such
    layer."""
    for name, kinds in vars(model.config).items():
        if isinstance(kinds, list) and re.search(r"layer|block", name):
            carrying = next((kind for kind in kinds if isinstance(kind, str) and _KINDS.search(kind)), None)
            if carrying is not None:
                return carrying
    for module in model.modules():
        kind = type(module).__name__
        # A model's own class, such as BambaForCausalLM, says nothing that its layers do not say.
        if module is not model and (_CLASSES.search(kind) or _PARAMETERS & module._parameters.keys()):
            return kind
        if isinstance(module, nn.Conv1d | nn.RNNBase) and getattr(module, "kernel_size", (2,))[0] > 1:
            return kind
    return None
