"""What becomes of examples on their way into rows, counted by hand and by plain loops."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.packing.capacity import sizes
from openflan.packing.encode import Encoded, Limits
from openflan.packing.measure import Tally, lengths, measure, summed
from openflan.templates.render import Rendered
from openflan.templates.style import Style

LIMITS = Limits(inputs=10, targets=4, joint=False)


def _example(task: str = "own/a", pruned: int = 0) -> Rendered:
    return Rendered("", "", answer="", task=task, row=0, style=Style(), wording="any", pruned=pruned)


def _ids(inputs: int, targets: int, truncated: int = 0) -> Encoded:
    return Encoded(np.zeros(inputs, dtype=np.int32), np.zeros(targets, dtype=np.int32), truncated)


def _gone(reason: str) -> Encoded:
    nothing = np.empty(0, dtype=np.int32)
    return Encoded(nothing, nothing, dropped=reason)  # type: ignore[arg-type]


def test_a_small_case_by_hand() -> None:
    examples = [_example(), _example(pruned=2), _example("own/b"), _example("own/b"), _example("own/c")]
    encoded = [
        _ids(3, 1),
        _ids(10, 2, truncated=5),
        _ids(4, 4),
        _gone("targets-too-long"),
        _gone("inputs-too-long"),
    ]
    measured = measure(examples, encoded, [[0, 2], [1]], LIMITS)
    assert measured.tasks["own/a"] == Tally(
        drawn=2, kept=2, input_tokens=13, target_tokens=3, truncated=1, cut_tokens=5, thinned=1, pruned=2
    )
    assert measured.tasks["own/b"] == Tally(drawn=2, kept=1, dropped=1, input_tokens=4, target_tokens=4)
    assert measured.tasks["own/c"].values()["mean_input_tokens"] is None
    assert measured.tasks["own/a"].values()["mean_input_tokens"] == 6.5
    assert (measured.sequences, measured.examples_per_sequence, measured.tokens_per_sequence) == (
        2,
        1.5,
        12.0,
    )
    assert (measured.fill_inputs, measured.fill_targets, measured.fill) == (17 / 20, 7 / 8, 24 / 28)
    counts = {
        "examples": 5,
        "truncated": 1,
        "pruned exemplars": 2,
        "dropped: targets too long": 1,
        "dropped: inputs too long": 1,
    }
    assert measured.counts() == counts == measured.values()["counts"]


def test_sides_that_share_a_row_have_one_fill() -> None:
    measured = measure([_example()] * 2, [_ids(3, 1), _ids(8, 2)], [[0, 1]], Limits(10, 4, joint=True))
    assert (measured.fill_inputs, measured.fill_targets, measured.fill) == (None, None, 1.0)


@pytest.mark.parametrize("rows", [[[0]], [[0, 1], [1]], [[0, 1, 2]], []])
def test_rows_that_lose_or_double_an_example_are_refused(rows: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="every kept example exactly once"):
        measure([_example()] * 3, [_ids(1, 1), _ids(1, 1), _gone("targets-too-long")], rows, LIMITS)


KINDS = st.tuples(
    st.sampled_from("abc"),
    st.integers(1, 10),
    st.integers(1, 4),
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 2),
)


@settings(max_examples=60, deadline=None)
@given(kinds=st.lists(KINDS, min_size=1, max_size=40))
def test_tallies_are_those_of_a_plain_count(kinds: list[tuple[str, int, int, int, bool, int]]) -> None:
    examples = [_example(task, pruned) for task, *_, pruned in kinds]
    encoded = [
        _gone("targets-too-long") if drop else _ids(wide, long, truncated)
        for _, wide, long, truncated, drop, _ in kinds
    ]
    kept = [number for number, kind in enumerate(kinds) if not kind[4]]
    if not kept:
        return
    measured = measure(examples, encoded, [[number] for number in kept], LIMITS)
    assert {task: tally.drawn for task, tally in measured.tasks.items()} == Counter(kind[0] for kind in kinds)
    for task, tally in measured.tasks.items():
        mine = [kind for kind in kinds if kind[0] == task]
        assert tally.input_tokens == sum(wide for _, wide, _, _, drop, _ in mine if not drop)
        assert tally.truncated == sum(truncated > 0 for _, _, _, truncated, drop, _ in mine if not drop)
        assert tally.pruned == sum(pruned for *_, pruned in mine)
    assert measured.total == summed(measured.tasks.values())
    assert measured.total.kept + measured.total.dropped == len(kinds)


@given(tokens=st.lists(st.integers(1, 300), min_size=1, max_size=200))
def test_a_histogram_holds_every_example_once_between_its_bounds(tokens: list[int]) -> None:
    bounds = sizes(max(tokens))
    histogram = lengths(np.array(tokens), bounds)
    lower = [0, *bounds[:-1]]
    assert dict(histogram.histogram) == {
        bound: sum(low < one <= bound for one in tokens) for low, bound in zip(lower, bounds, strict=True)
    }
    assert (histogram.longest, histogram.mean) == (max(tokens), pytest.approx(sum(tokens) / len(tokens)))
    assert sum(one <= histogram.p99 for one in tokens) >= 0.99 * len(tokens)
    assert sum(one < histogram.median for one in tokens) <= 0.5 * len(tokens)
