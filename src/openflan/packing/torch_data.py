"""Packed sequences for a training loop other than openflan's: a torch dataset and its collator.

Item i is sequence i of openflan's own training, so a DataLoader that reads in order sees the same mixture.
The sequences are mixed already and need no shuffling. Every item has the same shape, the capacities of a
sequence. Labels are as transformers' models expect them: -100 where there is no loss, and not shifted.
Trade-off: without a build each worker process of a DataLoader renders and tokenises every window that it
reads, so use a build with workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from openflan.packing.batch import IGNORED, Ids, causal_batch, seq2seq_batch
from openflan.packing.example_windows import ExampleStream

if TYPE_CHECKING:
    from torch import Tensor

Item: TypeAlias = "dict[str, Tensor]"


class PackedDataset:
    """The first sequences of a packed stream, each a dict of int64 tensors of fixed length.

    For an encoder-decoder `input_ids`, `input_segment_ids` and `input_positions` (inputs,),
    `decoder_input_ids`, `labels`, `target_segment_ids` and `target_positions` (targets,). For a causal model
    `input_ids`, `position_ids`, `segment_ids` and `labels` (inputs + targets,). Segment ids count the
    examples of a sequence from 1, and 0 is padding; positions restart with every example.
    """

    def __init__(
        self,
        open_stream: Callable[[], ExampleStream],
        num_sequences: int,
        *,
        pad_id: int,
        start_id: int | None = None,
    ) -> None:
        """`open_stream` is called once in every process that reads, so it must be picklable for a DataLoader
        with workers (`training.prepare.packed_dataset` has one). `start_id` begins the decoder's inputs;
        causal models need none."""
        self._open_stream = open_stream
        self._num_sequences = num_sequences
        self._pad_id = pad_id
        self._start_id = start_id
        self._stream: ExampleStream | None = None

    def __len__(self) -> int:
        return self._num_sequences

    def __getitem__(self, index: int) -> Item:
        """Raises IndexError for an index beyond the sequences, ValueError for an encoder-decoder without
        `start_id`."""
        from torch import from_numpy

        if not 0 <= index < self._num_sequences:
            raise IndexError(f"sequence {index} of {self._num_sequences}")
        return {name: from_numpy(array[0]) for name, array in self._arrays(index).items()}

    def __getstate__(self) -> dict[str, Any]:
        # A stream holds open files and locks; a worker opens its own.
        return self.__dict__ | {"_stream": None}

    def _arrays(self, index: int) -> dict[str, Ids]:
        if self._stream is None:
            self._stream = self._open_stream()
        sequences, limits = self._stream.sequences(index, 1), self._stream.limits
        if limits.joint:
            causal = causal_batch(sequences, pad_id=self._pad_id, limits=limits)
            # Ours stand where they are predicted; transformers shifts by itself.
            labels_RL = np.pad(causal.labels_RL[:, :-1], ((0, 0), (1, 0)), constant_values=IGNORED)
            return {
                "input_ids": causal.input_ids_RL,
                "position_ids": causal.positions_RL,
                "segment_ids": causal.segments_RL,
                "labels": labels_RL,
            }
        if self._start_id is None:
            raise ValueError(
                "sequences of an encoder-decoder need `start_id`, the token that begins the decoder's inputs"
            )
        batch = seq2seq_batch(sequences, pad_id=self._pad_id, start_id=self._start_id, limits=limits)
        return {
            "input_ids": batch.input_ids_RE,
            "input_segment_ids": batch.input_segments_RE,
            "input_positions": _positions(batch.input_segments_RE),
            "decoder_input_ids": batch.decoder_ids_RD,
            "labels": np.where(batch.target_segments_RD > 0, batch.target_ids_RD, IGNORED),
            "target_segment_ids": batch.target_segments_RD,
            "target_positions": _positions(batch.target_segments_RD),
        }


def collate(items: Sequence[Item]) -> Item:
    """Items as one batch, each tensor (sequences, length)."""
    from torch import stack

    return {name: stack([item[name] for item in items]) for name in items[0]}


def _positions(segments_RS: Ids) -> Ids:
    """Places within their segment, 0 in padding."""
    at_S = np.arange(segments_RS.shape[1])
    begins_RS = np.diff(segments_RS, axis=1, prepend=0) != 0
    return np.where(segments_RS > 0, at_S - np.maximum.accumulate(np.where(begins_RS, at_S, 0), axis=1), 0)
