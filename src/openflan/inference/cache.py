"""The key-value cache of decoding: what each generation has generated, and what the generations of a group
share.

The states of a generation are stored from the left of a buffer that has free positions. So generations of
different length make a step at the same time, and removing one costs one copy (the last one takes its entry).
The states of a group (an encoded input, a causal prompt) are stored once for all generations that read them.
Queries are laid out as groups times slots, so a group with many generations becomes one matrix product and
its memory is read once. Keys are stored with positions last, the quickest order for a single query.

Shape suffixes: N generations, S groups, R slots of a group, G key heads, Q query heads of a key head, C
channels, P positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from openflan.models.attention import at_least_float32

HIDDEN_SCORE = -1e30
"""What is added to the scores of hidden positions. It is finite, so that a generation with hidden
positions only gets weight 0 and not NaN."""

_ROUND = 64


class Buffers:
    """Keys (entries, G, C, P) and values (entries, G, P, C) of every layer, with free entries and
    positions."""

    def __init__(self, entries: int, positions: int) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._capacity = entries, positions

    def layer(
        self, number: int, heads: int, channels: int, like: Tensor, entries: int, positions: int
    ) -> tuple[Tensor, Tensor]:
        """The keys and values of a layer, grown to at least so many entries and positions."""
        if number == len(self.keys):
            size = max(entries, self._capacity[0]), max(positions, self._capacity[1])
            self.keys.append(like.new_zeros(size[0], heads, channels, size[1]))
            self.values.append(like.new_zeros(size[0], heads, size[1], channels))
        keys, values = self.keys[number], self.values[number]
        if entries > keys.shape[0] or positions > keys.shape[3]:
            size = _more(keys.shape[0], entries), _more(keys.shape[3], positions)
            for held, grown in (
                (self.keys, like.new_zeros(size[0], heads, channels, size[1])),
                (self.values, like.new_zeros(size[0], heads, size[1], channels)),
            ):
                old = held[number]
                grown[: old.shape[0], :, : old.shape[2], : old.shape[3]] = old
                held[number] = grown
            keys, values = self.keys[number], self.values[number]
        return keys, values

    @torch.inference_mode()
    def move(self, source: int, target: int, positions: int) -> None:
        """Copies one entry over another."""
        for keys, values in zip(self.keys, self.values, strict=True):
            keys[target, :, :, :positions] = keys[source, :, :, :positions]
            values[target, :, :positions] = values[source, :, :positions]


class GeneratedStates:
    """The keys and values of the tokens that each generation has generated so far."""

    def __init__(self, generations: int, positions: int) -> None:
        self._buffers = Buffers(generations, positions)
        self.lengths: list[int] = []
        self._lengths_N = torch.zeros(0, dtype=torch.long)

    def begin(self, device: torch.device) -> Tensor:
        """Before a step: the position of every generation (N)."""
        self._lengths_N = torch.tensor(self.lengths, device=device)
        return self._lengths_N

    def write(self, layer: int, key_NGC: Tensor, value_NGC: Tensor) -> tuple[Tensor, Tensor]:
        """Stores the keys and values of a step; returns the keys (N, G, C, P) and values (N, G, P, C) of
        all positions up to the longest generation's."""
        generations, heads, channels = key_NGC.shape
        positions = max(self.lengths) + 1
        keys, values = self._buffers.layer(layer, heads, channels, key_NGC, generations, positions)
        entries = torch.arange(generations, device=key_NGC.device)
        keys[entries, :, :, self._lengths_N] = key_NGC
        values[entries, :, self._lengths_N] = value_NGC
        return keys[:generations, :, :, :positions], values[:generations, :, :positions]

    def end(self) -> None:
        """After a step: every generation is one longer."""
        self.lengths = [length + 1 for length in self.lengths]

    def distances(self) -> Tensor:
        """The distances key - query (N, P) during a step; they are positive at positions that hold no
        token yet."""
        return torch.arange(max(self.lengths) + 1, device=self._lengths_N.device) - self._lengths_N[:, None]

    def add(self) -> None:
        self.lengths.append(0)

    def drop(self, entry: int) -> None:
        last = len(self.lengths) - 1
        if entry != last:
            self._buffers.move(last, entry, self.lengths[last])
            self.lengths[entry] = self.lengths[last]
        self.lengths.pop()


class SharedStates:
    """The keys and values that the generations of each group share, and the slot of each generation."""

    def __init__(self, positions: int) -> None:
        self._buffers = Buffers(1, positions)
        self.lengths: list[int] = []
        self._names: list[object] = []
        self._groups_N: list[int] = []
        self._slots: tuple[Tensor, Tensor] | None = None
        self._slots_a_group = 1
        self.mask_SP: Tensor | None = None

    def admit(self, name: object, states: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Adds a group with the keys and values (P, G, C) of every layer; P may be 0."""
        entry, length = len(self._names), states[0][0].shape[0]
        for layer, (key_PGC, value_PGC) in enumerate(states):
            positions = -(-max(length, 1) // _ROUND) * _ROUND
            keys, values = self._buffers.layer(
                layer, key_PGC.shape[1], key_PGC.shape[2], key_PGC, entry + 1, positions
            )
            keys[entry, :, :, :length] = key_PGC.permute(1, 2, 0)
            values[entry, :, :length] = value_PGC.transpose(0, 1)
        self._names.append(name)
        self.lengths.append(length)

    def add(self, name: object) -> None:
        """Adds a generation of the group as the last one."""
        self._groups_N.append(self._names.index(name))

    def drop(self, entry: int) -> None:
        self._groups_N[entry] = self._groups_N[-1]
        self._groups_N.pop()

    def release(self, name: object) -> None:
        """Removes a group that has no generations; the last group takes its entry."""
        entry, last = self._names.index(name), len(self._names) - 1
        if entry != last:
            self._buffers.move(last, entry, self.lengths[last])
            self._names[entry], self.lengths[entry] = self._names[last], self.lengths[last]
            self._groups_N = [entry if group == last else group for group in self._groups_N]
        self._names.pop()
        self.lengths.pop()

    def begin(self, like: Tensor) -> None:
        """Before a step: gives every generation a slot in its group."""
        counts = [0] * len(self._names)
        slots = []
        for group in self._groups_N:
            slots.append(counts[group])
            counts[group] += 1
        self._slots_a_group = max(counts)
        plain = self._groups_N == list(range(len(self._names)))
        self._slots = (
            None
            if plain
            else (torch.tensor(self._groups_N, device=like.device), torch.tensor(slots, device=like.device))
        )
        width = max(self.lengths)
        places_P = torch.arange(width, device=like.device)
        absent_SP = places_P >= torch.tensor(self.lengths, device=like.device)[:, None]
        self.mask_SP = (
            torch.zeros(absent_SP.shape, device=like.device).masked_fill_(absent_SP, HIDDEN_SCORE)
            if min(self.lengths) < width
            else None
        )

    @property
    def empty(self) -> bool:
        """Whether no group has a position."""
        return not any(self.lengths)

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """Keys (S, G, C, P) and values (S, G, P, C)."""
        groups, width = len(self._names), max(self.lengths)
        return self._buffers.keys[number][:groups, :, :, :width], self._buffers.values[number][
            :groups, :, :width
        ]

    def by_group(self, states: Tensor) -> Tensor:
        """Values of every generation (N, ...) as (S, R, ...), with zeros in unused slots."""
        if self._slots is None:
            return states[:, None]
        out = states.new_zeros(len(self._names), self._slots_a_group, *states.shape[1:])
        out[self._slots] = states
        return out

    def by_generation(self, states: Tensor) -> Tensor:
        """(S, R, ...) as (N, ...)."""
        return states[:, 0] if self._slots is None else states[self._slots]


def partial_attention(
    query: Tensor, keys: Tensor, values: Tensor, added: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Attention of queries (..., R, C) to a part of their keys (..., C, P) and values (..., P, C). Returns
    the result (..., R, C) and the logarithm of its weight (..., R, 1).

    `added` is added to scores. In float32 at least but for the products.
    """
    scores = at_least_float32(torch.matmul(query, keys))
    if added is not None:
        scores = scores + added
    largest = scores.amax(-1, keepdim=True)
    weights = (scores - largest).exp_()
    total = weights.sum(-1, keepdim=True)
    return torch.matmul(weights.to(values.dtype), values) / total.to(values.dtype), largest + total.log()


def merge_partial(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The attention to several parts as one, from the results of `partial_attention`."""
    if len(parts) == 1:
        return parts[0][0]
    weights = torch.softmax(torch.stack([weight for _, weight in parts]), 0)
    out = parts[0][0] * weights[0].to(parts[0][0].dtype)
    for (given, _), weight in zip(parts[1:], weights[1:], strict=True):
        out = out + given * weight.to(given.dtype)
    return out


def full_attention(query: Tensor, keys: Tensor, values: Tensor, added: Tensor | None) -> Tensor:
    """Attention of queries (..., R, C) to all of their keys (..., C, P) and values (..., P, C); `added` is
    added to scores."""
    scores = at_least_float32(torch.matmul(query, keys))
    weights = torch.softmax(scores if added is None else scores + added, -1).to(values.dtype)
    return torch.matmul(weights, values)


def _more(has: int, needs: int) -> int:
    return has if needs <= has else max(needs, 2 * has)
