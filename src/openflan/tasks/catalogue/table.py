"""The catalogue as read from the package, and looking things up in it."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from openflan.errors import InputError, did_you_mean
from openflan.tasks.catalogue.entry import SUBMIXTURES, Entry
from openflan.tasks.catalogue.languages import language as language_name

FILE = "catalogue.json.gz"
LIST_FIELDS = ("languages", "variants")
_NUMBER = re.compile(r"task\d+")


def catalogue() -> Mapping[str, Entry]:
    """All entries by full name: the tasks of the collection, and after each submixture those that are held
    out (`entry.held_out`)."""
    return _read()[0]


def aliases() -> Mapping[str, str]:
    """Other spellings of full names: natural-instructions files whose names hold hyphens where the public
    task list has underscores."""
    return _read()[1]


def real_name(name: str) -> str:
    """The catalogue's spelling of a full name; a name that it does not hold is returned unchanged.

    The public list of tasks has the names of natural-instructions files only up to their first dot.
    """
    if name in catalogue():
        return name
    cut = name.partition(".")[0]
    return aliases().get(name, cut if name.startswith("niv2/") and cut in catalogue() else name)


def resolve(name: str) -> Entry:
    """The entry of a full name, of a bare one that occurs once, or of another spelling.

    Raises InputError for an unknown name, with the nearest; for one that several submixtures have; and for a
    number such as task184, with the names that start with it, since five numbers are used by two different
    tasks each.
    """
    entries = catalogue()
    full = real_name(name)
    if full in entries:
        return entries[full]
    named = _by_bare_name().get(name, ())
    if len(named) == 1:
        return entries[named[0]]
    if named:
        raise InputError(f"`{name}` is not unique: write one of {', '.join(named)}")
    task_number = name.removeprefix("niv2/")
    if _NUMBER.fullmatch(task_number):
        starting = [full for full in entries if full.startswith(f"niv2/{task_number}_")]
        if starting:
            raise InputError(f"`{name}` is a number, not a name: write {' or '.join(starting)}")
    raise InputError(
        "the collection has no task "
        f"`{name}`{did_you_mean(name, entries if '/' in name else _by_bare_name())}"
    )


def find(
    *,
    submixture: str | None = None,
    part: str | None = None,
    category: str | None = None,
    dataset: str | None = None,
    language: str | None = None,
    held_out: bool | None = False,
) -> tuple[Entry, ...]:
    """The entries that meet every condition given, in the catalogue's order.

    `category` and `dataset` are parts of labels, `language` is an ISO code or a name. `held_out`: False for
    the collection itself, True for what is kept out of it, None for both. Raises InputError for an unknown
    submixture or language.
    """
    if submixture is not None and submixture not in SUBMIXTURES:
        raise InputError(
            "the collection has no submixture "
            f"`{submixture}`{did_you_mean(submixture, SUBMIXTURES) or '; it has ' + ', '.join(SUBMIXTURES)}"
        )
    spoken = None if language is None else language_name(language)
    return tuple(
        entry
        for entry in catalogue().values()
        if (held_out is None or held_out == (entry.held_out is not None))
        and (submixture is None or entry.submixture == submixture)
        and (part is None or entry.part == part)
        and (category is None or category.lower() in entry.category)
        and (dataset is None or dataset.lower() in entry.dataset)
        and (spoken is None or spoken in entry.languages)
    )


@cache
def _read() -> tuple[Mapping[str, Entry], Mapping[str, str]]:
    document = json.loads(gzip.decompress(files(__package__).joinpath(FILE).read_bytes()))
    entries = (_entry(dict(zip(document["columns"], row, strict=True))) for row in document["rows"])
    return MappingProxyType({entry.name: entry for entry in entries}), MappingProxyType(document["aliases"])


def _entry(fields: dict[str, Any]) -> Entry:
    return Entry(**fields | {name: tuple(fields[name]) for name in LIST_FIELDS})


@cache
def _by_bare_name() -> Mapping[str, tuple[str, ...]]:
    named: dict[str, tuple[str, ...]] = {}
    for full, real in [*((full, full) for full in catalogue()), *aliases().items()]:
        bare = full.partition("/")[2]
        named[bare] = (*named.get(bare, ()), real)
    return named
