"""Buckets of like length: every token has its slot, and no other borders would hold less padding."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.packing.buckets import Buckets, bucketed

SIZES = st.lists(st.tuples(st.integers(1, 150), st.integers(1, 150)), min_size=1, max_size=30)


def offsets(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def padded_area(buckets: Buckets) -> int:
    return int(buckets.shapes_B3.prod(1).sum())


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES)
def test_a_bucket_holds_its_documents_and_padding(sizes: list[tuple[int, int]]) -> None:
    queries, keys = (offsets([pair[side] for pair in sizes]) for side in (0, 1))
    made = bucketed(queries, keys)
    assert sorted(made.order_N) == list(range(len(sizes)))
    order = iter(made.order_N)
    at = [0, 0]
    for documents, *widths in made.shapes_B3:
        for document in itertools.islice(order, int(documents)):
            for side, (begins, slots, padding) in enumerate(
                (
                    (queries, made.query_slots_S, made.query_padding_S),
                    (keys, made.key_slots_Z, made.key_padding_Z),
                )
            ):
                length, part = (
                    begins[document + 1] - begins[document],
                    slice(at[side], at[side] + widths[side]),
                )
                assert slots[part][:length].tolist() == list(range(begins[document], begins[document + 1]))
                assert padding[part].tolist() == [False] * length + [True] * (widths[side] - length)
                at[side] += widths[side]
    assert at == [len(made.query_slots_S), len(made.key_slots_Z)]
    assert (made.query_slots_S[made.query_places_Q] == np.arange(queries[-1])).all()
    assert (made.key_slots_Z[made.key_places_K] == np.arange(keys[-1])).all()
    assert made.area == sum(queries * keys for _, queries, keys in made.shapes_B3.tolist())


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 130), min_size=1, max_size=12), most=st.integers(1, 4))
def test_no_other_borders_pad_less(lengths: list[int], most: int) -> None:
    """Brute force over all borders between sorted documents; the last bucket may have been left out for
    saving less than a twentieth."""
    widths = sorted(-(-length // 16) * 16 for length in lengths)
    least = {1: len(widths) * widths[-1] ** 2}
    for count in range(2, most + 1):
        borders = itertools.combinations(range(1, len(widths)), count - 1)
        areas = [
            sum(
                (end - first) * widths[end - 1] ** 2
                for first, end in itertools.pairwise((0, *chosen, len(widths)))
            )
            for chosen in borders
        ]
        least[count] = min([*areas, least[count - 1]])
    ends = offsets(lengths)
    made = bucketed(ends, ends, most)
    count = len(made.shapes_B3)
    assert padded_area(made) == least[count]
    assert count == most or least[count + 1] > 0.95 * least[count]


def test_the_same_documents_share_their_indices() -> None:
    ends = offsets([3, 40, 5])
    made = bucketed(ends, ends)
    assert made.key_slots_Z is made.query_slots_S
    assert made.shapes_B3.tolist() == [[2, 16, 16], [1, 48, 48]]


@pytest.mark.parametrize("most", [1, 2, 4])
def test_one_length_is_one_bucket(most: int) -> None:
    ends = offsets([33] * 9)
    assert bucketed(ends, ends, most).shapes_B3.tolist() == [[9, 48, 48]]


def test_six_buckets_pad_less_than_seven_powers_of_two() -> None:
    """Lengths about those of chain-of-thought rows; areas against that of the documents themselves."""
    lengths = np.clip(np.exp(np.random.default_rng(0).normal(np.log(106), 1.0, 256)), 8, 1024).astype(int)
    alone, powers = int((lengths**2).sum()), 2 ** np.ceil(np.log2(np.maximum(lengths, 16)))
    assert len(set(powers)) == 7
    ends = offsets(lengths.tolist())
    assert padded_area(bucketed(ends, ends)) < 1.5 * alone < 1.9 * alone < (powers**2).sum()
