"""The records of a source: objects with named values, by index, not yet converted to rows.

A reader turns each into a `Row` when it is drawn, so nothing but positions stays in memory. `place` says
the file and line or row of a record, for messages.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from openflan.errors import InputError
from openflan.json_files import parse_json
from openflan.tasks.digest import digest_of, joined
from openflan.tasks.lines import Lines

Record: TypeAlias = Mapping[str, Any]

LONG = 200_000
"""Records from which on a pass over a source shows its progress; smaller ones take about a second."""


class Records(Protocol):
    """Records by index; iterating reads them all in order, once, without filling any cache."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Record: ...

    def __iter__(self) -> Iterator[Record]: ...

    def place(self, index: int) -> str: ...


class JsonRecords:
    """The objects of a JSONL file, which may be compressed; a value that is NaN or infinite is missing, thus
    null. Blank lines are no records."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that is missing, or holds no line that is not blank; a line that is no
        JSON object is refused when it is read, with its number."""
        self._lines = Lines(path)
        blank = self._lines.blank()
        # A record moves by the number of blank lines before it, as in `subset.RowsWithout`.
        self._before = [line - number for number, line in enumerate(blank)]
        if len(self) == 0:
            raise InputError(f"{path}: nothing but blank lines; expected one JSON object a line")

    def holds(self, marks: Sequence[bytes]) -> bool:
        """Whether any of some byte strings occurs in the file."""
        return self._lines.holds(marks)

    def __len__(self) -> int:
        return len(self._lines) - len(self._before)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return json_record(self._lines[self._line(index)], self.place(index))

    def __iter__(self) -> Iterator[Record]:
        index = 0
        for line in self._lines:
            if not self._before or line.strip():
                yield json_record(line, self.place(index))
                index += 1

    def place(self, index: int) -> str:
        return self._lines.place(self._line(index))

    def digest(self) -> bytes:
        return self._lines.digest()

    def _line(self, index: int) -> int:
        return index + bisect_right(self._before, index) if self._before else index


def json_record(text: str | bytes, place: str) -> Record:
    """The object of a JSON text, values that are NaN or infinite as null. Raises InputError that begins with
    `place` for anything but an object with a name in it."""
    record = parse_json(text, place)
    if not isinstance(record, dict) or not record:
        raise InputError(f'{place}: expected a JSON object such as {{"inputs": ..., "targets": ...}}')
    for name, value in record.items():
        if type(value) is float and not math.isfinite(value):
            record[name] = None
    return record


class Joined:
    """Several sources, one after the other."""

    def __init__(self, parts: Sequence[Records]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(len(part) for part in parts)]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Record:
        part, within = self._find(index)
        return part[within]

    def __iter__(self) -> Iterator[Record]:
        for part in self._parts:
            yield from part

    def place(self, index: int) -> str:
        part, within = self._find(index)
        return part.place(within)

    def digest(self) -> bytes | None:
        return joined("one after another", map(digest_of, self._parts))

    def _find(self, index: int) -> tuple[Records, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part_index = bisect_right(self._starts, index) - 1
        return self._parts[part_index], index - self._starts[part_index]


class SelectedRecords:
    """Some of a source's records, by their positions (4 bytes each)."""

    def __init__(self, records: Records, positions: array[int]) -> None:
        self._records = records
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> Record:
        return self._records[self._position(index)]

    def __iter__(self) -> Iterator[Record]:
        return (self._records[position] for position in self._positions)

    def place(self, index: int) -> str:
        return self._records.place(self._position(index))

    def digest(self) -> bytes | None:
        return joined("chosen", [digest_of(self._records), self._positions.tobytes()])

    def _position(self, index: int) -> int:
        if not 0 <= index < len(self._positions):
            raise IndexError(index)
        return self._positions[index]


def watched(records: Records) -> Iterator[Record]:
    """All records in order, with a progress bar on standard error for a long source, on a terminal only."""
    if len(records) < LONG:
        return iter(records)
    from tqdm import tqdm

    label = re.split(r"[:,]", records.place(0).rpartition("/")[2])[0]
    return iter(
        tqdm(
            records,
            total=len(records),
            desc=f"checking {label}",
            unit=" rows",
            unit_scale=True,
            delay=2,
            disable=None,
            leave=False,
        )
    )
