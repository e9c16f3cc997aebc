"""Fingerprints of models: a hash of all tensors (`models.weights_digest`), of the files that describe them,
and of settings that change what is generated."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from openflan.models.adapter_folder import ADAPTER_CONFIG
from openflan.models.weights_digest import weights_digest

_DESCRIBED = (
    "config.json",
    "tokenizer.json",
    "spiece.model",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    ADAPTER_CONFIG,
)
_DIGITS = 16


def folder_fingerprint(folder: Path, *settings: str) -> str:
    """16 hexadecimal digits for a model folder's tensors, configuration and tokenizer, and for settings that
    change what is generated."""
    digest = hashlib.sha256(weights_digest(folder).encode())
    for path in (folder / name for name in _DESCRIBED):
        if path.is_file():
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return _with(digest, settings)


def model_fingerprint(model: Any, *settings: str) -> str:
    """16 hexadecimal digits for the tensors of a model in memory and for settings; they differ from those
    of the folder that it was loaded from."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return _with(digest, settings)


def _with(digest: Any, settings: tuple[str, ...]) -> str:
    for setting in settings:
        digest.update(f"{setting}\n".encode())
    return str(digest.hexdigest())[:_DIGITS]
