"""Compares training rows with the index, in one pass and in constant memory.

Rows are taken in batches of a quarter of a million characters. A match of hashes is compared unit by unit and
lengthened as far as row and item agree. No hit is therefore an accident of hashing, and each hit says how
much of the item the row holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from openflan.benchmark_data.items import Item
from openflan.mixture.overlap.index import Index, Table
from openflan.mixture.overlap.units import (
    HAN_KANA,
    UNSPACED,
    WORD,
    Places,
    Units,
    prefix_sums,
    split,
    stretches,
    windows,
)
from openflan.tasks.task import Row

COMPARED = ("question", "options", "answer", "rationale", "inputs", "targets")
"""The fields that are compared: those that differ from row to row. A list of options is one text."""

ASKING = ("question", "inputs")
"""The fields that can be equal to a question which is too short to be looked for inside others."""

BATCH = 1 << 18
"""Characters at a time, which take some 11 MB while they are compared; ten times as many are slower. A row is
never divided, so a longer one is a batch of its own."""

Kind: TypeAlias = Literal["equal", "contains", "n-gram", "stock"]
KINDS: tuple[Kind, ...] = ("equal", "contains", "n-gram", "stock")
"""From the strongest: a field is the whole item; holds the whole item; shares an n-gram with it; shares only
stock phrases, which more than `index.STOCK` texts of the benchmarks have."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A row and an item that share a text. `span` is the longest shared stretch, folded, `units` its length,
    and `field` the row's field that contains it."""

    row: int
    field: str
    item: Item
    kind: Kind
    units: int
    span: str


def scan(rows: Iterable[tuple[int, Row]], index: Index) -> Iterator[tuple[int, list[Hit]]]:
    """After each batch: the number of rows in it, and their hits, at most one a row and item, in the order of
    the rows."""
    numbers: list[int] = []
    fields: list[str] = []
    texts: list[str] = []
    count = size = 0
    for row_index, row in rows:
        count += 1
        for field, text in compared(row):
            numbers.append(row_index)
            fields.append(field)
            texts.append(text)
            size += len(text)
        if size >= BATCH:
            yield count, _hits(_Batch(numbers, fields, split(texts)), index)
            numbers, fields, texts = [], [], []
            count = size = 0
    if count:
        yield count, _hits(_Batch(numbers, fields, split(texts)), index)


def compared(row: Row) -> Iterator[tuple[str, str]]:
    """The texts of a row that are compared, by the names of their fields."""
    for field in COMPARED:
        value = row.get(field)
        if value:
            yield field, value if isinstance(value, str) else "\n".join(value)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Texts (T,) of some rows; each text's row and field."""

    rows: list[int]
    fields: list[str]
    units: Units


@dataclass(slots=True)
class _Shared:
    """The longest stretch that a row and an item share so far; `telling` once an n-gram is found that is no
    stock phrase."""

    text: int
    begin: int
    length: int
    strength: int
    telling: bool


def _hits(batch: _Batch, index: Index) -> list[Hit]:
    shared: dict[tuple[int, int], _Shared] = {}
    ends: dict[tuple[int, int, int], int] = {}
    starts = batch.units.starts
    for length, table, units, slots in _candidates(batch, index):
        texts = np.searchsorted(starts, units, side="right") - 1
        for unit, text, slot in zip(units.tolist(), texts.tolist(), slots.tolist(), strict=True):
            stock = bool(table.stock[slot])
            for unit_in_index in table.places[table.starts[slot] : table.starts[slot + 1]].tolist():
                item = index.item_at(unit_in_index)
                # A stretch of many n-grams is measured at its first.
                stretch = (text, item, unit - unit_in_index)
                if ends.get(stretch, -1) < unit + length:
                    begin, end = _stretch(batch.units, index, text, item, unit, unit_in_index)
                    if end - begin < length:
                        continue
                    ends[stretch] = end
                    _note(shared, batch, index, item, _Shared(text, begin, end - begin, 0, not stock))
                elif not stock:
                    shared[batch.rows[text], item].telling = True
    return [
        _hit(batch, index, row, item, stretch_shared)
        for (row, item), stretch_shared in sorted(shared.items(), key=lambda pair: pair[0])
    ]


def _candidates(batch: _Batch, index: Index) -> Iterator[tuple[int, Table, Places, Places]]:
    """For each length: its table, the units at which an n-gram of the index begins, and that n-gram's number.
    Some may reach over the end of a text."""
    hashes, starts, kinds = batch.units.hashes, batch.units.starts, batch.units.kinds
    counts = np.diff(starts)
    done: set[int] = set()
    for kind in (WORD, HAN_KANA, UNSPACED):
        lengths = [length for length in index.lengths.get(kind, ()) if length not in done]
        if not lengths:
            continue
        done.update(lengths)
        if kind == WORD:
            chosen = None
        else:
            texts = np.zeros(len(counts), dtype=bool)
            texts[np.searchsorted(starts, np.flatnonzero(kinds == kind), side="right") - 1] = True
            chosen = np.flatnonzero(np.repeat(texts, counts))
            if not len(chosen):
                continue
        sums = prefix_sums(hashes if chosen is None else hashes[chosen])
        for length in lengths:
            units, slots = index.tables[length].find(windows(sums, length))
            yield length, index.tables[length], units if chosen is None else chosen[units], slots
    if index.whole is not None:
        asking = np.array([field in ASKING for field in batch.fields], dtype=bool) & (counts > 0)
        begins, lengths_T = starts[:-1][asking], counts[asking]
        texts, slots = index.whole.find(stretches(prefix_sums(hashes), begins, begins + lengths_T))
        for text, slot in zip(texts, slots, strict=True):
            yield int(lengths_T[text]), index.whole, begins[text : text + 1], np.array([slot])


def _stretch(
    units: Units, index: Index, text: int, item: int, unit: int, unit_in_index: int
) -> tuple[int, int]:
    """The longest stretch of equal units around `unit` of the batch and `unit_in_index` of the index, inside
    the text and the item; empty if they differ."""
    before = min(unit - int(units.starts[text]), unit_in_index - int(index.starts[item]))
    after = min(int(units.starts[text + 1]) - unit, int(index.starts[item + 1]) - unit_in_index)
    ahead = _equal(units.hashes[unit : unit + after], index.units[unit_in_index : unit_in_index + after])
    behind = _equal(
        units.hashes[unit - before : unit][::-1], index.units[unit_in_index - before : unit_in_index][::-1]
    )
    return (unit - behind, unit + ahead) if ahead else (unit, unit)


def _equal(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> int:
    """Return the number of equal values at the start of both arrays."""
    differ = np.flatnonzero(first != second)
    return int(differ[0]) if len(differ) else len(first)


def _note(
    shared: dict[tuple[int, int], _Shared], batch: _Batch, index: Index, item: int, common: _Shared
) -> None:
    is_whole_item = common.length == index.starts[item + 1] - index.starts[item]
    of_text = batch.units.starts[common.text + 1] - batch.units.starts[common.text]
    common.strength = 1 + int(common.length == of_text) if is_whole_item else 0
    key = (batch.rows[common.text], item)
    before = shared.get(key)
    if before is None:
        shared[key] = common
        return
    common.telling |= before.telling
    before.telling = common.telling
    if (common.strength, common.length) > (before.strength, before.length):
        shared[key] = common


def _hit(batch: _Batch, index: Index, row: int, item: int, common: _Shared) -> Hit:
    kind: Kind = "stock" if not common.telling else ("n-gram", "contains", "equal")[common.strength]
    span = batch.units.text(common.begin, common.begin + common.length)
    return Hit(row, batch.fields[common.text], index.items[item], kind, common.length, span)
