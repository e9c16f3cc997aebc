"""Packed sequences as arrays: the inputs of a model.

Shape suffixes: R sequences, E tokens of the input side, D tokens of the target side, L tokens of a causal
sequence. Segment ids count the examples of a sequence from 1; 0 is padding.
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
    """Sequences for an encoder-decoder. `decoder_ids_RD` are the targets of each example shifted right behind
    the start token."""

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
    """Sequences for a decoder: inputs, EOS, targets, EOS of each example in turn, or conversations.

    `positions_RL` restart with every example. `labels_RL[t]` is the token that follows position t where that
    is a target token that is learned, else -100.
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
    sequences: Sequence[Sequence[Encoded]], *, pad_id: int, start_id: int, limits: Limits | None = None
) -> Seq2SeqBatch:
    """Sequences of examples as arrays, padded to `limits`, or else to the longest sequence (and that to a
    multiple of 8)."""
    wide = (
        limits.inputs
        if limits
        else _width(sum(len(example.input_ids) for example in sequence) for sequence in sequences)
    )
    long = (
        limits.targets
        if limits
        else _width(sum(len(example.target_ids) for example in sequence) for sequence in sequences)
    )
    inputs, input_segments = (
        np.full((len(sequences), wide), pad_id, dtype=np.int64),
        np.zeros((len(sequences), wide), dtype=np.int64),
    )
    targets, decoder = (np.full((len(sequences), long), pad_id, dtype=np.int64) for _ in range(2))
    target_segments = np.zeros((len(sequences), long), dtype=np.int64)
    for number, sequence in enumerate(sequences):
        at, target_at = 0, 0
        for segment, example in enumerate(sequence, 1):
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
    sequences: Sequence[Sequence[Encoded]], *, pad_id: int, limits: Limits | None = None
) -> CausalBatch:
    """Sequences of examples as arrays, padded to `limits`, or else to the longest sequence (and that to a
    multiple of 8)."""
    long = (
        limits.sequence
        if limits
        else _width(
            sum(len(example.input_ids) + len(example.target_ids) for example in sequence)
            for sequence in sequences
        )
    )
    ids, labels = (
        np.full((len(sequences), long), pad_id, dtype=np.int64),
        np.full((len(sequences), long), IGNORED, dtype=np.int64),
    )
    segments, positions = (
        np.zeros((len(sequences), long), dtype=np.int64),
        np.zeros((len(sequences), long), dtype=np.int64),
    )
    for number, sequence in enumerate(sequences):
        at = 0
        for segment, example in enumerate(sequence, 1):
            middle = at + len(example.input_ids)
            end = middle + len(example.target_ids)
            ids[number, at:middle], ids[number, middle:end] = example.input_ids, example.target_ids
            segments[number, at:end], positions[number, at:end] = segment, np.arange(end - at)
            labels[number, middle - 1 : end - 1] = (
                example.target_ids
                if example.learned is None
                else np.where(example.learned, example.target_ids, IGNORED)
            )
            at = end
    return CausalBatch(ids, segments, positions, labels)


def _width(lengths: Iterable[int]) -> int:
    longest = max(lengths, default=1)
    return -(-max(1, longest) // _ROUND) * _ROUND
