"""Tasks by name: those of the embedded data, and those of a file or folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openflan.embedded import SOURCES, EmbeddedData, parse_data
from openflan.errors import InputError, did_you_mean
from openflan.tasks import embedded_rows
from openflan.tasks.catalogue import SUBMIXTURES, catalogue, how_to_get, real_name, resolve
from openflan.tasks.places import Data, written
from openflan.tasks.reach import reach
from openflan.tasks.task import Task


def find_task(name: str, data: Data = None) -> Task:
    """Opens one task of `data`, a file or folder, or of the embedded data if there is no `data`. The part of
    the name behind the submixture is enough where it is unique.

    Raises InputError for an unknown task, with the nearest name. It is also raised for a task of the
    collection whose rows are missing, with the way to get them.
    """
    if data is None or (isinstance(data, Path) and parse_data(data) is not None):
        return _embedded_task(name, data)
    submixture = name.partition("/")[0] if "/" in name else None
    tasks_by_name = {task.name: task for task in reversed(reach(data, submixture))}
    catalogue_name = real_name(name)
    if full_name := _full_name(list(tasks_by_name), catalogue_name):
        return tasks_by_name[full_name].open()
    if catalogue_name in catalogue():
        raise InputError(
            f"{written(data)}: no rows of {catalogue_name}; {how_to_get(resolve(catalogue_name))}"
        )
    hint = did_you_mean(name, tasks_by_name) or "; it has " + ", ".join(sorted(tasks_by_name)[:5])
    raise InputError(f"{written(data)}: no task `{name}`{hint}")


def embedded_data(data: Path | None) -> list[EmbeddedData]:
    """Return what `data` names, such as `embedded:microflan@7`; without `data`, every embedded source by its
    usual seed."""
    named = parse_data(data) if data is not None else None
    return [named] if named else [EmbeddedData(source, source.seed) for source in SOURCES]


def embedded_tasks(data: Path | None = None) -> dict[str, Task]:
    """Return the tasks of the embedded data that `data` names, or of all embedded data, by name."""
    return {
        name: task
        for embedded in embedded_data(data)
        for submixture in embedded.source.submixtures
        for name, task in embedded_rows.embedded_tasks(submixture, embedded).items()
    }


def _embedded_task(name: str, data: Path | None) -> Task:
    tasks_by_name = embedded_tasks(data)
    if full_name := _full_name(list(tasks_by_name), name):
        return tasks_by_name[full_name]
    try:
        entry = resolve(name)
    except InputError:
        bare_names = (full_name.partition("/")[2] for full_name in tasks_by_name)
        hint = did_you_mean(name, [*tasks_by_name, *bare_names])
        if hint and name.partition("/")[0] not in SUBMIXTURES:
            raise InputError(f"no task `{name}`{hint}") from None
        raise
    raise InputError(f"the rows of {entry.name} do not come with openflan: {how_to_get(entry)}")


def _full_name(names: Sequence[str], name: str) -> str | None:
    """`name` itself if it is one of `names`, else the only one whose part behind the submixture is `name`."""
    if name in names:
        return name
    matches = [full_name for full_name in names if full_name.partition("/")[2] == name]
    if len(matches) > 1:
        raise InputError(f"`{name}` is not unique: write one of {', '.join(matches)}")
    return matches[0] if matches else None
