"""A user's own rows: JSON lines, Parquet or Arrow, told apart by their columns.

Rows are already worded (`inputs`, `targets`), or fields for wordings (`question`, `answer`, ...), or conversations (`messages`). Files whose columns
are those of a public collection are read as that collection. Every row is converted once when its task is opened, so that a bad one is named before
any training, and again when it is drawn, which keeps memory constant.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.tasks.chat import MESSAGES, chat_row
from openflan.tasks.columns import ColumnRecords, columns_of, part_of, saved_files
from openflan.tasks.natural_instructions_rows import COLUMNS as NATURAL_INSTRUCTIONS
from openflan.tasks.natural_instructions_rows import find_tasks_in_rows
from openflan.tasks.ready_made import TEMPLATE_TYPES, WORDED, find_styles_in_rows
from openflan.tasks.records import Joined, JsonRecords, Record, Records
from openflan.tasks.rows import BadRow, EmptyTarget, checked_rows, listed
from openflan.tasks.task import LIST_FIELDS, Opener, Row, Task, name_of, one_file_each

TARGET_FIELDS = ("targets", "answer")


def own_row(record: Record) -> Row:
    """A record as it is, numbers as texts.

    Raises BadRow for values that are no texts (or lists of them, where lists belong), an empty answer, and one that is not among the options.
    """
    row = {name: value if type(value) is str and name not in LIST_FIELDS else _value(name, value) for name, value in record.items()}
    for name in TARGET_FIELDS:
        if name in row and not str(row[name]).strip():
            raise EmptyTarget(name)
    if "options" in row and "answer" in row and row["answer"] not in row["options"]:
        raise BadRow(f"the answer `{row['answer']}` is not among its options {row['options']}")
    return row


def find_jsonl(data: Path, submixture: str) -> dict[str, Opener]:
    """One task a file, named `submixture/stem`; `data` is a JSONL file or a folder of them (or of a hub copy with its `train` folder)."""
    files = jsonl_files(data)
    collection = [file for file in files if _first_columns(file) >= NATURAL_INSTRUCTIONS]
    found: dict[str, Opener] = {}
    if collection:
        found = find_tasks_in_rows(Joined([JsonRecords(file) for file in collection]), submixture)
    for name, file in one_file_each([file for file in files if file not in collection], lambda file: name_of(submixture, file.stem)).items():
        columns = _first_columns(file)
        if name in found:
            raise InputError(f"{file}: its task would be named `{name}`, as one of those in {collection[0].name}; rename the file")
        found |= find_rows(partial(JsonRecords, file), columns, file.stem, submixture)
    return found


def find_table(files: Sequence[Path], stem: str, submixture: str) -> dict[str, Opener]:
    """One task for all `files` (Parquet or Arrow shards of one table), named `submixture/stem`, or those of a collection that they hold."""
    return find_rows(lambda: ColumnRecords([part_of(file) for file in files]), columns_of(files[0]), stem, submixture)


def find_parquet(data: Path, submixture: str) -> dict[str, Opener]:
    """The task of a Parquet file, or of a folder of its shards (or of a hub copy with its `data` folder)."""
    return find_table(shards(data, ".parquet"), data.name if data.is_dir() else data.stem, submixture)


def find_arrow(data: Path, submixture: str) -> dict[str, Opener]:
    """The task of an Arrow file, of a folder of its shards, or of a data set that `save_to_disk` wrote."""
    saved = data.is_dir() and any((data / name).is_file() for name in ("state.json", "dataset_dict.json"))
    return find_table(saved_files(data) if saved else shards(data, ".arrow"), data.name if data.is_dir() else data.stem, submixture)


def find_rows(records: Callable[[], Records], columns: frozenset[str], stem: str, submixture: str) -> dict[str, Opener]:
    """What rows with such columns are: tasks of a public collection, or one task named `submixture/stem`."""
    if columns >= NATURAL_INSTRUCTIONS:
        return find_tasks_in_rows(records(), submixture)
    if columns >= WORDED and not columns.isdisjoint(TEMPLATE_TYPES):
        return find_styles_in_rows(records(), submixture)
    return {name_of(submixture, stem): partial(_open, records, stem, submixture)}


def jsonl_files(data: Path) -> list[Path]:
    """The JSONL files of a folder, or of its `data` or `train` folder; collections of instructions train on `test` too, as the paper does."""
    if not data.is_dir():
        return [data]
    for folder in (data, data / "data", data / "train"):
        if files := sorted(folder.glob("*.jsonl")):
            further = sorted((data / "test").glob("*.jsonl")) if folder.name == "train" and _first_columns(files[0]) >= NATURAL_INSTRUCTIONS else []
            return files + further
    raise InputError(f"{data}: no .jsonl files in this folder")


def shards(data: Path, suffix: str) -> list[Path]:
    """The files of one table in their order: a file, or the shards in a folder or its `data`, `train` or `default/train` folder. Where shards are named
    by their split (`train-...`, `test-...`), those of `train`."""
    if not data.is_dir():
        return [data]
    for folder in (data, data / "data", data / "train", data / "default" / "train"):
        if files := sorted(folder.glob(f"*{suffix}")):
            return [file for file in files if file.name.startswith("train")] or files
    raise InputError(f"{data}: no {suffix} files in this folder")


def _open(records: Callable[[], Records], stem: str, submixture: str) -> Task:
    source = records()
    columns = frozenset(source.columns if isinstance(source, ColumnRecords) else source[0])
    worded = not columns.isdisjoint(TARGET_FIELDS)
    if not worded and MESSAGES not in columns:
        raise InputError(
            f"{source.place(0)}: found the fields {listed(columns) or 'of no kind that openflan reads'}; expected inputs and targets, `messages`, "
            f"or fields for wordings with an `answer`{_renaming(columns)}"
        )
    rows, fields = checked_rows(source, own_row if worded else chat_row)
    return Task(name_of(submixture, stem), rows, fields, dataset=stem, category="own data", finished=not worded)


def _first_columns(file: Path) -> frozenset[str]:
    """The names in a file's first line; none if it cannot be read, which is said when the file is opened."""
    try:
        with file.open("rb") as lines:
            record = json.loads(lines.readline().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return frozenset(record) if isinstance(record, dict) else frozenset()


def _value(name: str, value: Any) -> str | list[str]:
    if name in LIST_FIELDS:
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return value
        raise BadRow(f"`{name}` must be a list of texts; found {json.dumps(value, ensure_ascii=False)[:60]}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    kind = "null" if value is None else "true or false" if isinstance(value, bool) else "a list" if isinstance(value, list) else "an object"
    raise BadRow(f"`{name}` is {kind}; expected a text (only {' and '.join(LIST_FIELDS)} are lists)")


def _renaming(fields: frozenset[str]) -> str:
    """Which field was probably meant as the answer."""
    for wanted in TARGET_FIELDS:
        if nearest := difflib.get_close_matches(wanted, sorted(fields), n=1, cutoff=0.6):
            return f"; rename `{nearest[0]}` to `{wanted}`?"
    return ""
