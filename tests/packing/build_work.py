"""Builds of numbered words, for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from numbered_words import LAYOUT, LIMITS, PARTS, ROOM, Words, encoder

from openflan.packing.build_ahead import Summary, build
from openflan.packing.encode import Encoded, Limits
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.packing.store import Parts, Store

WINDOWS = 8
"""Two whole blocks of three windows, and one of two."""


def build_folder(
    folder: Path,
    windows: int = WINDOWS,
    limits: Limits = LIMITS,
    parts: Parts = PARTS,
    examples: Words | None = None,
    **settings: Any,
) -> Summary:
    return build(folder, examples or Words(ROOM), encoder(limits), parts, windows, layout=LAYOUT, **settings)


def plan_of(
    folder: Path | None = None, limits: Limits = LIMITS, parts: Parts = PARTS, index: tuple[int, ...] = ()
) -> ExampleStream:
    """Made live, or from the build in a folder."""
    built = Store(folder, parts, LAYOUT) if folder else None
    return packed_examples(Words(ROOM), encoder(limits), index, window=LAYOUT.window, built=built)


def as_lists(rows: list[list[Encoded]]) -> list[list[tuple[list[int], list[int], int]]]:
    return [
        [(example.input_ids.tolist(), example.target_ids.tolist(), example.truncated) for example in row]
        for row in rows
    ]


def rows_of_plan(plan: ExampleStream, rows: int) -> list[Any]:
    """Everything that a plan tells of its first rows."""
    listed = as_lists(plan.sequences(0, rows))
    index = plan.index(rows)
    return [
        listed,
        [window.origins(number) for window, number in plan.locate(0, rows)],
        [window.positions(number) for window, number in plan.locate(0, rows)],
        index,
        [plan.counts(number) for number in range(len(index))],
    ]


ROWS = sum(len(plan_of().window(number)) for number in range(WINDOWS)) + 30
"""All rows of the build, and some of the windows behind it."""


@cache
def live_rows(limits: Limits = LIMITS) -> list[Any]:
    return rows_of_plan(plan_of(limits=limits), ROWS)


EXPECTED = live_rows()[0]


def bytes_by_name(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".lock" not in path.name
    }
