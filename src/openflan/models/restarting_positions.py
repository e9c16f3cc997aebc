"""Position tables that transformers reads by the place in the whole sequence, read by the place in each
document instead.

BART's family adds a table of positions and BLOOM a bias by distance; both count along the sequence whatever
position ids a caller has. Here the model's own rule makes the table of one document that is as long as the
longest, and each token takes the entry of its position. Position ids need nothing of this.

Shape suffixes: R sequences, L tokens, M model width, H heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_TABLES = ("embed_positions",)
_DISTANCES = "build_alibi_tensor"


def counts_places(stack: Any) -> bool:
    """Whether an encoder, a decoder or a model has a table that is read by the place in the sequence."""
    return bool(_tables(stack)) or hasattr(stack, _DISTANCES)


@contextmanager
def restarting_positions(stack: Any, positions_RL: Tensor, longest: int) -> Iterator[None]:
    """Within the block the tables of `stack` (an encoder, a decoder, or a causal model's base) are read at
    `positions_RL`, which begin with 0 in each document and are less than `longest`."""
    with ExitStack() as restored:
        for table in _tables(stack):
            restored.enter_context(_replaced(table, "forward", _from_table(table, positions_RL, longest)))
        if hasattr(stack, _DISTANCES):
            rule = _by_position(stack, positions_RL, longest)
            restored.enter_context(_replaced(stack, _DISTANCES, rule))
        yield


def _tables(stack: Any) -> list[nn.Module]:
    return [table for name in _TABLES if isinstance(table := getattr(stack, name, None), nn.Module)]


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = vars(owner).get(name)
    object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        if before is None:
            object.__delattr__(owner, name)
        else:
            object.__setattr__(owner, name, before)


def _from_table(table: Any, positions_RL: Tensor, longest: int) -> Any:
    rule = table.forward
    length = positions_RL.shape[1]

    def shortened(value: Any, name: str = "") -> Any:
        """The argument that a document of `longest` tokens would give."""
        if isinstance(value, torch.Size | tuple | list) and length in tuple(value):
            return torch.Size((1, longest, *tuple(value)[2:]))
        if not isinstance(value, Tensor) or not value.ndim or length not in value.shape:
            return value
        if name == "position_ids":
            return value[..., :longest]
        if value.is_floating_point():
            return value[:1, :longest]
        # Tokens without padding, which some tables count.
        return value.new_full((1, longest), (getattr(table, "padding_idx", None) or 0) + 1)

    def restarted(*values: Any, **named: Any) -> Tensor:
        entries = rule(
            *(shortened(value) for value in values),
            **{name: shortened(value, name) for name, value in named.items()},
        )
        read: Tensor = entries.reshape(longest, -1)[positions_RL]
        return read

    return restarted


def _by_position(stack: Any, positions_RL: Tensor, longest: int) -> Any:
    rule = getattr(stack, _DISTANCES)

    def by_position(mask: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
        """(R H, 1, L): what each head adds at each key."""
        whole = rule(torch.ones(1, longest, device=mask.device), heads, dtype=dtype)
        by_row = whole.reshape(heads, longest)[:, positions_RL].transpose(0, 1)
        biases: Tensor = by_row.reshape(-1, 1, positions_RL.shape[1])
        return biases

    return by_position
