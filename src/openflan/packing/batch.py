"""Packed rows as arrays: what a model eats.

Shape suffixes: R rows, E tokens of the input side, D tokens of the target side, L tokens of a causal row.
Segment ids count a row's examples from 1; 0 is padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from openflan.packing.encode import Encoded, Limits

Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seq2SeqBatch:
    """Rows for an encoder-decoder. `decoder_ids_RD` are the targets of each example shifted right behind the
    start token."""

    input_ids_RE: Ids
    input_segments_RE: Ids
    decoder_ids_RD: Ids
    target_ids_RD: Ids
    target_segments_RD: Ids

    @property
    def target_tokens(self) -> int:
        return int((self.target_segments_RD > 0).sum())

    @property
    def tokens(self) -> int:
        """Tokens that are not padding, inputs and targets together."""
        return int((self.input_segments_RE > 0).sum()) + self.target_tokens


@dataclass(frozen=True, slots=True)
class CausalBatch:
    """Rows for a decoder: inputs, EOS, targets, EOS of each example in turn.

    `positions_RL` restart with every example. `labels_RL[t]` is the token that follows position t where that
    is a target token, else -100.
    """

    input_ids_RL: Ids
    segments_RL: Ids
    positions_RL: Ids
    labels_RL: Ids

    @property
    def target_tokens(self) -> int:
        return int((self.labels_RL != IGNORED).sum())

    @property
    def tokens(self) -> int:
        """Tokens that are not padding."""
        return int((self.segments_RL > 0).sum())


PackedBatch: TypeAlias = Seq2SeqBatch | CausalBatch

IGNORED = -100
"""The label of positions without loss, as in torch's cross entropy."""

_ROUND = 8


def seq2seq_batch(
    rows: Sequence[Sequence[Encoded]], *, pad_id: int, start_id: int, limits: Limits | None = None
) -> Seq2SeqBatch:
    """Rows of examples as arrays, padded to `limits`, or else to the longest row (and that to a multiple of
    8)."""
    wide = limits.inputs if limits else _width(sum(len(example.input_ids) for example in row) for row in rows)
    long = (
        limits.targets if limits else _width(sum(len(example.target_ids) for example in row) for row in rows)
    )
    inputs, input_segments = (
        np.full((len(rows), wide), pad_id, dtype=np.int64),
        np.zeros((len(rows), wide), dtype=np.int64),
    )
    targets, decoder = (np.full((len(rows), long), pad_id, dtype=np.int64) for _ in range(2))
    target_segments = np.zeros((len(rows), long), dtype=np.int64)
    for number, row in enumerate(rows):
        at, target_at = 0, 0
        for segment, example in enumerate(row, 1):
            end, target_end = at + len(example.input_ids), target_at + len(example.target_ids)
            inputs[number, at:end], input_segments[number, at:end] = example.input_ids, segment
            targets[number, target_at:target_end], target_segments[number, target_at:target_end] = (
                example.target_ids,
                segment,
            )
            decoder[number, target_at] = start_id
            decoder[number, target_at + 1 : target_end] = example.target_ids[:-1]
            at, target_at = end, target_end
    return Seq2SeqBatch(inputs, input_segments, decoder, targets, target_segments)


def causal_batch(
    rows: Sequence[Sequence[Encoded]], *, pad_id: int, limits: Limits | None = None
) -> CausalBatch:
    """Rows of examples as arrays, padded to `limits`, or else to the longest row (and that to a multiple of
    8)."""
    long = (
        limits.sequence
        if limits
        else _width(sum(len(example.input_ids) + len(example.target_ids) for example in row) for row in rows)
    )
    ids, labels = (
        np.full((len(rows), long), pad_id, dtype=np.int64),
        np.full((len(rows), long), IGNORED, dtype=np.int64),
    )
    segments, positions = (
        np.zeros((len(rows), long), dtype=np.int64),
        np.zeros((len(rows), long), dtype=np.int64),
    )
    for number, row in enumerate(rows):
        at = 0
        for segment, example in enumerate(row, 1):
            middle = at + len(example.input_ids)
            end = middle + len(example.target_ids)
            ids[number, at:middle], ids[number, middle:end] = example.input_ids, example.target_ids
            segments[number, at:end], positions[number, at:end] = segment, np.arange(end - at)
            labels[number, middle - 1 : end - 1] = example.target_ids
            at = end
    return CausalBatch(ids, segments, positions, labels)


def _width(lengths: Iterable[int]) -> int:
    longest = max(lengths, default=1)
    return -(-max(1, longest) // _ROUND) * _ROUND
