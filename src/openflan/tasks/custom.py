"""Where a user's own rows lie: a file or a folder of them, in any kind of file, and the splits of each task.

Each text file (JSON lines, a JSON array, CSV, TSV) is a task, named after it; all tables of a folder
(Parquet, Arrow) are shards of one task, named after the folder. Files that differ in the split that their
names say are one task: its training rows are trained on, and its validation and test rows can be opened
beside them. Files whose fields are those of a public collection are read as that collection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from openflan.errors import InputError
from openflan.tasks.formats.reading import AS_IT_IS, Reading
from openflan.tasks.natural_instructions_rows import COLUMNS as NATURAL_INSTRUCTIONS
from openflan.tasks.natural_instructions_rows import find_tasks_in_rows
from openflan.tasks.own_rows import open_own_rows, records_of
from openflan.tasks.ready_made import TEMPLATE_TYPES, WORDED, find_styles_in_rows
from openflan.tasks.records import Joined, JsonRecords, Records
from openflan.tasks.row_files import JSONL, KINDS, TABLES, kind_of, stem_of
from openflan.tasks.saved import is_saved, saved_files, saved_splits
from openflan.tasks.splits import (
    Split,
    choose,
    split_of,
    split_of_file,
    topic_of,
    training_files,
)
from openflan.tasks.table_files import columns_of
from openflan.tasks.task import Opener, Task, name_of

_COLLECTION_MARKS = tuple(f'"{name}"'.encode() for name in ("task_name", *TEMPLATE_TYPES))
"""The columns of every JSON-lines file that is a part of a public collection."""

_OTHERS: tuple[Split, ...] = ("validation", "test")


def find_own(data: Path, submixture: str, reading: Reading = AS_IT_IS) -> dict[str, Opener]:
    """The tasks of a file or folder of rows, named `submixture/NAME`, or those of a public collection that
    its columns show. `reading` says how the rows are to be read; then they are no public collection.

    Raises InputError for a folder without rows to train on, and for two files that would give one task.
    """
    if is_saved(data):
        return _find_table(saved_files(data), data.absolute().name, submixture, reading, saved_splits(data))
    files = row_files(data)
    openers: dict[str, Opener] = {}
    rest = files
    if not reading.is_given:
        openers, rest = _of_collection(files, submixture)
    named = _by_task(data, rest, submixture)
    aside = _aside_by_task(data, named, submixture)
    for name, group in named.items():
        if name in openers:
            raise InputError(
                f"{group[0]}: its task would be named `{name}`, as one of those in "
                f"{next(file for file in files if file not in rest).name}; rename the file"
            )
        stem = name.partition("/")[2]
        if kind_of(group[0]) in TABLES:
            openers |= _find_table(group, stem, submixture, reading, aside.get(name, {}))
        else:
            openers[name] = _opener(group, name, stem, reading, aside.get(name, {}))
    return openers


def find_rows(
    records: Callable[[], Records],
    columns: frozenset[str],
    stem: str,
    submixture: str,
    reading: Reading = AS_IT_IS,
) -> dict[str, Opener]:
    """The openers of the tasks in public rows with such columns: tasks of a public collection, or one task
    named `submixture/stem`."""
    if not reading.is_given and _is_collection(columns):
        return _collection_tasks(records(), columns, submixture)
    name = name_of(submixture, stem)
    return {name: partial(open_own_rows, records, name, stem, reading, is_public=True)}


def row_files(data: Path) -> list[Path]:
    """The files to train on; collections of instructions train on those in `test` too, as the paper does.
    Raises as `training_files` does."""
    chosen = choose(data)
    further: list[Path] = []
    if (
        chosen.files
        and chosen.files[0].parent.name == "train"
        and _collection_columns(chosen.files[0]) >= NATURAL_INSTRUCTIONS
    ):
        further = [file for file in chosen.aside if file.parent.name == "test" and kind_of(file) == "jsonl"]
    return [*training_files(data, (*KINDS.values(),), also=further), *further]


def jsonl_files(data: Path) -> list[Path]:
    """The JSON-lines files to train on. Raises as `training_files` does."""
    return training_files(data, JSONL)


def task_of_split(task: Task, split: str) -> Task:
    """The rows of another split of a task of a user's own rows (`validation`, `test`), as a task of its own.

    `openflan evaluate` and `mixture.validation: split` use them; nothing else trains on them or shows them.
    Raises InputError if the task has no such split, with those that it has, and for its broken rows.
    """
    if split not in task.splits:
        there = ", ".join(task.splits) or "none"
        raise InputError(
            f"{task.name} has no rows of a split `{split}` (other splits: {there}); name a file such as "
            f"{split}.jsonl beside its training rows"
        )
    return task.splits[split]()


def _opener(
    files: Sequence[Path],
    name: str,
    stem: str,
    reading: Reading,
    splits: Mapping[Split, Sequence[Path]],
) -> Opener:
    others: dict[str, Opener] = {
        split: partial(
            open_own_rows, partial(records_of, of_split, reading), name, stem, reading, split=split
        )
        for split, of_split in splits.items()
    }
    return partial(open_own_rows, partial(records_of, files, reading), name, stem, reading, others)


def _find_table(
    files: Sequence[Path],
    stem: str,
    submixture: str,
    reading: Reading,
    splits: Mapping[Split, Sequence[Path]],
) -> dict[str, Opener]:
    """The task of some shards of one table, or those of a collection that they hold."""
    columns = columns_of(files)
    if not reading.is_given and _is_collection(columns):
        return _collection_tasks(records_of(files), columns, submixture)
    name = name_of(submixture, stem)
    return {name: _opener(files, name, stem, reading, splits)}


def _of_collection(files: list[Path], submixture: str) -> tuple[dict[str, Opener], list[Path]]:
    """The tasks of a collection in JSON-lines files, and the files that are none of it."""
    columns_in = {file: _collection_columns(file) for file in files if kind_of(file) == "jsonl"}
    instructions = [file for file, columns in columns_in.items() if columns >= NATURAL_INSTRUCTIONS]
    openers: dict[str, Opener] = {}
    if instructions:
        openers = find_tasks_in_rows(Joined([JsonRecords(file) for file in instructions]), submixture)
    rest = [file for file in files if file not in instructions]
    for file in [file for file in rest if _is_collection(columns_in.get(file, frozenset()))]:
        openers |= find_styles_in_rows(JsonRecords(file), submixture)
        rest.remove(file)
    return openers, rest


def _collection_tasks(records: Records, columns: frozenset[str], submixture: str) -> dict[str, Opener]:
    find = find_tasks_in_rows if columns >= NATURAL_INSTRUCTIONS else find_styles_in_rows
    return find(records, submixture)


def _by_task(data: Path, files: Sequence[Path], submixture: str) -> dict[str, list[Path]]:
    """The files of each task, by its name. Raises InputError for two files of one name that are not shards of
    the same training rows."""
    named: dict[str, list[Path]] = {}
    for file in files:
        group = named.setdefault(_task_name(data, file, submixture), [])
        if group and not _are_shards(group[0], file):
            name = _task_name(data, file, submixture)
            raise InputError(
                f"{file}: its task would be named `{name}`, as that of {group[0].name}; rename one of the "
                "files, or name one of them itself"
            )
        group.append(file)
    return named


def _task_name(data: Path, file: Path, submixture: str) -> str:
    """The name of a file's task: the file's without its split, or the folder's where nothing else is left or
    the file is a table."""
    if not data.is_dir():
        return name_of(submixture, stem_of(file))
    topic = "" if kind_of(file) in TABLES else topic_of(file)
    return name_of(submixture, topic or data.absolute().name)


def _are_shards(first: Path, other: Path) -> bool:
    if kind_of(first) in TABLES:
        return kind_of(first) == kind_of(other)
    return (
        kind_of(first) == kind_of(other)
        and first.parent == other.parent
        and split_of(first.name) is not None
        and split_of(first.name) == split_of(other.name)
    )


def _aside_by_task(
    data: Path, named: Mapping[str, Sequence[Path]], submixture: str
) -> dict[str, dict[Split, list[Path]]]:
    """The files of other splits that belong to each task: by its name, or to the only task of a folder."""
    if not data.is_dir() or not named:
        return {}
    aside: dict[str, dict[Split, list[Path]]] = {}
    for file in choose(data).aside:
        split = split_of_file(data, file)
        name = _task_name(data, file, submixture)
        owner = name if name in named else next(iter(named)) if len(named) == 1 else None
        if owner is None or split not in _OTHERS:
            continue
        group = aside.setdefault(owner, {}).setdefault(split, [])
        if not group or kind_of(group[0]) == kind_of(file):
            group.append(file)
    return aside


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
