"""Rows of a task without some of them, or some of them only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from openflan.tasks.digest import digest_of, joined
from openflan.tasks.rows import place_of
from openflan.tasks.task import Row, Rows


class RowsWithout:
    """Rows without some of them; the others move up. Costs memory for what is left out, not for what
    stays."""

    def __init__(self, rows: Rows, dropped: set[int]) -> None:
        self.rows = rows
        # A row moves by the number of dropped ones before it: the j-th dropped row d has d - j kept ones
        # before it.
        self._before = [number - place for place, number in enumerate(sorted(dropped))]

    @property
    def dropped(self) -> int:
        """The number of rows left out."""
        return len(self._before)

    def __len__(self) -> int:
        return len(self.rows) - len(self._before)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.rows[index + bisect_right(self._before, index)]

    def place(self, index: int) -> str:
        """File and line or row of a row."""
        return place_of(self.rows, index + bisect_right(self._before, index), "")

    def digest(self) -> bytes | None:
        return joined("without", [digest_of(self.rows), repr(self._before).encode()])


class RowsOnly:
    """The rows of these numbers, in their order."""

    def __init__(self, rows: Rows, numbers: Iterable[int]) -> None:
        self._rows = rows
        self._numbers = sorted(numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Row:
        return self._rows[self._numbers[index]]

    def place(self, index: int) -> str:
        """File and line or row of a row."""
        return place_of(self._rows, self._numbers[index], "")

    def digest(self) -> bytes | None:
        return joined("only", [digest_of(self._rows), repr(self._numbers).encode()])
