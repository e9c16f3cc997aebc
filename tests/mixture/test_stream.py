"""The stream at its interface: what stands at a position, whatever was asked before."""

from collections import Counter, defaultdict

import numpy as np
import pytest

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


def _stream(seed: int = 3, styles: StyleShares = QUARTER, sizes: dict[str, int] = SIZES, share: dict[str, float] = SHARES) -> Stream:
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


def test_every_block_end_has_the_counts_of_the_shares(stream: Stream, two_blocks: list[tuple[str, int, int]]) -> None:
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
    """Block 0 holds the first two thirds of the first pass, block 1 the first third of the second: in the same order one would hold the other."""
    stream = _stream(sizes={"own/one": 100_000}, share={"own/one": 1.0})
    found = [stream.source(position) for position in range(2 * BLOCK)]
    first, second = {row for _, row, _ in found[:BLOCK]}, {row for _, row, pass_ in found[BLOCK:] if pass_ == 1}
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
    found, again = permutation[np.arange(size)], other[np.arange(size)]
    assert np.array_equal(np.sort(found), np.arange(size))
    assert np.array_equal(permutation[np.arange(size)[::-1]], found[::-1])
    if size > 3:
        assert (found == again).sum() < 20
        assert (found == np.arange(size)).sum() < 20
