"""The tasks of Muffin, from local copies of their data sets or from the hub.

A local copy is `FOLDER/NAME.jsonl`, `FOLDER/NAME.parquet` or a folder `FOLDER/NAME/` of shards, with the columns of the hub's copy; NAME is the
task's. Every record is converted once when its task is opened, so that changed columns or an unknown class label are named before training.
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
from openflan.tasks.columns import ColumnRecords, part_of
from openflan.tasks.hub import hub_records
from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.families import DATASETS
from openflan.tasks.own import jsonl_files
from openflan.tasks.records import Chosen, Joined, JsonRecords, Record, Records, watched
from openflan.tasks.rows import BadRow, ConvertedRows, listed
from openflan.tasks.splits import training_files
from openflan.tasks.task import Opener, Row, Task

MUFFIN = "muffin"

HALVES = {"mnli_matched": slice(0, None, 2), "mnli_mismatched": slice(1, None, 2)}
"""Two tasks of the collection train on the very same rows, which doubles their weight; here each has every other one."""


def find_muffin(data: Path) -> dict[str, Opener]:
    """The tasks whose data sets lie in a folder, by name; none if the folder holds none of them."""
    found: dict[str, Opener] = {}
    for name, dataset in DATASETS.items():
        places = [place for place in (data / name, data / f"{name}.jsonl", data / f"{name}.parquet") if place.exists()]
        if len(places) > 1:
            raise InputError(f"{data}: holds {name} twice ({', '.join(place.name for place in places)}); remove one of them")
        if places:
            found[f"{MUFFIN}/{name}"] = partial(_open, dataset, partial(_records, places[0]), HALVES.get(name, _window(dataset.split)))
    return found


def find_muffin_on_hub() -> dict[str, Opener]:
    """Every task whose data set is on the hub; nothing is fetched before a task is opened."""
    found: dict[str, Opener] = {}
    for name, dataset in DATASETS.items():
        if dataset.hub is not None:
            records = partial(hub_records, f"hub:{dataset.hub}:{dataset.split}", raw=True)
            found[f"{MUFFIN}/{name}"] = partial(_open, dataset, records, HALVES.get(name, slice(None)))
    return found


def _window(split: str) -> slice:
    """The records that `train[30200:60200]` names, of a file that holds the whole split; the hub's library cuts by itself."""
    bounds = re.search(r"\[(-?\d*):(-?\d*)\]$", split)
    return slice(*(int(bound) if bound else None for bound in bounds.groups())) if bounds else slice(None)


def _records(place: Path) -> Records:
    if place.suffix == ".parquet" or (place.is_dir() and not any(place.rglob("*.jsonl"))):
        return ColumnRecords([part_of(file) for file in training_files(place, ".parquet")], raw=True)
    return Joined([JsonRecords(file) for file in jsonl_files(place)])


def _open(dataset: Dataset, records: Callable[[], Records], window: slice = slice(None)) -> Task:
    source = records()
    found = frozenset(source.columns if isinstance(source, ColumnRecords) else source[0])
    if missing := frozenset(dataset.columns) - found:
        needed = listed(frozenset(dataset.columns))
        raise InputError(f"{source.place(0)}: {dataset.name} needs the columns {needed}; found {listed(found)}, not {listed(missing)}")
    kept, wanted = array("I"), _wanted(source, window, dataset)
    for index, record in enumerate(watched(source)):
        if index not in wanted:
            continue
        try:
            if dataset.row(record) is not None:
                kept.append(index)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"{source.place(index)}: not a record of {dataset.name}: {error}") from None
    if not kept:
        raise InputError(f"{source.place(0)}: none of {len(wanted):,} records of {dataset.name} can be trained on (unlabelled, or cleaned away)")
    entry = catalogue()[f"{MUFFIN}/{dataset.name}"]
    return Task(
        name=entry.name,
        rows=ConvertedRows(Chosen(source, kept), partial(_row, dataset.row)),
        fields=frozenset(dataset.fields),
        dataset=entry.dataset,
        category=entry.category,
        languages=entry.languages,
        licence=entry.licence,
        refused=len(wanted) - len(kept),
    )


def _wanted(source: Records, window: slice, dataset: Dataset) -> range:
    """The records in the window; all of a file that is too short to reach into it, as an excerpt has nothing to keep back."""
    wanted = range(len(source))[window]
    if wanted or not len(source):
        return wanted
    warnings.warn(
        f"{source.place(0)}: {len(source):,} records of {dataset.name}, none in its window {dataset.split}, so it is no whole split: all are used",
        stacklevel=3,
    )
    return range(len(source))


def _row(row: Callable[[Raw], Row | None], record: Record) -> Row:
    found = row(record)
    if found is None:
        raise BadRow("left out when the file was opened, but no longer the same; leave data files alone during a run")
    return found
