"""The stream at its interface: what stands at a position, whatever was asked before."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.mixture.stream import BLOCK, Entry, Stream
from openflan.randomness import Permutation
from openflan.tasks.task import Row, Task
from openflan.templates.render import Renderer
from openflan.templates.style import StyleShares
from openflan.templates.wording import READY_MADE


class Numbered:
    """Rows that say their own number."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < self._size:
            raise IndexError(index)
        return {"inputs": f"in {index}", "targets": f"out {index}"}


SIZES = {"own/small": 700, "own/middle": 5_003, "own/large": 100_000}
SHARES = {"own/small": 0.05, "own/middle": 0.35, "own/large": 0.6}


QUARTER = StyleShares(few_shot=0.25)


def _stream(
    seed: int = 3,
    styles: StyleShares = QUARTER,
    sizes: dict[str, int] = SIZES,
    share: dict[str, float] = SHARES,
) -> Stream:
    entries = {}
    for name, size in sizes.items():
        task = Task(name, Numbered(size), frozenset({"inputs", "targets"}), dataset=name, category="test")
        entries[name] = Entry(task, Renderer(task, READY_MADE), share[name], styles)
    return Stream(entries, seed)


@pytest.fixture(scope="module")
def stream() -> Stream:
    return _stream()


@pytest.fixture(scope="module")
def two_blocks(stream: Stream) -> list[tuple[str, int, int]]:
    return [stream.source(position) for position in range(2 * BLOCK)]


def test_every_block_end_has_the_counts_of_the_shares(
    stream: Stream, two_blocks: list[tuple[str, int, int]]
) -> None:
    for blocks in (1, 2):
        drawn = Counter(name for name, _, _ in two_blocks[: blocks * BLOCK])
        assert list(stream.counts(blocks)) == [drawn[name] for name in SIZES]
        for name, share in SHARES.items():
            assert abs(drawn[name] - share * blocks * BLOCK) <= 1


def test_a_pass_shows_every_row_once_before_the_next_begins(two_blocks: list[tuple[str, int, int]]) -> None:
    """Inside a block the order is shuffled, so passes may interleave there; as sets they are exact."""
    seen: dict[tuple[str, int], list[int]] = defaultdict(list)
    for name, row, pass_ in two_blocks:
        seen[name, pass_].append(row)
    last = {name: max(pass_ for other, pass_ in seen if other == name) for name in SIZES}
    assert last["own/small"] >= 8
    assert last["own/middle"] >= 8
    for (name, pass_), rows in seen.items():
        if pass_ < last[name]:
            assert sorted(rows) == list(range(SIZES[name])), f"pass {pass_} of {name}"
        else:
            assert len(set(rows)) == len(rows)


def test_a_pass_that_crosses_a_block_end_is_whole(two_blocks: list[tuple[str, int, int]]) -> None:
    first = {row for name, row, pass_ in two_blocks[:BLOCK] if (name, pass_) == ("own/large", 0)}
    second = {row for name, row, pass_ in two_blocks[BLOCK:] if (name, pass_) == ("own/large", 0)}
    assert first
    assert second
    assert not first & second


def test_the_next_pass_has_another_order() -> None:
    """Block 0 holds the first two thirds of the first pass, block 1 the first third of the second: in the
    same order one would hold the other."""
    stream = _stream(sizes={"own/one": 100_000}, share={"own/one": 1.0})
    drawn = [stream.source(position) for position in range(2 * BLOCK)]
    first, second = (
        {row for _, row, _ in drawn[:BLOCK]},
        {row for _, row, pass_ in drawn[BLOCK:] if pass_ == 1},
    )
    assert len(second) == 2 * BLOCK - 100_000
    assert len(first & second) / len(second) == pytest.approx(BLOCK / 100_000, abs=0.02)


def test_the_next_block_has_another_order(two_blocks: list[tuple[str, int, int]]) -> None:
    first, second = two_blocks[:BLOCK], two_blocks[BLOCK:]
    same = sum(a[0] == b[0] for a, b in zip(first, second, strict=True)) / BLOCK
    assert same == pytest.approx(sum(share**2 for share in SHARES.values()), abs=0.02)


def test_examples_are_mixed_evenly_within_a_block(two_blocks: list[tuple[str, int, int]]) -> None:
    """Every sixteenth of a block has about its share of each task: tasks do not come one after the other."""
    for start in range(0, BLOCK, BLOCK // 16):
        drawn = Counter(name for name, _, _ in two_blocks[start : start + BLOCK // 16])
        for name, share in SHARES.items():
            expected = share * BLOCK / 16
            assert abs(drawn[name] - expected) < 6 * expected**0.5


def test_any_position_is_the_same_in_any_order(stream: Stream) -> None:
    positions = [int(position) for position in np.random.default_rng(0).integers(0, 3 * BLOCK, size=40)]
    expected = {position: stream[position] for position in sorted(positions)}
    shuffled_order = _stream()
    assert {position: shuffled_order[position] for position in positions} == expected
    for position in positions[:3]:
        assert _stream()[position] == expected[position]


def test_a_position_far_away_needs_nothing_before_it() -> None:
    assert _stream().source(40 * BLOCK + 17) == _stream().source(40 * BLOCK + 17)
    stream = _stream()
    for block in range(39):
        stream.counts(block)
    assert stream.source(40 * BLOCK + 17) == _stream().source(40 * BLOCK + 17)


def test_an_example_says_where_it_came_from(stream: Stream) -> None:
    for position in range(0, 2_000, 7):
        example = stream[position]
        assert (example.task, example.row) == stream.source(position)[:2]
        shown = [*example.exemplars, example.row]
        assert [example.inputs.count(f"in {row}") > 0 for row in shown] == [True] * len(shown)
        assert bool(example.exemplars) == example.style.few_shot
        assert example.targets == f"out {example.row}"


def test_another_seed_has_another_order(stream: Stream) -> None:
    other = _stream(seed=4)
    same = sum(stream.source(position) == other.source(position) for position in range(1_000))
    assert same < 50


def test_styles_come_in_their_shares() -> None:
    stream = _stream(styles=QUARTER)
    few = sum(stream[position].style.few_shot for position in range(2_000))
    assert abs(few - 500) < 5 * (2_000 * 0.25 * 0.75) ** 0.5
    for share, expected in ((0.0, 0), (1.0, 200)):
        stream = _stream(styles=StyleShares(few_shot=share))
        assert sum(stream[position].style.few_shot for position in range(200)) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 1_000, 65_536, 65_537, 300_001])
def test_a_permutation_holds_every_element_once(size: int) -> None:
    """Up to 65,536 elements it is a table, beyond a network: both are whole, and no two seeds alike."""
    permutation, other = Permutation(size, 0, "rows", "a", 0), Permutation(size, 0, "rows", "a", 1)
    drawn, again = permutation[np.arange(size)], other[np.arange(size)]
    assert np.array_equal(np.sort(drawn), np.arange(size))
    assert np.array_equal(permutation[np.arange(size)[::-1]], drawn[::-1])
    if size > 3:
        assert (drawn == again).sum() < 20
        assert (drawn == np.arange(size)).sum() < 20


def test_counts_are_within_one_of_their_shares_at_the_end_of_each_of_many_blocks() -> None:
    """Shares over five orders of magnitude, most of them far from whole examples a block."""
    share = {f"own/{number}": 10.0 ** (-number / 3) for number in range(16)}
    total = sum(share.values())
    stream = _stream(
        sizes=dict.fromkeys(share, 1_000), share={name: one / total for name, one in share.items()}
    )
    exact_T = np.array(list(share.values())) / total
    assert exact_T.min() * BLOCK < 1 < exact_T.max() * BLOCK
    before = np.zeros(len(share), dtype=np.int64)
    for blocks in range(1, 61):
        counts = stream.counts(blocks)
        assert counts.sum() == blocks * BLOCK
        assert np.abs(counts - exact_T * blocks * BLOCK).max() <= 1
        assert (counts >= before).all()
        before = counts


@pytest.fixture(scope="module")
def passes(two_blocks: list[tuple[str, int, int]]) -> dict[int, list[int]]:
    """Rows of the small task by pass, in the order of the stream."""
    rows_by_epoch: dict[int, list[int]] = defaultdict(list)
    for name, row, pass_ in two_blocks:
        if name == "own/small":
            rows_by_epoch[pass_].append(row)
    return rows_by_epoch


def test_every_pass_has_an_order_of_its_own_and_has_it_again(passes: dict[int, list[int]]) -> None:
    again = _stream()
    repeated = [
        (row, pass_)
        for name, row, pass_ in (again.source(position) for position in range(2 * BLOCK - 1, -1, -1))
        if name == "own/small"
    ][::-1]
    for pass_, rows in passes.items():
        assert [row for row, of in repeated if of == pass_] == rows
    full_epochs = [rows for rows in passes.values() if len(rows) == SIZES["own/small"]]
    assert len(full_epochs) >= 8
    for index, rows in enumerate(full_epochs):
        for other in full_epochs[:index]:
            assert sum(a == b for a, b in zip(rows, other, strict=True)) < 15, (
                "two seeded orders of 700 share one place on average"
            )


@settings(max_examples=8, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=6), seed=st.integers(0, 2**63), data=st.data()
)
def test_every_example_stands_once_in_each_pass(sizes: list[int], seed: int, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 1.0), min_size=len(sizes), max_size=len(sizes)))
    names = [f"own/{number}" for number in range(len(sizes))]
    stream = _stream(
        seed,
        sizes=dict(zip(names, sizes, strict=True)),
        share={name: one / sum(weights) for name, one in zip(names, weights, strict=True)},
    )
    drawn = Counter(stream.source(position) for position in range(BLOCK))
    assert set(drawn.values()) == {1}, "a row twice in a pass"
    for name, size, count in zip(names, sizes, stream.counts(1).tolist(), strict=True):
        per_pass = Counter(pass_ for other, _, pass_ in drawn if other == name)
        assert per_pass == {pass_: min(size, count - pass_ * size) for pass_ in range(-(-count // size))}
