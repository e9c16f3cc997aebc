"""What a task's training rows share with the benchmarks: counts, examples, and every hit as a line of
JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from openflan.hashes import SHORT, sha256_of_json
from openflan.mixture.overlap.index import Index
from openflan.mixture.overlap.scan import KINDS, Hit, compared, scan
from openflan.tasks.task import Row, Rows, Task


@dataclass(frozen=True, slots=True)
class Counted:
    """Hits that are more than stock phrases, in one group of items (`Item.group`): the rows that have them,
    the items they are of, and how many of these items a row holds in full."""

    rows: int
    items: int
    whole: int


@dataclass(frozen=True, slots=True)
class Example:
    """A hit, and the text of the row's field in which it is."""

    hit: Hit
    text: str


@dataclass(frozen=True, slots=True)
class TaskOverlap:
    """The text that one task shares with the benchmarks. `hit_rows` share more than stock phrases,
    `stock_rows` only stock phrases."""

    task: str
    rows: int
    hit_rows: int
    stock_rows: int
    groups: Mapping[str, Counted]
    examples: tuple[Example, ...]

    def described(self) -> dict[str, Any]:
        """Return the overlap as plain JSON values."""
        return {
            "task": self.task,
            "rows": self.rows,
            "hit_rows": self.hit_rows,
            "stock_rows": self.stock_rows,
            "groups": {name: asdict(counted) for name, counted in self.groups.items()},
            "examples": [
                {**_described(example.hit), "text": example.text, "item": example.hit.item.text}
                for example in self.examples
            ],
        }


def check_task(
    task: Task,
    index: Index,
    examples: int = 3,
    write: Callable[[dict[str, Any]], None] | None = None,
    passed: Callable[[int], object] = lambda rows: None,
) -> TaskOverlap:
    """Compares every row of a task with the index.

    Keeps the `examples` strongest hits of each group; `write` gets every hit as a record, `passed` the number
    of rows after each batch. Raises what reading a row raises.
    """
    rows = hit_rows = stock_rows = 0
    groups: dict[str, _Group] = {}
    for count, hits in scan(_numbered(task.rows), index):
        for row_index, same in groupby(hits, key=lambda hit: hit.row):
            of_row = list(same)
            row = task.rows[row_index]
            if write is not None:
                digest = row_hash(row)
                for hit in of_row:
                    write({"task": task.name, **_described(hit), "row_hash": digest})
            for hit in of_row:
                groups.setdefault(hit.item.group, _Group()).add(hit, row, examples)
            telling = any(hit.kind != "stock" for hit in of_row)
            hit_rows += telling
            stock_rows += not telling
        rows += count
        passed(count)
    named = sorted(groups.items())
    counted = {name: group.counted() for name, group in named if group.items}
    return TaskOverlap(
        task.name, rows, hit_rows, stock_rows, counted, tuple(one for _, group in named for one in group.best)
    )


@dataclass(slots=True)
class _Group:
    """What was found so far of one group of items; stock phrases are among the examples only. Rows come in
    order, so the last one is enough to count."""

    rows: int = 0
    last_row: int = -1
    items: set[tuple[str, int]] = field(default_factory=set)
    whole: set[tuple[str, int]] = field(default_factory=set)
    best: list[Example] = field(default_factory=list)

    def add(self, hit: Hit, row: Row, examples: int) -> None:
        if hit.kind != "stock":
            self.rows += hit.row != self.last_row
            self.last_row = hit.row
            self.items.add((hit.item.task, hit.item.index))
            if hit.kind != "n-gram":
                self.whole.add((hit.item.task, hit.item.index))
        if len(self.best) < examples or (self.best and _strength(hit) < _strength(self.best[-1].hit)):
            self.best.append(Example(hit, dict(compared(row))[hit.field]))
            self.best.sort(key=lambda one: _strength(one.hit))
            del self.best[examples:]

    def counted(self) -> Counted:
        return Counted(self.rows, len(self.items), len(self.whole))


def _strength(hit: Hit) -> tuple[int, int]:
    """The order of hits, the strongest first: by kind, then by length."""
    return KINDS.index(hit.kind), -hit.units


def row_hash(row: Row) -> str:
    """A hash of all fields of a row, by which it is known again."""
    plain = {name: value if isinstance(value, str) else list(value) for name, value in row.items()}
    return sha256_of_json(plain, escaped=True)[:SHORT]


def _numbered(rows: Rows) -> Iterator[tuple[int, Row]]:
    return ((number, rows[number]) for number in range(len(rows)))


def _described(hit: Hit) -> dict[str, Any]:
    item = hit.item
    return {
        "row": hit.row,
        "field": hit.field,
        "benchmark": item.benchmark,
        "benchmark_task": item.task,
        "index": item.index,
        "part": item.part,
        "kind": hit.kind,
        "units": hit.units,
        "span": hit.span,
    }
