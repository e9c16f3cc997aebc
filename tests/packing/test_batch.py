"""Packed rows as arrays, against arrays spelled out position by position."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from openflan.packing.batch import IGNORED, causal_batch, seq2seq_batch
from openflan.packing.encode import Encoded

PAD, START = 90, 91
TINY = [[([5, 6, 1], [7, 1]), ([8, 1], [9, 10, 1])], [([11, 1], [1])]]


def _rows(texts: list[list[tuple[list[int], list[int]]]]) -> list[list[Encoded]]:
    return [
        [
            Encoded(np.array(inputs, dtype=np.int32), np.array(targets, dtype=np.int32))
            for inputs, targets in row
        ]
        for row in texts
    ]


def test_a_tiny_seq2seq_batch_by_hand() -> None:
    batch = seq2seq_batch(_rows(TINY), pad_id=PAD, start_id=START)
    assert batch.input_ids_RE.tolist() == [
        [5, 6, 1, 8, 1, PAD, PAD, PAD],
        [11, 1, PAD, PAD, PAD, PAD, PAD, PAD],
    ]
    assert batch.input_segments_RE.tolist() == [[1, 1, 1, 2, 2, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]]
    assert batch.target_ids_RD.tolist() == [
        [7, 1, 9, 10, 1, PAD, PAD, PAD],
        [1, PAD, PAD, PAD, PAD, PAD, PAD, PAD],
    ]
    assert batch.decoder_ids_RD.tolist() == [
        [START, 7, START, 9, 10, PAD, PAD, PAD],
        [START, PAD, PAD, PAD, PAD, PAD, PAD, PAD],
    ]
    assert batch.target_segments_RD.tolist() == [[1, 1, 2, 2, 2, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]]
    assert batch.target_tokens == 6
    assert batch.tokens == 13


def test_a_tiny_causal_batch_by_hand() -> None:
    batch = causal_batch(_rows(TINY), pad_id=PAD)
    no = IGNORED
    assert batch.input_ids_RL.tolist() == [
        [5, 6, 1, 7, 1, 8, 1, 9, 10, 1, *[PAD] * 6],
        [11, 1, 1, *[PAD] * 13],
    ]
    assert batch.segments_RL.tolist() == [[1, 1, 1, 1, 1, 2, 2, 2, 2, 2, *[0] * 6], [1, 1, 1, *[0] * 13]]
    assert batch.positions_RL.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, *[0] * 6], [0, 1, 2, *[0] * 13]]
    assert batch.labels_RL.tolist() == [
        [no, no, 7, 1, no, no, 9, 10, 1, no, *[no] * 6],
        [no, 1, no, *[no] * 13],
    ]
    assert batch.target_tokens == 6
    assert batch.tokens == 13


_ids = st.lists(st.integers(2, 80), max_size=12).map(lambda ids: [*ids, 1])
_texts = st.lists(st.lists(st.tuples(_ids, _ids), min_size=1, max_size=5), min_size=1, max_size=5)


def _unpadded(ids: NDArray[np.int64], segments: NDArray[np.int64], segment: int) -> list[int]:
    return [int(token) for token, of in zip(ids, segments, strict=True) if of == segment]


@settings(max_examples=60, deadline=None)
@given(_texts)
def test_every_seq2seq_example_can_be_read_back(texts: list[list[tuple[list[int], list[int]]]]) -> None:
    batch = seq2seq_batch(_rows(texts), pad_id=PAD, start_id=START)
    for index, row in enumerate(texts):
        for segment, (inputs, targets) in enumerate(row, 1):
            assert _unpadded(batch.input_ids_RE[index], batch.input_segments_RE[index], segment) == inputs
            assert _unpadded(batch.target_ids_RD[index], batch.target_segments_RD[index], segment) == targets
            assert _unpadded(batch.decoder_ids_RD[index], batch.target_segments_RD[index], segment) == [
                START,
                *targets[:-1],
            ]
        assert set(_unpadded(batch.input_ids_RE[index], batch.input_segments_RE[index], 0)) <= {PAD}
        assert set(_unpadded(batch.decoder_ids_RD[index], batch.target_segments_RD[index], 0)) <= {PAD}
    assert batch.target_tokens == sum(len(targets) for row in texts for _, targets in row)
    assert batch.tokens == sum(len(inputs) + len(targets) for row in texts for inputs, targets in row)


@settings(max_examples=60, deadline=None)
@given(_texts)
def test_every_causal_label_is_the_next_token_of_its_own_example(
    texts: list[list[tuple[list[int], list[int]]]],
) -> None:
    batch = causal_batch(_rows(texts), pad_id=PAD)
    for index, row in enumerate(texts):
        for segment, (inputs, targets) in enumerate(row, 1):
            own = batch.segments_RL[index]
            assert _unpadded(batch.input_ids_RL[index], own, segment) == inputs + targets
            assert _unpadded(batch.positions_RL[index], own, segment) == list(
                range(len(inputs) + len(targets))
            )
            labels = _unpadded(batch.labels_RL[index], own, segment)
            assert labels == [IGNORED] * (len(inputs) - 1) + targets + [IGNORED]
        assert set(_unpadded(batch.labels_RL[index], batch.segments_RL[index], 0)) <= {IGNORED}
    assert batch.target_tokens == sum(len(targets) for row in texts for _, targets in row)


@pytest.mark.parametrize(("tokens", "width"), [(2, 8), (8, 8), (9, 16), (16, 16)])
def test_widths_are_multiples_of_eight_and_no_more(tokens: int, width: int) -> None:
    seq2seq = seq2seq_batch(_rows([[([3] * tokens, [1])]]), pad_id=PAD, start_id=START)
    assert (seq2seq.input_ids_RE.shape, seq2seq.target_ids_RD.shape) == ((1, width), (1, 8))
    assert causal_batch(_rows([[([3] * (tokens - 1), [1])]]), pad_id=PAD).input_ids_RL.shape == (1, width)
