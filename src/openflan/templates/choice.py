"""Which wordings a task is rendered with: ours, the collection's own, both, or a user's file.

The collection's own are imported into the user's cache by `openflan wordings import`. An imported set may
hold wordings for fields that a source's rows lack (the release joins them from elsewhere): those are passed
over, where a file of the user's would be refused.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from openflan.cache_folder import cache_folder
from openflan.errors import InputError, did_you_mean
from openflan.templates.generic import generic_set
from openflan.templates.wording import (
    JOINED,
    READY_MADE,
    Wording,
    WordingSet,
    load_wordings,
    packaged_wordings,
    wordings_for,
)

Named: TypeAlias = Literal["original", "openflan", "both"]
NAMES: tuple[Named, ...] = ("original", "openflan", "both")
IMPORT = "openflan wordings import --flan DIR"


def imported_folder() -> Path:
    """Where imported wordings lie: wordings/flan in $OPENFLAN_CACHE, else in ~/.cache/openflan."""
    return cache_folder() / "wordings" / "flan"


def imported_wordings(submixture: str = "*") -> tuple[WordingSet, ...]:
    """The imported sets for tasks of a submixture, or of all; none if nothing was imported.

    Raises InputError if an imported file was damaged.
    """
    return tuple(
        wording_set
        for path in sorted(imported_folder().glob(f"{submixture}/*.yaml"))
        for wording_set in _load(path, path.stat().st_mtime_ns)
    )


def choose_wordings(choice: Named | Path | None, task: str, fields: frozenset[str]) -> WordingSet:
    """The wordings of a task whose rows have `fields`; None means `openflan`, a file or folder comes before
    the packaged ones.

    Raises InputError if there is no wording, or one that names a field the rows lack; for `original` and
    `both` also if nothing was imported.
    """
    if choice is None or choice == "openflan":
        return wordings_for(task, fields, packaged_wordings())
    if isinstance(choice, Path):
        return wordings_for(task, fields, [*custom_wordings(choice), *packaged_wordings()])
    original = _original(task, fields)
    if original is None and choice == "original":
        raise InputError(
            f"{task}: the collection has no wording for rows with the fields "
            f"{', '.join(sorted(fields))}; choose `wordings: openflan`"
        )
    if original is not None and (
        choice == "original"
        or original is READY_MADE
        or not any(found.covers(task) for found in packaged_wordings())
    ):
        return original
    ours = wordings_for(task, fields, packaged_wordings())
    if original is None:
        return ours
    return replace(
        ours,
        fields=ours.fields | original.fields,
        wordings=(*original.wordings, *ours.wordings),
        source=f"{original.source}, {ours.source}",
        inverted_share=original.inverted_share,
    )


def known_wordings(task: str | None = None) -> list[tuple[Named, WordingSet]]:
    """Packaged and imported sets, the generic one last; for a task, by its full or its bare name, what a
    mixture would take: of each kind the first set with direct wordings, and the first with inverted ones.

    Raises InputError with the nearest name if nothing covers the task.
    """
    sets: list[tuple[Named, WordingSet]] = [
        *(("openflan", wording_set) for wording_set in packaged_wordings()),
        *(("original", wording_set) for wording_set in imported_wordings()),
    ]
    if task is None:
        return [*sets, ("openflan", generic_set())]
    covering = [
        (choice, wording_set)
        for choice, wording_set in sets
        if wording_set.covers(task) or task in map(_bare, wording_set.tasks)
    ]
    if not covering:
        names = {
            name
            for _, wording_set in sets
            for pattern in wording_set.tasks
            for name in (pattern, _bare(pattern))
        }
        hint = did_you_mean(task, names) or "; rows with the fields inputs and targets need none"
        raise InputError(f"{task}: no packaged or imported wordings{hint}")
    taken: list[tuple[Named, WordingSet]] = []
    for name in NAMES:
        seen = set[bool]()
        for wording_set in (wording_set for choice, wording_set in covering if choice == name):
            kept = tuple(one for one in wording_set.wordings if one.inverted not in seen)
            seen |= {one.inverted for one in kept}
            taken += [(name, replace(wording_set, wordings=kept))] if kept else []
    return taken


def _bare(task: str) -> str:
    return task.partition("/")[2]


def custom_wordings(path: Path) -> list[WordingSet]:
    """The sets of a user's file, or of all YAML files in a folder. Raises InputError, with the nearest name
    if a named choice may have been meant."""
    if path.is_dir():
        files = sorted(path.rglob("*.yaml"))
        if not files:
            raise InputError(f"{path}: holds no *.yaml file of wordings")
        return [found for file in files for found in load_wordings(file)]
    if not path.exists():
        hint = did_you_mean(path.name, NAMES) or f", and none of {', '.join(NAMES)}"
        raise InputError(f"{path}: no such wordings file{hint}")
    return load_wordings(path)


def wordings_files(choice: Named | Path | None, task: str) -> list[Path]:
    """The files outside the package that a choice reads for a task: what a fingerprint of a run's data must
    cover."""
    if isinstance(choice, Path):
        return sorted(choice.rglob("*.yaml")) if choice.is_dir() else [choice]
    if choice in ("original", "both"):
        return sorted(
            {Path(found.source) for found in imported_wordings(task.partition("/")[0]) if found.covers(task)}
        )
    return []


def _original(task: str, fields: frozenset[str]) -> WordingSet | None:
    """The imported wordings that fit a task's rows; rows that are already worded need none. None if none
    fits."""
    covering = [
        wording_set for wording_set in imported_wordings(task.partition("/")[0]) if wording_set.covers(task)
    ]
    fitting = [
        replace(wording_set, wordings=kept)
        for wording_set in covering
        if (kept := _fitting(wording_set, fields))
    ]
    if fitting:
        return wordings_for(task, fields, fitting)
    if READY_MADE.fields <= fields:
        return READY_MADE
    if not any(imported_folder().glob("*/*.yaml")):
        raise InputError(
            f"{task}: no original wordings were imported into {imported_folder()}; `{IMPORT}` reads them "
            "from a checkout of the FLAN repository"
        )
    return None


def _fitting(wording_set: WordingSet, fields: frozenset[str]) -> tuple[Wording, ...]:
    """The wordings that name no other fields; the form for rows that hold two fields as one only where the
    template's own does not fit."""
    fitting = [one for one in wording_set.wordings if one.fields <= fields]
    ids = {one.id for one in fitting}
    return tuple(one for one in fitting if JOINED not in one.id or one.id.replace(JOINED, "") not in ids)


@lru_cache(maxsize=1_024)
def _load(path: Path, modified: int) -> tuple[WordingSet, ...]:
    """A file's sets, read again when it changed: `modified` is part of the key."""
    return tuple(load_wordings(path))
