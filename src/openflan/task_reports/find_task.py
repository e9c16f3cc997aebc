"""Tasks by name: those of the embedded world, and those of a file or folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openflan.errors import InputError, did_you_mean
from openflan.tasks.catalogue import SUBMIXTURES, catalogue, how_to_get, real_name, resolve
from openflan.tasks.microflan.names import SHIPPED, world_place
from openflan.tasks.reach import reach
from openflan.tasks.sources import EMBEDDED
from openflan.tasks.task import Task


def find_task(name: str, data: Path | None = None) -> Task:
    """Opens one task of `data`, a file or folder, or of the embedded world if there is no `data`. The part of
    the name behind the submixture is enough where it is unique.

    Raises InputError for an unknown task, with the nearest name, and for a task of the collection whose rows
    are not there, with the way to get them.
    """
    world = world_of(data)
    if data is None or world is not None:
        return _embedded_task(name, world)
    submixture = name.partition("/")[0] if "/" in name else None
    tasks_by_name = {task.name: task for task in reversed(reach(data, submixture))}
    catalogue_name = real_name(name)
    if full_name := _full_name(list(tasks_by_name), catalogue_name):
        return tasks_by_name[full_name].open()
    if catalogue_name in catalogue():
        raise InputError(f"{data}: no rows of {catalogue_name}; {how_to_get(resolve(catalogue_name))}")
    hint = did_you_mean(name, tasks_by_name) or "; it has " + ", ".join(sorted(tasks_by_name)[:5])
    raise InputError(f"{data}: no task `{name}`{hint}")


def embedded_tasks(world: int | None = None) -> dict[str, Task]:
    """The tasks of the embedded world by name; `world` is its seed, None for the world of the bundled
    models."""
    return {
        name: task
        for make in EMBEDDED.values()
        for name, task in make(SHIPPED if world is None else world).items()
    }


def world_of(data: Path | None) -> int | None:
    """The seed of the embedded world that `data` names; None for other data, and for no data."""
    world = world_place(data) if data is not None else None
    return None if world is None else world.seed


def _embedded_task(name: str, world: int | None) -> Task:
    tasks_by_name = embedded_tasks(world)
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
