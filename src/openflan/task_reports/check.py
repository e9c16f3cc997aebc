"""Checks of tasks: what can be rendered, what is missing, and what is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from openflan.embedded import parse_data
from openflan.errors import InputError, OpenflanError
from openflan.microflan.leak_check import split_complaints, wording_complaints
from openflan.task_reports.find_task import embedded_data, embedded_tasks
from openflan.task_reports.listing import check_submixture
from openflan.tasks.catalogue import POLICIES, SUBMIXTURES, catalogue, find, how_to_get
from openflan.tasks.formats.reading import AS_IT_IS, Reading
from openflan.tasks.natural_instructions import prepare_openers
from openflan.tasks.places import Data, single_openers
from openflan.tasks.reach import reach
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import WordingSet, load_wordings, packaged_wordings, wordings_for


@dataclass(frozen=True, slots=True)
class TaskCheck:
    """The result for one task, or for the `tasks` of a submixture that are all missing. `status` is `works`,
    `missing` or `broken`."""

    task: str
    status: str
    detail: str
    tasks: int = 1

    @property
    def described(self) -> dict[str, Any]:
        """The result as `openflan tasks check --json` prints it."""
        return asdict(self)


def check_tasks(
    data: Data,
    submixture: str | None = None,
    wordings: Path | None = None,
    *,
    max_missing: int | None = None,
    reading: Reading = AS_IT_IS,
) -> list[TaskCheck]:
    """Opens every task of `data`, or of the embedded world without `data`, and renders its first row.

    For the embedded world it also checks that nothing held out appears in the training rows. No wording,
    packaged or in the YAML file `wordings`, may give an answer away. `reading` says how rows of a user's own
    are to be read. A submixture that lacks more than
    `max_missing` tasks gets one line. Raises InputError if there is no such file, folder or submixture.
    """
    if data is not None and (not isinstance(data, Path) or parse_data(data) is None):
        if wordings is not None:
            raise InputError(
                "--wordings checks wordings of the embedded world, which has no --data; leave one out"
            )
        reached = reach(data, submixture, reading)
        prepare_openers(single_openers(task.open for task in reached))
        results = [_check_task(task.name, task.open) for task in reached]
        present = {task.name for task in reached} & catalogue().keys()
        begun = [name for name in SUBMIXTURES if any(task.startswith(f"{name}/") for task in present)]
        return results + missing_tasks(begun, present=present, max_listed=max_missing)
    check_submixture(submixture)
    chosen = {
        name: task for name, task in embedded_tasks(data).items() if submixture in (None, task.submixture)
    }
    results = [_check_task(name, partial(_same_task, task)) for name, task in chosen.items()]
    if chosen:
        custom = load_wordings(wordings) if wordings else []
        for embedded in embedded_data(data):
            results += _check_world(chosen, custom, embedded.seed)
    absent = [name for name in SUBMIXTURES if data is None and submixture in (None, name)]
    return results + missing_tasks(absent, present=set(), max_listed=0)


def missing_tasks(
    submixtures: Iterable[str], *, present: set[str], max_listed: int | None
) -> list[TaskCheck]:
    """The tasks that are not in `present`, each with the way to get it; a submixture that lacks more than
    `most` tasks gets one line."""
    results = []
    for submixture in submixtures:
        entries = [entry for entry in find(submixture=submixture) if entry.name not in present]
        if max_listed is not None and len(entries) > max_listed:
            detail = f"{len(entries):,} tasks: {SUBMIXTURES[submixture].fetch}"
            results.append(TaskCheck(f"{submixture}/*", "missing", detail, len(entries)))
        else:
            results += [TaskCheck(entry.name, "missing", how_to_get(entry)) for entry in entries]
    return results


def _check_task(name: str, open_task: Callable[[], Task]) -> TaskCheck:
    """Opens a task and renders its first row."""
    try:
        task = open_task()
        example = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings())).render(
            0, Style(), seed=0, position=0
        )
    except OpenflanError as error:
        return TaskCheck(name, "broken", str(error))
    except Exception as error:  # A defect of a reader must cost one line of the report, not the others.
        return TaskCheck(name, "broken", f"{type(error).__name__}: {error}")
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in task.left_out.items())
    left_out = f", {task.refused:,} left out ({reasons})" if task.refused else ""
    policy = f"; kept out of training: {POLICIES.get(task.held_out, task.held_out)}" if task.held_out else ""
    answer = " ".join(example.answer[:40].split())
    place = f" from {task.place}" if task.place else ""
    form = f", format {task.form}" if task.form else ""
    form += f", {task.notice}" if task.notice else ""
    return TaskCheck(
        name, "works", f"{len(task.rows):,} rows{place}{form}{left_out}; first answer: {answer}{policy}"
    )


def _check_world(tasks: Mapping[str, Task], custom: Sequence[WordingSet], world: int) -> list[TaskCheck]:
    """The promises of the embedded world of the seed `world`: one line for each promise that holds, and one
    for each violation."""
    sets = [*custom, *packaged_wordings()]
    try:
        split_violations = split_complaints(world, sets=sets)
    except OpenflanError as error:
        split_violations = [str(error)]
    results = []
    for title, promise, violations in (
        ("held apart", "no instruction and no plain text shows what is held out", split_violations),
        ("wordings", "none gives an answer away", wording_complaints(sets, tasks)),
    ):
        results += [TaskCheck(title, "broken", violation, 0) for violation in violations] or [
            TaskCheck(title, "works", promise, 0)
        ]
    return results


def _same_task(task: Task) -> Task:
    return task
