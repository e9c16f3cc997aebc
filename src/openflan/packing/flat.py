"""Documents one after another in one buffer: no padding at all.

Sequences of packed examples lose their borders here: every example becomes a document, and offsets say where
each begins. A model's linear layers then see real tokens only, and attention runs document by document. The
price is that shapes change with every batch.

Shape suffixes: N documents, E tokens of all inputs, D tokens of all targets, L tokens of all documents of a
causal model, T target tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from openflan.packing.batch import Ids
from openflan.packing.encode import Encoded


@dataclass(frozen=True, slots=True)
class FlatSeq2SeqBatch:
    """Documents for an encoder-decoder. The offsets (N + 1) begin with 0: document i is
    `[offsets[i]:offsets[i + 1]]` of its side.

    `decoder_ids_D` are the targets of each document shifted right behind the start token.
    """

    input_ids_E: Ids
    input_offsets: Ids
    decoder_ids_D: Ids
    target_ids_D: Ids
    target_offsets: Ids

    @property
    def target_tokens(self) -> int:
        return len(self.target_ids_D)

    @property
    def tokens(self) -> int:
        """Inputs and targets together."""
        return len(self.input_ids_E) + len(self.target_ids_D)


@dataclass(frozen=True, slots=True)
class FlatCausalBatch:
    """Documents for a decoder: inputs, EOS, targets, EOS of each example in turn, or conversations.

    `positions_L` restart with every document, of which the first `input_lengths_N` tokens are inputs. The
    token after position `predicting_T[t]` is `target_ids_T[t]`; `target_offsets` (N + 1) tell the documents
    of the T target tokens apart, which are those that are learned.
    """

    input_ids_L: Ids
    positions_L: Ids
    offsets: Ids
    input_lengths_N: Ids
    predicting_T: Ids
    target_ids_T: Ids
    target_offsets: Ids

    @property
    def target_tokens(self) -> int:
        return len(self.target_ids_T)

    @property
    def tokens(self) -> int:
        return len(self.input_ids_L)


FlatBatch: TypeAlias = FlatSeq2SeqBatch | FlatCausalBatch


def flat_seq2seq_batch(sequences: Sequence[Sequence[Encoded]], *, start_id: int) -> FlatSeq2SeqBatch:
    """The examples of all sequences, in order; `start_id` begins every document of the decoder."""
    examples = _examples(sequences)
    inputs, input_offsets = _joined(example.input_ids for example in examples)
    targets, target_offsets = _joined(example.target_ids for example in examples)
    decoder = np.empty_like(targets)
    decoder[1:] = targets[:-1]
    decoder[target_offsets[:-1]] = start_id
    return FlatSeq2SeqBatch(inputs, input_offsets, decoder, targets, target_offsets)


def flat_causal_batch(sequences: Sequence[Sequence[Encoded]], *, everything: bool = False) -> FlatCausalBatch:
    """The examples of all sequences, in order. The loss is on the targets, or on every token but a document's
    first with `everything`."""
    examples = _examples(sequences)
    ids, offsets = _joined(part for example in examples for part in (example.input_ids, example.target_ids))
    offsets, middles = offsets[::2], offsets[1::2]
    positions = positions_of(offsets)
    first = offsets[:-1] + 1 if everything else middles
    following, counts = _ranges(first, offsets[1:]), offsets[1:] - first
    if not everything and any(example.learned is not None for example in examples):
        learned = [
            np.ones(len(example.target_ids), dtype=np.bool_) if example.learned is None else example.learned
            for example in examples
        ]
        following = following[np.concatenate(learned)]
        counts = np.array([example.num_learned for example in examples])
    return FlatCausalBatch(
        ids,
        positions,
        offsets,
        middles - offsets[:-1],
        following - 1,
        ids[following],
        _offsets(counts),
    )


def document_of(offsets: Ids) -> Ids:
    """The document of each token, counted from 1."""
    return np.repeat(np.arange(1, len(offsets)), np.diff(offsets))


def positions_of(offsets: Ids) -> Ids:
    """The position of each token in its document, from 0."""
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def _examples(sequences: Sequence[Sequence[Encoded]]) -> list[Encoded]:
    examples = [example for sequence in sequences for example in sequence]
    if not examples:
        raise ValueError("a batch needs an example")
    return examples


def _joined(parts: Iterable[np.ndarray]) -> tuple[Ids, Ids]:
    listed = list(parts)
    return np.concatenate(listed).astype(np.int64), _offsets(np.array([len(part) for part in listed]))


def _offsets(lengths: np.ndarray) -> Ids:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _ranges(first: Ids, end: Ids) -> Ids:
    """first[0], ..., end[0] - 1, first[1], ..., end[1] - 1 and so on."""
    lengths = end - first
    return np.arange(lengths.sum()) + np.repeat(first - _offsets(lengths)[:-1], lengths)
