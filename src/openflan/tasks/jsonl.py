"""A user's own rows: JSON lines, either already worded (`inputs`, `targets`) or fields for wordings.

Every line is parsed once when the file is opened, so that a bad row is named before any training; rows are parsed again when they are drawn, which
keeps memory constant.
"""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.tasks.lines import Lines
from openflan.tasks.task import Row, Task

TARGET_FIELDS = ("targets", "answer")
LIST_FIELDS = ("options", "references")


class JsonlRows:
    """The rows of a JSONL file; `fields` are those that every row has."""

    def __init__(self, path: Path) -> None:
        """Raises InputError naming file and line for a row that is not a JSON object of texts, lacks a field of the first row, or has an empty
        answer."""
        self._lines = Lines(path)
        self.fields = frozenset(self._parse(0))
        if not self.fields.intersection(TARGET_FIELDS):
            raise InputError(
                f"{self._lines.place(0)}: found the fields {_listed(self.fields)}; expected inputs and targets, or fields for wordings with an `answer`"
                f"{_renaming(self.fields)}"
            )
        for index in range(len(self._lines)):
            self._check(index)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> Row:
        return self._parse(index)

    def _check(self, index: int) -> None:
        row = self._parse(index)
        missing = self.fields - row.keys()
        if missing:
            raise InputError(f"{self._lines.place(index)}: lacks {_listed(missing)}, which the first row has; {index:,} rows before it are fine")
        for name in TARGET_FIELDS:
            if name in row and not str(row[name]).strip():
                raise InputError(f"{self._lines.place(index)}: empty `{name}`; there is nothing to learn from it, remove the row")
        options = row.get("options")
        if options is not None and "answer" in row and row["answer"] not in options:
            raise InputError(f"{self._lines.place(index)}: the answer `{row['answer']}` is not among its options {options}")

    def _parse(self, index: int) -> dict[str, str | list[str]]:
        try:
            row = json.loads(self._lines[index])
        except json.JSONDecodeError as error:
            raise InputError(f"{self._lines.place(index)}: not valid JSON: {error.msg} (column {error.colno})") from None
        if not isinstance(row, dict) or not row:
            raise InputError(f'{self._lines.place(index)}: expected a JSON object such as {{"inputs": ..., "targets": ...}}')
        return {name: self._value(name, value, index) for name, value in row.items()}

    def _value(self, name: str, value: Any, index: int) -> str | list[str]:
        if name in LIST_FIELDS:
            if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
                return value
            raise InputError(f"{self._lines.place(index)}: `{name}` must be a list of texts; found {json.dumps(value, ensure_ascii=False)[:60]}")
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        kind = "null" if value is None else "true or false" if isinstance(value, bool) else "a list" if isinstance(value, list) else "an object"
        raise InputError(f"{self._lines.place(index)}: `{name}` is {kind}; expected a text (only {' and '.join(LIST_FIELDS)} are lists)")


def jsonl_tasks(path: Path, submixture: str) -> dict[str, Task]:
    """One task a file, named `submixture/stem`; `path` is a JSONL file or a folder of them."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: no .jsonl files in this folder")
    tasks: dict[str, Task] = {}
    for file in files:
        rows = JsonlRows(file)
        stem = re.sub(r"[^A-Za-z0-9_.\-]", "_", file.stem)
        task = Task(f"{submixture}/{stem}", rows, rows.fields, dataset=file.stem, category="own data")
        if task.name in tasks:
            raise InputError(f"{file}: its task would be named `{task.name}`, as that of {tasks[task.name].dataset}.jsonl; rename one of the files")
        tasks[task.name] = task
    return tasks


def _renaming(fields: frozenset[str]) -> str:
    """Which field was probably meant as the answer."""
    for wanted in TARGET_FIELDS:
        if nearest := difflib.get_close_matches(wanted, sorted(fields), n=1, cutoff=0.6):
            return f"; rename `{nearest[0]}` to `{wanted}`?"
    return ""


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
