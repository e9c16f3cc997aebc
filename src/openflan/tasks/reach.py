"""The tasks that a file or folder holds, for commands that list them: a broken one hides no other.

A recipe needs one layout in a folder, and stops at what it cannot read. The functions here also read files of
several layouts side by side, a checkout of natural-instructions, and folders named after the submixtures
(`cot`, `niv2`, `muffin`, `t0_sf`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from openflan.errors import InputError, OpenflanError
from openflan.json_files import reading
from openflan.tasks.catalogue import SUBMIXTURES
from openflan.tasks.hub import is_hub
from openflan.tasks.muffin.find import MUFFIN, find_muffin
from openflan.tasks.places import Data, first_of_each, places_of
from openflan.tasks.slices import is_there
from openflan.tasks.sources import COT, ONE_TASK_A_FILE, Layout, find_submixture, layouts_of
from openflan.tasks.splits import choose
from openflan.tasks.task import Opener, name_of

NIV2 = "niv2"
OWN = "own"


@dataclass(frozen=True, slots=True)
class ReachableTask:
    """A task's name and what opens it; a file or folder in which no task could be found has a name made from
    its own, and opening it says why."""

    name: str
    open: Opener


def reach(data: Data, submixture: str | None = None) -> tuple[ReachableTask, ...]:
    """The tasks of a file, a folder or `hub:...`, none of them opened; of several places, each task from the
    first that has it.

    Chain-of-thought files belong to `cot`. `submixture` names the submixture of all other files; without it
    natural-instructions files belong to `niv2`, and others to the submixture that their folder is named
    after, else to `own`. Of two tasks of one name the second cannot be opened. Raises InputError if nothing
    is there.
    """
    if data is None or not isinstance(data, Path):
        openers = {
            place: {task.name: task.open for task in reversed(reach(place, submixture))}
            for place in places_of(data)
            if place is not None
        }
        return tuple(ReachableTask(name, opener) for name, opener in first_of_each(openers).items())
    if is_hub(data):
        return tuple(
            ReachableTask(name, opener) for name, opener in find_submixture(submixture or OWN, data).items()
        )
    if not is_there(data):
        raise InputError(f"{data}: no such file or folder")
    with reading(data):
        return _reach(data, submixture)


def _reach(data: Path, submixture: str | None) -> tuple[ReachableTask, ...]:
    paths = [(data, submixture)] + [(data / name, name) for name in SUBMIXTURES if (data / name).is_dir()]
    tasks = [task for path, named in paths for task in (_of_muffin(path, named) or _in_layouts(path, named))]
    # a folder named after a submixture that is none of the collection's, or the reason why there is nothing
    if not tasks:
        tasks = [
            ReachableTask(name, opener) for name, opener in find_submixture(submixture or OWN, data).items()
        ]
    seen: set[str] = set()
    return tuple(_once(task, seen) for task in tasks)


def _of_muffin(path: Path, submixture: str | None) -> list[ReachableTask]:
    """Muffin's data sets as their publishers offer them, recognised by their files' names; none in a folder
    of another submixture."""
    if not path.is_dir() or (submixture or path.absolute().name) != MUFFIN:
        return []
    try:
        return [ReachableTask(name, opener) for name, opener in find_muffin(path).items()]
    except InputError as error:
        return [ReachableTask(name_of(MUFFIN, path.name), partial(_raise, error))]


def _in_layouts(path: Path, submixture: str | None) -> Iterator[ReachableTask]:
    for layout in layouts_of(path):
        yield from _in_place(path, layout, submixture)


def _in_place(path: Path, layout: Layout, submixture: str | None) -> Iterator[ReachableTask]:
    """Everything at once, or file by file where that fails."""
    name = _submixture(path, layout, submixture)
    try:
        openers = layout.find(path, name)
    except OpenflanError as error:
        files = _files(path, layout)
        if not files:
            yield ReachableTask(name_of(name, path.stem.removesuffix("_train")), partial(_raise, error))
        for file in files:
            yield from _in_place(file, layout, name)
        return
    for task, opener in openers.items():
        yield ReachableTask(task, opener)


def _files(path: Path, layout: Layout) -> list[Path]:
    """The files of a folder that hold one task each."""
    if not path.is_dir() or layout.name not in ONE_TASK_A_FILE:
        return []
    if layout.name == "*.jsonl":
        return list(choose(path, ".jsonl").files)
    return sorted(
        file for folder in (path, path / "tasks") for file in folder.glob(layout.name) if file.is_file()
    )


def _submixture(path: Path, layout: Layout, submixture: str | None) -> str:
    if layout.name == "*_train.tsv":
        return COT
    if submixture is None and layout.name == "task*.json":
        return NIV2
    folder = path.absolute() if path.is_dir() else path.absolute().parent
    return submixture or (folder.name if folder.name in SUBMIXTURES else OWN)


def _once(task: ReachableTask, seen: set[str]) -> ReachableTask:
    if task.name in seen:
        return ReachableTask(
            task.name,
            partial(
                _raise,
                InputError(
                    f"two files or rows give a task named `{task.name}`; rename or remove one of them"
                ),
            ),
        )
    seen.add(task.name)
    return task


def _raise(error: OpenflanError) -> NoReturn:
    raise error
