"""Every n-gram of the benchmarks, in sorted arrays.

For each length of n-gram there is one table: 64-bit hashes in order, and where in the benchmarks each stands.
A bit table in front of it answers nearly all look-ups. Memory grows with the benchmarks alone; `Index.nbytes`
says how much it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openflan.benchmark_data.items import Item
from openflan.mixture.overlap.units import LENGTHS, Hashes, Places, Units, prefix_sums, split, windows

STOCK = 10
"""An n-gram that occurs in more texts of the benchmarks than this is a stock phrase: it identifies no item.
"""

STOCK_QUESTIONS = 2
"""The least for a whole question that is shorter than an n-gram, such as `Which of the following statements
is true?`."""

LEAST_UNITS, LEAST_LETTERS = 3, 16
"""A question shorter than an n-gram is searched inside other texts if it has at least so many units and
letters. Others count only as whole texts: `Keynes` and `Where is Belize?` are too common to identify an item.
"""

_BITS = 64  # bits of the bit table for an n-gram: 1.5 in 100 look-ups pass for nothing
_AT_A_TIME = 4_096


@dataclass(frozen=True, slots=True)
class Table:
    """The n-grams of one length (K of them, P places).

    `hashes` (K,) in order; n-gram k stands at the units `places[starts[k]:starts[k + 1]]` of the index; for
    one that is `stock` (K,) only the first place in each group of items is kept. `bits` has a bit set for the
    first bits of every hash.
    """

    hashes: Hashes
    starts: NDArray[np.int32]
    places: NDArray[np.int32]
    stock: NDArray[np.bool_]
    bits: NDArray[np.uint8]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in (self.hashes, self.starts, self.places, self.stock, self.bits))

    def find(self, hashes: Hashes) -> tuple[Places, Places]:
        """Return the positions of the hashes that the table holds, and the numbers of their n-grams."""
        key = hashes >> np.uint64(64 - (8 * len(self.bits)).bit_length() + 1)
        hits = np.flatnonzero(
            (self.bits[key >> np.uint64(3)] >> (key & np.uint64(7)).astype(np.uint8)) & np.uint8(1)
        )
        slots = np.minimum(np.searchsorted(self.hashes, hashes[hits]), len(self.hashes) - 1)
        same = self.hashes[slots] == hashes[hits]
        return hits[same], slots[same]


@dataclass(frozen=True, slots=True)
class Index:
    """The items with at least one unit, and their units one after the other (E items, U units).

    `units` (U,) are hashes; those of item e are [starts[e], starts[e + 1]). `tables` are by length, `lengths`
    by the kind of unit that calls for them; `whole` holds the questions that count only as whole texts, of
    any length.
    """

    items: tuple[Item, ...]
    units: Hashes
    starts: Places
    tables: dict[int, Table]
    lengths: dict[int, tuple[int, ...]]
    whole: Table | None

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays and of the items' texts."""
        tables = [*self.tables.values(), *([self.whole] if self.whole else [])]
        texts = sum(len(item.text.encode("utf-8", "surrogatepass")) for item in self.items)
        return sum(table.nbytes for table in tables) + self.units.nbytes + self.starts.nbytes + texts

    @property
    def ngrams(self) -> int:
        return sum(len(table.hashes) for table in self.tables.values())

    def item_at(self, unit_index: int) -> int:
        """The number of the item to which a unit belongs."""
        return int(np.searchsorted(self.starts, unit_index, side="right")) - 1


@dataclass(frozen=True, slots=True)
class _Seen:
    """N-grams (N,) of one length, whose units are of `kind` at most: hash, unit and item of each. `whole` is
    True if they count as whole texts only."""

    kind: int
    length: int
    whole: bool
    hashes: Hashes
    places: NDArray[np.int32]
    items: NDArray[np.int32]


def build_index(items: Iterable[Item]) -> Index:
    """Return the index of `items`, which are read in small pieces."""
    indexed_items: list[Item] = []
    units: list[Hashes] = []
    starts = [0]
    ngrams: list[_Seen] = []
    for piece in _pieces(items):
        piece_units = split([item.text for item in piece])
        counts = np.diff(piece_units.starts)
        present = np.flatnonzero(counts)
        item_U = np.repeat(
            np.arange(len(indexed_items), len(indexed_items) + len(present), dtype=np.int32), counts[present]
        )
        ngrams += _ngrams(piece_units, item_U, starts[-1])
        ngrams += _short_questions(piece, piece_units, item_U, starts[-1])
        indexed_items += [piece[number] for number in present]
        units.append(piece_units.hashes)
        starts += (starts[-1] + piece_units.starts[1:][present]).tolist()
    groups = _numbered([item.group for item in indexed_items])
    in_context = [part for part in ngrams if not part.whole]
    short_questions = [part for part in ngrams if part.whole]
    return Index(
        items=tuple(indexed_items),
        units=np.concatenate([*units, np.zeros(0, dtype=np.uint64)]),
        starts=np.array(starts, dtype=np.int64),
        tables={
            length: _table(
                [part for part in in_context if part.length == length],
                groups,
                STOCK if length in LENGTHS.values() else STOCK_QUESTIONS,
            )
            for length in sorted({part.length for part in in_context})
        },
        lengths={
            kind: tuple(sorted({part.length for part in in_context if part.kind == kind})) for kind in LENGTHS
        },
        whole=_table(short_questions, groups, STOCK_QUESTIONS) if short_questions else None,
    )


def _ngrams(item_units: Units, item_U: NDArray[np.int32], begin: int) -> Iterator[_Seen]:
    """All n-grams of the texts of `item_units`. `item_U` (units,) is the item of each unit, `begin` the
    number of the first unit in the index."""
    sums = prefix_sums(item_units.hashes)
    left_U = np.repeat(item_units.starts[1:], np.diff(item_units.starts)) - np.arange(len(item_U))
    for kind, length in LENGTHS.items():
        of_kind = _of_kind(item_units.kinds, kind, length)
        begins = np.flatnonzero(of_kind & (left_U[: len(of_kind)] >= length))
        if len(begins):
            yield _Seen(
                kind,
                length,
                False,
                windows(sums, length)[begins],
                (begin + begins).astype(np.int32),
                item_U[begins],
            )


def _short_questions(
    piece: list[Item], piece_units: Units, item_U: NDArray[np.int32], begin: int
) -> Iterator[_Seen]:
    """Each question that is shorter than an n-gram, as an n-gram of its own length."""
    for item, first, last in zip(
        piece, piece_units.starts[:-1].tolist(), piece_units.starts[1:].tolist(), strict=True
    ):
        if item.part != "question" or first == last:
            continue
        kind, length = int(piece_units.kinds[first:last].max()), last - first
        if length < LENGTHS[kind]:
            letters = int((piece_units.ends[first:last] - piece_units.begins[first:last]).sum())
            only_equal = length < LEAST_UNITS or letters < LEAST_LETTERS
            hashes = windows(prefix_sums(piece_units.hashes[first:last]), length)
            yield _Seen(
                kind,
                length,
                only_equal,
                hashes,
                np.array([begin + first], dtype=np.int32),
                item_U[first : first + 1],
            )


def _of_kind(kinds: NDArray[np.uint8], kind: int, length: int) -> NDArray[np.bool_]:
    """Return True for each unit at which a window of `length` units begins that has units of `kind` and of no
    longer one. No window begins in the last length - 1 units."""
    count = max(0, len(kinds) - length + 1)

    def number(of: NDArray[np.bool_]) -> Places:
        sums = np.concatenate([[0], np.cumsum(of)])
        inside: Places = sums[length:][:count] - sums[:count]
        return inside

    longest: NDArray[np.bool_] = number(kinds > kind) == 0
    return longest if kind == min(LENGTHS) else longest & (number(kinds == kind) > 0)


def _table(parts: list[_Seen], groups: NDArray[np.int32], largest: int) -> Table:
    hashes = np.concatenate([part.hashes for part in parts])
    places = np.concatenate([part.places for part in parts])
    items = np.concatenate([part.items for part in parts])
    order = np.lexsort((places, groups[items], hashes))
    hashes, places, items = hashes[order], places[order], items[order]
    once = _differs(hashes) | _differs(items)  # an item that repeats an n-gram has it once
    hashes, places, items = hashes[once], places[once], items[once]
    new = _differs(hashes)
    slots = np.cumsum(new) - 1
    stock = np.bincount(slots) > largest
    is_kept = ~stock[slots] | new | _differs(groups[items])
    hashes, places, slots = hashes[new], places[is_kept], slots[is_kept]
    starts = np.concatenate([[0], np.cumsum(np.bincount(slots))]).astype(np.int32)
    bits = np.zeros(max(64, 1 << (len(hashes) * _BITS // 8 - 1).bit_length()), dtype=np.uint8)
    key = hashes >> np.uint64(64 - (8 * len(bits)).bit_length() + 1)
    np.bitwise_or.at(bits, key >> np.uint64(3), np.uint8(1) << (key & np.uint64(7)).astype(np.uint8))
    return Table(hashes, starts, places, stock, bits)


def _differs(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return True for each value that differs from the one before."""
    differs = np.ones(len(values), dtype=np.bool_)
    differs[1:] = values[1:] != values[:-1]
    return differs


def _numbered(names: list[str]) -> NDArray[np.int32]:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int32)


def _pieces(items: Iterable[Item]) -> Iterator[list[Item]]:
    piece: list[Item] = []
    for item in items:
        piece.append(item)
        if len(piece) == _AT_A_TIME:
            yield piece
            piece = []
    if piece:
        yield piece
