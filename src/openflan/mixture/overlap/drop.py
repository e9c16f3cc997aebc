"""Drops the rows from training that a file of hits names (`openflan overlap --out`).

Rows are known by number and by a hash of their fields. A file that was made from other data is therefore
refused, and no wrong row is dropped. Hits of the kind `stock` drop nothing; other lines that should not count
can be deleted from the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from openflan.errors import InputError
from openflan.mixture.overlap.report import row_hash
from openflan.run_folder import read_jsonl
from openflan.tasks.subset import RowsWithout
from openflan.tasks.task import Task


class _NoOverlaps(RowsWithout):
    """The reason under which dropped rows are counted; rows that are left out for other reasons have their
    own."""


def without_overlaps(tasks: Mapping[str, Task], path: Path) -> dict[str, Task]:
    """Return the tasks without the rows that the hits in `path` name; hits of other tasks are ignored.

    Raises InputError if the file is missing or no file of hits, or if a row is not the one that was hit. It
    is also raised if the file has hits, but none of these tasks.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; `mixture.drop_overlaps` names a file that `openflan overlap --out` wrote"
        )
    dropped: dict[str, set[int]] = {}
    named: set[str] = set()
    for line_number, hit in enumerate(read_jsonl(path), start=1):
        location = f"{path}:{line_number}"
        name, row, digest = hit.get("task"), hit.get("row"), hit.get("row_hash")
        if not isinstance(name, str) or type(row) is not int or not isinstance(digest, str):
            raise InputError(
                f"{location}: not a hit; expected the keys task, row and row_hash, as `openflan overlap "
                "--out` writes them"
            )
        named.add(name)
        if name not in tasks or hit.get("kind") == "stock" or row in dropped.get(name, ()):
            continue
        rows = tasks[name].rows
        if not 0 <= row < len(rows) or row_hash(rows[row]) != digest:
            raise InputError(
                f"{location}: row {row} of {name} is not the one that was hit: its data changed since; run "
                f"`openflan overlap --out {path}` again"
            )
        dropped.setdefault(name, set()).add(row)
    if named and named.isdisjoint(tasks):
        raise InputError(
            f"{path}: names none of the mixture's tasks, but {', '.join(sorted(named)[:3])}; make it "
            "from this recipe with `openflan overlap`"
        )
    return {
        name: replace(task, rows=_NoOverlaps(task.rows, dropped[name])) if name in dropped else task
        for name, task in tasks.items()
    }


def dropped_rows(task: Task) -> int:
    """Return the number of rows of a task that `without_overlaps` left out."""
    rows = task.rows
    while isinstance(rows, RowsWithout):
        if isinstance(rows, _NoOverlaps):
            return rows.dropped
        rows = rows.rows
    return 0
