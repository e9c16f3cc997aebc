"""The tasks of Muffin, from local copies of their data sets or from the hub.

A local copy is `FOLDER/NAME.jsonl`, `FOLDER/NAME.parquet` or a folder `FOLDER/NAME/` of shards, with the
columns of the hub's copy; NAME is the task's. Every record is converted once when its task is opened: those
that are unlabelled, cleaned away or broken are left out and counted. A data set of which no record can be
used, or that the hub no longer has, is left out, and the others go on.
"""

from __future__ import annotations

import re
import warnings
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path

from openflan.errors import InputError
from openflan.tasks.catalogue import catalogue
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.custom import jsonl_files
from openflan.tasks.hub import hub_records
from openflan.tasks.muffin.dataset import Dataset
from openflan.tasks.muffin.families import DATASETS
from openflan.tasks.public import Unusable, public, reason_of, usable
from openflan.tasks.records import Joined, JsonRecords, Record, Records, SelectedRecords
from openflan.tasks.rows import listed
from openflan.tasks.splits import training_files
from openflan.tasks.table_files import open_table
from openflan.tasks.task import Opener, Row, Task

MUFFIN = "muffin"

HALVES = {"mnli_matched": slice(0, None, 2), "mnli_mismatched": slice(1, None, 2)}
"""Two tasks of the collection train on the very same rows, which doubles their weight; here each has every
other one."""


def find_muffin(data: Path) -> dict[str, Opener]:
    """The tasks whose data sets lie in a folder, by name; none if the folder holds none of them."""
    openers: dict[str, Opener] = {}
    for name, dataset in DATASETS.items():
        paths = [
            path for path in (data / name, data / f"{name}.jsonl", data / f"{name}.parquet") if path.exists()
        ]
        if len(paths) > 1:
            raise InputError(
                f"{data}: holds {name} twice ({', '.join(path.name for path in paths)}); remove one of them"
            )
        if paths:
            openers[f"{MUFFIN}/{name}"] = public(
                partial(_open, dataset, partial(_records, paths[0]), HALVES.get(name, _window(dataset.split)))
            )
    return openers


def find_muffin_on_hub() -> dict[str, Opener]:
    """Every task whose data set is on the hub; nothing is fetched before a task is opened."""
    openers: dict[str, Opener] = {}
    for name, dataset in DATASETS.items():
        if dataset.hub is not None:
            records = partial(hub_records, f"hub:{dataset.hub}:{dataset.split}", raw=True)
            openers[f"{MUFFIN}/{name}"] = public(
                partial(_open, dataset, records, HALVES.get(name, slice(None)))
            )
    return openers


def _window(split: str) -> slice:
    """The records that `train[30200:60200]` names, of a file that holds the whole split; the hub's library
    cuts by itself."""
    bounds = re.search(r"\[(-?\d*):(-?\d*)\]$", split)
    return slice(*(int(bound) if bound else None for bound in bounds.groups())) if bounds else slice(None)


def _records(path: Path) -> Records:
    if path.suffix == ".parquet" or (path.is_dir() and not any(path.rglob("*.jsonl"))):
        return ColumnRecords([open_table(file) for file in training_files(path, ".parquet")], raw=True)
    return Joined([JsonRecords(file) for file in jsonl_files(path)])


def _open(dataset: Dataset, records: Callable[[], Records], window: slice = slice(None)) -> Task:
    source = records()
    if isinstance(source, ColumnRecords) and (
        missing := frozenset(dataset.columns) - frozenset(source.columns)
    ):
        needed, present = listed(frozenset(dataset.columns)), listed(frozenset(source.columns))
        raise InputError(
            f"{source.place(0)}: {dataset.name} needs the columns {needed}; found {present}, not "
            f"{listed(missing)}"
        )
    indices = _window_indices(source, window, dataset)
    chosen = source if len(indices) == len(source) else SelectedRecords(source, array("I", indices))
    convert = partial(_row, dataset)
    (group,) = usable(chosen, convert, lambda record: dataset.name).values()
    entry = catalogue()[f"{MUFFIN}/{dataset.name}"]
    further = frozenset(dataset.further)
    lacking = {name: number for name, number in sorted(group.partial.items()) if name in further}
    return Task(
        name=entry.name,
        rows=group.rows(chosen, convert),
        fields=frozenset(dataset.fields) | (group.fields & further) | lacking.keys(),
        lacking=tuple((name, chosen.place(number)) for name, number in lacking.items()),
        dataset=entry.dataset,
        category=entry.category,
        languages=entry.languages,
        licence=entry.licence,
        left_out=dict(group.excluded.counts),
    )


def _window_indices(source: Records, window: slice, dataset: Dataset) -> range:
    """The records in the window; all of a file that is too short to reach into it, as an excerpt has nothing
    to keep back."""
    indices = range(len(source))[window]
    if indices or not len(source):
        return indices
    warnings.warn(
        f"{source.place(0)}: {len(source):,} records of {dataset.name}, none in its window "
        f"{dataset.split}, so it is no whole split: all are used",
        stacklevel=3,
    )
    return range(len(source))


def _row(dataset: Dataset, record: Record) -> Row:
    """Raises Unusable for a record that the collection leaves out too, and for a broken one."""
    if missing := frozenset(dataset.columns) - record.keys():
        needed, present = listed(frozenset(dataset.columns)), listed(frozenset(map(str, record)))
        raise Unusable(
            f"{dataset.name} needs the columns {needed}; found {present}, not {listed(missing)}",
            f"lacks {listed(missing)}",
        )
    try:
        row = dataset.row(record)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Unusable(f"not a record of {dataset.name}: {error}", reason_of(error)) from None
    if row is None:
        raise Unusable(
            f"no record of {dataset.name} that can be trained on (unlabelled, or cleaned away)",
            "unlabelled, or cleaned away",
        )
    return row
