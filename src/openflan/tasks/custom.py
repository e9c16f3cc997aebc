"""A user's own rows: JSON lines, Parquet or Arrow; their columns say of which kind they are.

Rows are already worded (`inputs`, `targets`), or fields for wordings (`question`, `answer`, ...), or
conversations (`messages`). Files whose columns are those of a public collection are read as that collection.
Every row is converted once when its task is opened, so that a bad row is reported before any training, and
again when it is drawn, which keeps memory constant.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.tasks.chat import MESSAGES, chat_row
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.natural_instructions_rows import COLUMNS as NATURAL_INSTRUCTIONS
from openflan.tasks.natural_instructions_rows import find_tasks_in_rows
from openflan.tasks.ready_made import TEMPLATE_TYPES, WORDED, find_styles_in_rows
from openflan.tasks.records import Joined, JsonRecords, Record, Records
from openflan.tasks.rows import BadRow, EmptyTarget, MissingTarget, checked_rows, listed
from openflan.tasks.saved import is_saved, saved_files
from openflan.tasks.splits import choose, training_files
from openflan.tasks.table_files import columns_of, open_table
from openflan.tasks.task import LIST_FIELDS, Opener, Row, Task, name_of, one_file_each

TARGET_FIELDS = ("targets", "answer")

_COLLECTION_MARKS = tuple(f'"{name}"'.encode() for name in ("task_name", *TEMPLATE_TYPES))
"""The columns of every JSON-lines file that is a part of a public collection."""


def custom_row(record: Record) -> Row:
    """A record as it is, numbers as texts (see `number_text`), without the fields that are null.

    `options` may also be an object: one that has a list `text` (the form of many public sets) stands for this
    list, one of texts for its values. Raises BadRow for values that are no texts (or lists of them, where
    lists belong), and an answer that is not among the options; EmptyTarget for an empty answer and
    MissingTarget for none.
    """
    row: dict[str, str | list[str]] = {}
    for name, value in record.items():
        if type(value) is str and name not in LIST_FIELDS:
            row[name] = value
        elif value is not None and not (isinstance(value, float) and not math.isfinite(value)):
            row[name] = _value(name, value)
    for name in TARGET_FIELDS:
        if name in row and not str(row[name]).strip():
            raise EmptyTarget(name)
        if name in record and name not in row:
            raise MissingTarget(name)
    if row.keys().isdisjoint(TARGET_FIELDS):
        raise MissingTarget("targets" if "inputs" in record else "answer")
    if "options" in row and "answer" in row and row["answer"] not in row["options"]:
        raise BadRow(f"the answer `{row['answer']}` is not among its options {row['options']}")
    return row


def number_text(value: int | float) -> str:
    """A finite number as people write it: `3` for 3.0, `0.1`, `0.00001`; beyond 21 places before or 10 after
    the point with an exponent."""
    if isinstance(value, int):
        return str(value)
    if value == 0:
        return "0"
    text = repr(value)
    if not 1e-10 <= abs(value) < 1e21:
        return text.replace("e+", "e")
    text = format(Decimal(text), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def find_jsonl(data: Path, submixture: str) -> dict[str, Opener]:
    """One task a file, named `submixture/stem`; `data` is a JSONL file or a folder of them (or of a hub copy
    with its `train` folder)."""
    files = jsonl_files(data)
    columns_in = {file: _collection_columns(file) for file in files}
    collection = [file for file in files if columns_in[file] >= NATURAL_INSTRUCTIONS]
    openers: dict[str, Opener] = {}
    if collection:
        openers = find_tasks_in_rows(Joined([JsonRecords(file) for file in collection]), submixture)
    for name, file in one_file_each(
        [file for file in files if file not in collection], lambda file: name_of(submixture, file.stem)
    ).items():
        if name in openers:
            raise InputError(
                f"{file}: its task would be named `{name}`, as one of those in {collection[0].name}; "
                "rename the file"
            )
        openers |= find_rows(partial(JsonRecords, file), columns_in[file], file.stem, submixture)
    return openers


def find_table(files: Sequence[Path], stem: str, submixture: str) -> dict[str, Opener]:
    """One task for all `files` (Parquet or Arrow shards of one table), named `submixture/stem`, or those of a
    collection that they hold."""
    return find_rows(
        lambda: ColumnRecords([open_table(file) for file in files]), columns_of(files), stem, submixture
    )


def find_parquet(data: Path, submixture: str) -> dict[str, Opener]:
    """The task of a Parquet file, or of a folder of its shards (or of a hub copy with its `data` folder)."""
    return find_table(training_files(data, ".parquet"), data.name if data.is_dir() else data.stem, submixture)


def find_arrow(data: Path, submixture: str) -> dict[str, Opener]:
    """The task of an Arrow file, of a folder of its shards, or of a data set that `save_to_disk` wrote."""
    files = saved_files(data) if is_saved(data) else training_files(data, ".arrow")
    return find_table(files, data.name if data.is_dir() else data.stem, submixture)


def find_rows(
    records: Callable[[], Records], columns: frozenset[str], stem: str, submixture: str
) -> dict[str, Opener]:
    """The openers of the tasks in rows with such columns: tasks of a public collection, or one task named
    `submixture/stem`."""
    if columns >= NATURAL_INSTRUCTIONS:
        return find_tasks_in_rows(records(), submixture)
    if columns >= WORDED and not columns.isdisjoint(TEMPLATE_TYPES):
        return find_styles_in_rows(records(), submixture)
    return {name_of(submixture, stem): partial(_open, records, stem, submixture)}


def jsonl_files(data: Path) -> list[Path]:
    """The JSONL files to train on; collections of instructions train on those in `test` too, as the paper
    does. Raises as `training_files` does."""
    chosen = choose(data, ".jsonl")
    further: list[Path] = []
    if (
        chosen.files
        and chosen.files[0].parent.name == "train"
        and _collection_columns(chosen.files[0]) >= NATURAL_INSTRUCTIONS
    ):
        further = [file for file in chosen.aside if file.parent.name == "test" and file.suffix == ".jsonl"]
    return [*training_files(data, ".jsonl", also=further), *further]


def _open(records: Callable[[], Records], stem: str, submixture: str) -> Task:
    source = records()
    columns = _columns(source)
    worded = not columns.isdisjoint(TARGET_FIELDS)
    if not worded and MESSAGES not in columns:
        raise InputError(
            f"{source.place(0)}: found the fields {listed(columns) or 'of no kind that openflan reads'}; "
            "expected inputs and targets, `messages`, "
            f"or fields for wordings with an `answer`{_renaming(columns)}"
        )
    checked = checked_rows(source, custom_row if worded else chat_row)
    return Task(
        name_of(submixture, stem),
        checked.rows,
        checked.fields,
        dataset=stem,
        category="own data",
        finished=not worded,
        lacking=checked.lacking,
    )


def _columns(source: Records) -> frozenset[str]:
    """The fields of all rows, but of JSON lines only as many as it takes to meet a target."""
    if isinstance(source, ColumnRecords):
        return frozenset(source.columns)
    columns: set[str] = set()
    for record in source:
        columns |= record.keys()
        if not columns.isdisjoint(TARGET_FIELDS):
            break
    return frozenset(columns)


def _collection_columns(file: Path) -> frozenset[str]:
    """The fields of a JSONL file's rows, all of them if it may be a file of a public collection; none if it
    cannot be read, which is said when it is opened. A file in which no name of such a field occurs is none,
    which is known without reading its rows."""
    try:
        records = JsonRecords(file)
        columns = frozenset(records[0])
        if _is_collection(columns) or not records.holds(_COLLECTION_MARKS):
            return columns
        for record in records:
            columns |= record.keys()
            if _is_collection(columns):
                break
        return columns
    except InputError:
        return frozenset()


def _is_collection(columns: frozenset[str]) -> bool:
    return columns >= NATURAL_INSTRUCTIONS or (columns >= WORDED and not columns.isdisjoint(TEMPLATE_TYPES))


def _value(name: str, value: Any) -> str | list[str]:
    if name in LIST_FIELDS:
        listed_values = _listed_values(value)
        if listed_values and all(isinstance(item, str) for item in listed_values):
            return listed_values
        raise BadRow(
            f"`{name}` must be a list of texts; found "
            f"{json.dumps(value, ensure_ascii=False, default=str)[:60]}"
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    kind = (
        "true or false" if isinstance(value, bool) else "a list" if isinstance(value, list) else "an object"
    )
    raise BadRow(f"`{name}` is {kind}; expected a text (only {' and '.join(LIST_FIELDS)} are lists)")


def _listed_values(value: Any) -> list[Any]:
    """The items of a list, or of an object that stands for one."""
    if isinstance(value, Mapping):
        texts = value.get("text")
        return texts if isinstance(texts, list) else [item for item in value.values() if item is not None]
    return value if isinstance(value, list) else []


def _renaming(fields: frozenset[str]) -> str:
    """A hint which field was probably meant as the answer; empty if none is near."""
    for target_field in TARGET_FIELDS:
        if nearest := difflib.get_close_matches(target_field, sorted(fields), n=1, cutoff=0.6):
            return f"; rename `{nearest[0]}` to `{target_field}`?"
    return ""
