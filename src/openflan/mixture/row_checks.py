"""What looks wrong with a user's own rows before training: near-duplicates, the same inputs with different
targets, and rows that are far longer than the others.

Nothing is left out; the lines name rows, and their owner decides. The work is bounded: of all tasks together
the first 10,000 rows are looked at, and of each row the first 4,000 characters. Near-duplicates are found by
MinHash over runs of three words, and compared before they are counted.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from openflan.tasks.rows import place_of
from openflan.tasks.task import Row, Rows, Task

MOST_ROWS = 10_000
"""Rows that are looked at, of all tasks together."""

MOST_CHARACTERS = 4_000
"""Characters of a row that are compared with other rows."""

ALIKE = 0.9
"""The share of their runs of three words that two rows must have in common to be near-duplicates."""

OUTLIER, LEAST_OUTLIER = 10, 200
"""A row is an outlier if it has more characters than ten times the median, and more than 200."""

MOST_NAMED = 3
"""Rows, or pairs of rows, that a line names."""

_BANDS, _ROWS_OF_BAND = 8, 4
_MOST_COMPARED = 16
_PUNCTUATION = re.compile(r"[.,;:!?\"'()\[\]“”‘’«»…]")
_TARGETS = ("targets", "answer")


@dataclass(frozen=True, slots=True)
class RowChecks:
    """What was found among the first `looked_at` rows of a task. Rows are numbers from 0.

    `near_duplicates` are pairs of a row and the earlier one that it is like, `conflicts` pairs of a row and
    the first one with the same inputs and other targets, and `outliers` rows with their number of
    characters, of which `median` is the median.
    """

    looked_at: int
    near_duplicates: tuple[tuple[int, int], ...] = ()
    conflicts: tuple[tuple[int, int], ...] = ()
    outliers: tuple[tuple[int, int], ...] = ()
    median: int = 0


def row_check_lines(tasks: Iterable[Task]) -> list[str]:
    """The lines about the tasks of a user's own rows; none where nothing was found."""
    own = [task for task in tasks if task.form is not None]
    left, lines = MOST_ROWS, []
    for task in own:
        if left <= 0:
            break
        checks = check_rows(task.rows, left)
        left -= checks.looked_at
        lines += [f"{task.name}: {text}" for text in _texts(task, checks)]
    return lines


def check_rows(rows: Rows, most: int = MOST_ROWS) -> RowChecks:
    """Looks at the first `most` rows of a task."""
    count = min(len(rows), most)
    first_of_inputs: dict[str, tuple[int, str]] = {}
    alike, near, conflicts, lengths = _Alike(), list[tuple[int, int]](), list[tuple[int, int]](), list[int]()
    for number in range(count):
        inputs, targets = _sides(rows[number])
        lengths.append(len(inputs) + len(targets))
        inputs, targets = " ".join(inputs.split()), " ".join(targets.split())
        first, its_targets = first_of_inputs.setdefault(inputs.casefold(), (number, targets))
        if its_targets != targets:
            conflicts.append((number, first))
            continue
        earlier = alike.add(number, f"{inputs} {targets}"[:MOST_CHARACTERS])
        if earlier is not None:
            near.append((number, earlier))
    median = int(np.median(lengths)) if lengths else 0
    limit = max(OUTLIER * median, LEAST_OUTLIER)
    outliers = tuple((number, length) for number, length in enumerate(lengths) if length > limit)
    return RowChecks(count, tuple(near), tuple(conflicts), outliers, median)


def _texts(task: Task, checks: RowChecks) -> list[str]:
    def named(pairs: Sequence[tuple[int, int]], how: str) -> str:
        texts = [f"{_place(task, row)} {how} {_place(task, other)}" for row, other in pairs[:MOST_NAMED]]
        return ", ".join(texts) + (", ..." if len(pairs) > MOST_NAMED else "")

    texts = []
    if checks.near_duplicates:
        texts.append(
            f"{_rows(checks.near_duplicates, 'is', 'are')} nearly the same as an earlier one "
            f"({named(checks.near_duplicates, 'as')}); remove them if they are not meant"
        )
    if checks.conflicts:
        texts.append(
            f"{_rows(checks.conflicts, 'has', 'have')} the same inputs as an earlier one, but other targets "
            f"({named(checks.conflicts, 'and')})"
        )
    if checks.outliers:
        longest = sorted(checks.outliers, key=lambda outlier: -outlier[1])[:MOST_NAMED]
        names = ", ".join(f"{_place(task, row)}: {length:,}" for row, length in longest)
        more = ", ..." if len(checks.outliers) > MOST_NAMED else ""
        texts.append(
            f"{_rows(checks.outliers, 'is', 'are')} more than {OUTLIER} times as long as the median of "
            f"{checks.median:,} characters ({names}{more})"
        )
    if texts and checks.looked_at < len(task.rows):
        texts[-1] += f"; the first {checks.looked_at:,} of {len(task.rows):,} rows were looked at"
    return texts


def _rows(found: Sequence[object], one: str, several: str) -> str:
    return f"1 row {one}" if len(found) == 1 else f"{len(found):,} rows {several}"


def _place(task: Task, row: int) -> str:
    """File and row, without the folders."""
    return place_of(task.rows, row, task.name).rpartition("/")[2]


def _sides(row: Row) -> tuple[str, str]:
    """What a row asks and what it is to learn, as texts."""
    target = next((name for name in _TARGETS if name in row), "")
    asked = ("inputs",) if "inputs" in row else ("question", "options") if "question" in row else None
    names = asked or tuple(name for name in sorted(row) if name not in (target, "rationale"))
    texts = [row[name] for name in names if name in row]
    inputs = "\n".join(text if isinstance(text, str) else "\n".join(text) for text in texts)
    return inputs, str(row.get(target, ""))


@dataclass(slots=True)
class _Alike:
    """Finds the earlier text that a text is like."""

    _exact: dict[str, int] = field(default_factory=dict)
    _buckets: dict[tuple[int, bytes], list[int]] = field(default_factory=dict)
    _runs: dict[int, NDArray[np.uint32]] = field(default_factory=dict)

    def add(self, number: int, text: str) -> int | None:
        """Takes a text; returns the number of the earlier one that it is like, or None."""
        words = _PUNCTUATION.sub(" ", text.casefold()).split()
        first = self._exact.setdefault(" ".join(words), number)
        if first != number:
            return first
        runs = _runs_of(words)
        signature = _signature(runs)
        keys = [
            (band, signature[band * _ROWS_OF_BAND : (band + 1) * _ROWS_OF_BAND].tobytes())
            for band in range(_BANDS)
        ]
        candidates = dict.fromkeys(
            earlier for key in keys for earlier in self._buckets.get(key, ())[:_MOST_COMPARED]
        )
        for earlier in candidates:
            if _jaccard(runs, self._runs[earlier]) >= ALIKE:
                return earlier
        self._runs[number] = runs
        for key in keys:
            self._buckets.setdefault(key, []).append(number)
        return None


def _runs_of(words: Sequence[str]) -> NDArray[np.uint32]:
    """The hashes of all runs of three words, each once, ascending; of a shorter text that of the whole."""
    runs = {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}
    return np.unique(np.array([zlib.crc32(run.encode("utf-8", "replace")) for run in runs], dtype=np.uint32))


def _factors() -> NDArray[np.uint64]:
    """Odd factors, one for each hash of a signature: powers of the multiplier of a known generator."""
    powers = [pow(6364136223846793005, power, 1 << 64) for power in range(1, _BANDS * _ROWS_OF_BAND + 1)]
    return np.array(powers, dtype=np.uint64)


_FACTORS_S = _factors()


def _signature(runs_R: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """The MinHash of some runs (R,), shape (S,)."""
    products_SR = _FACTORS_S[:, None] * (runs_R.astype(np.uint64) + np.uint64(1))[None, :]
    least_S: NDArray[np.uint64] = (products_SR >> np.uint64(32)).min(axis=1)
    return least_S


def _jaccard(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> float:
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / (len(left) + len(right) - common)
