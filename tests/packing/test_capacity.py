"""Proposed capacities: the smallest is the smallest, and its fill is that of rows that were packed."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.packing.capacity import REACH, needs, propose, sizes, smallest, touched
from openflan.packing.pack import pack_windows

LENGTHS = np.random.default_rng(0).lognormal([4.2, 2.6], 0.7, (1_000, 2)).astype(np.int64) + 1


def test_sizes_are_powers_of_two_and_what_lies_halfway() -> None:
    assert sizes(100) == [8, 12, 16, 24, 32, 48, 64, 96, 128]
    assert sizes(1) == [8]
    assert sizes(96)[-1] == 96


def test_an_example_with_exemplars_needs_more_than_its_length() -> None:
    """1,920 tokens of text and EOS need 2,048, as the room for them is 15/16 of the row; without exemplars
    their length is enough."""
    needed = needs(np.array([[1921, 5], [1922, 5], [1921, 5]]), np.array([True, True, False]), 15 / 16)
    assert needed.tolist() == [[2048, 5], [2050, 5], [1921, 5]]


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 40)), min_size=1, max_size=30),
    loss=st.sampled_from([0.0, 0.05, 0.2, 0.5]),
)
def test_no_pair_with_a_smaller_sum_would_do(lengths: list[tuple[int, int]], loss: float) -> None:
    expected = np.array(lengths)
    inputs, targets = smallest(expected, loss)

    def lost(pair: tuple[int, int]) -> float:
        return sum(wide > pair[0] or long > pair[1] for wide, long in lengths) / len(lengths)

    assert lost((inputs, targets)) <= loss
    assert touched(expected, (inputs, targets)) == lost((inputs, targets))
    every = [8, 12, 16, 24, 32, 48, 64, 96, 128]
    assert inputs + targets == min(sum(pair) for pair in product(every, every) if lost(pair) <= loss)


def test_fills_are_those_of_packed_rows_and_the_fullest_is_fuller() -> None:
    proposals = propose(LENGTHS, LENGTHS, joint=False, losses=(0.01,))
    assert [one.kind for one in proposals] == ["smallest", "fullest"]
    for proposal in proposals:
        kept = LENGTHS[LENGTHS[:, 1] <= proposal.targets]
        kept = np.stack([np.minimum(kept[:, 0], proposal.inputs), kept[:, 1]], axis=1)
        rows = len(pack_windows([kept], (proposal.inputs, proposal.targets))[0].sequences())
        assert proposal.fill == pytest.approx(kept.sum() / (rows * (proposal.inputs + proposal.targets)))
        assert proposal.fill_inputs == pytest.approx(kept[:, 0].sum() / (rows * proposal.inputs))
        assert proposal.fill_targets == pytest.approx(kept[:, 1].sum() / (rows * proposal.targets))
        assert proposal.examples_per_sequence == pytest.approx(len(kept) / rows)
        assert proposal.touched <= 0.01
    small, full = proposals
    assert full.fill > small.fill
    assert small.inputs <= full.inputs <= REACH * small.inputs
    assert small.targets <= full.targets <= REACH * small.targets


def test_a_row_that_both_sides_share_has_one_fill() -> None:
    (proposal,) = propose(LENGTHS, LENGTHS, joint=True, losses=(0.0,))
    joint_lengths = np.stack([LENGTHS.sum(axis=1), np.zeros(len(LENGTHS), dtype=np.int64)], axis=1)
    rows = len(pack_windows([joint_lengths], (proposal.inputs + proposal.targets, 0))[0].sequences())
    assert (proposal.fill, proposal.fill_inputs, proposal.fill_targets) == (
        pytest.approx(LENGTHS.sum() / (rows * (proposal.inputs + proposal.targets))),
        None,
        None,
    )
    assert proposal.touched == 0


def test_examples_of_one_length_are_packed_without_waste() -> None:
    """Sixteen inputs to four targets: any pair in that ratio is full, and the smallest is not."""
    same = np.tile([16, 4], (512, 1))
    small, full = propose(same, same, joint=False, losses=(0.0,))
    assert (small.inputs, small.targets, small.examples_per_sequence) == (16, 8, 1.0)
    assert (full.inputs, full.targets, full.fill) == (32, 8, 1.0)
