"""Documents of random tokens, on which a layout of packed sequences is tried, and the model's mode then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openflan.packing.encode import Encoded


def random_documents(model: Any, lengths: Sequence[tuple[int, int]]) -> list[Encoded]:
    """Documents of random tokens from a fixed seed; shorter where the model has fewer positions."""
    random = np.random.default_rng(7)
    allowed = _tokens(model)
    positions = getattr(model.config, "max_position_embeddings", None)
    max_length = min(64, positions) // 2 if isinstance(positions, int) else 64
    random_ids = (
        [random.choice(allowed, size=min(length, max_length)) for length in pair] for pair in lengths
    )
    return [Encoded(inputs, targets) for inputs, targets in random_ids]


def changed(model: Any, document: Encoded) -> Encoded:
    allowed = _tokens(model)
    inputs, targets = (
        allowed[(np.searchsorted(allowed, ids) + 1 + np.arange(len(ids)) % 5) % len(allowed)]
        for ids in (document.input_ids, document.target_ids)
    )
    return Encoded(inputs, targets)


def _tokens(model: Any) -> Any:
    """The token ids that documents are made of, ascending. Padding is none of them: some models give it no
    position, and no document contains it."""
    ids = np.arange(model.get_input_embeddings().weight.shape[0], dtype=np.int32)
    return ids[ids != getattr(model.config, "pad_token_id", None)]


def tensor_on(ids: Any, model: Any) -> Tensor:
    return torch.from_numpy(ids.astype(np.int64)).to(next(model.parameters()).device)


class without_dropout:
    """A model in evaluation mode for a block; afterwards in its former mode."""

    def __init__(self, model: Any) -> None:
        self._model, self._training = model, model.training

    def __enter__(self) -> None:
        self._model.eval()

    def __exit__(self, *_: object) -> None:
        self._model.train(self._training)
