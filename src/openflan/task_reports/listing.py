"""Lists of tasks: those of the catalogue and the embedded world, or those of a file or folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openflan.embedded import EMBEDDED_SUBMIXTURES, parse_data
from openflan.errors import InputError, OpenflanError, did_you_mean
from openflan.task_reports.find_task import embedded_tasks
from openflan.tasks.catalogue import SUBMIXTURES, Entry, find, language
from openflan.tasks.formats.reading import AS_IT_IS, Reading
from openflan.tasks.natural_instructions import prepare_openers
from openflan.tasks.places import Data, single_openers, written
from openflan.tasks.reach import reach
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import packaged_wordings, wordings_for

COLUMNS = ("task", "category", "dataset", "rows", "held out", "languages")
OWN_COLUMNS = ("task", "rows", "format", "other splits")
"""The columns of a list of a user's own rows alone."""

EMBEDDED_COLUMNS = ("task", "category", "rows", "split", "held out", "wordings", "example")
"""The columns of a list of embedded tasks alone, whose rows are always available."""


@dataclass(frozen=True, slots=True)
class ListedTask:
    """A line of a list of tasks. `described` is the task as `openflan tasks list --json` prints it."""

    submixture: str
    category: str
    dataset: str
    languages: tuple[str, ...]
    held_out: str | None
    described: dict[str, Any]

    @property
    def cells(self) -> list[Any]:
        """The cells under COLUMNS."""
        return [
            self.described["name"],
            self.category,
            self.dataset,
            self.described["rows"],
            self.held_out or "",
            ", ".join(self.languages),
        ]

    @property
    def own_cells(self) -> list[Any]:
        """The cells under OWN_COLUMNS."""
        return [
            self.described["name"],
            self.described["rows"],
            self.described["format"],
            ", ".join(self.described["other_splits"]),
        ]

    @property
    def example(self) -> dict[str, str] | None:
        """Inputs and targets of the first row, if it is available."""
        return self.described.get("example")

    @property
    def embedded_cells(self) -> list[Any]:
        """The cells under EMBEDDED_COLUMNS."""
        task, example = self.described, self.example or {}
        text = " ".join(f"{example['inputs']} -> {example['targets']}".split()) if example else ""
        return [
            task["name"],
            self.category,
            task["rows"],
            task["split"] or "",
            self.held_out or "",
            len(task["wordings"]),
            text,
        ]


@dataclass(frozen=True, slots=True)
class TaskFilters:
    """Return the tasks that a list shows. `category` and `dataset` are parts of their names, `language` is an
    ISO code or a name. `held_out` keeps only tasks that are never trained on."""

    submixture: str | None = None
    category: str | None = None
    dataset: str | None = None
    language: str | None = None
    held_out: bool = False

    @property
    def options(self) -> str:
        """The filters as the command line spells them."""
        values = {
            "submixture": self.submixture,
            "category": self.category,
            "language": self.language,
            "dataset": self.dataset,
            "held-out": self.held_out,
        }
        return " ".join(
            f"--{name}" + ("" if value is True else f" {value}") for name, value in values.items() if value
        )


def list_tasks(data: Data, filters: TaskFilters, reading: Reading = AS_IT_IS) -> tuple[list[ListedTask], int]:
    """The tasks that pass the filters, and how many tasks of `data` cannot be read.

    Without `data` these are the tasks of the catalogue and of the embedded world; tasks that the collection
    leaves out are listed with `held_out` only. Raises InputError for an unknown submixture, category or
    language, if no task of `data` passes the filters, and if none can be read.
    """
    listed, num_broken = (
        _tasks_of(data, filters.submixture, reading) if data else (_catalogue_tasks(filters), 0)
    )
    of_submixture = [task for task in listed if filters.submixture in (None, task.submixture)]
    if data and filters.submixture and not of_submixture:
        known = sorted(
            {task.submixture for task in listed}
            or {task.name.partition("/")[0] for task in reach(data, None, reading)}
        )
        hint = did_you_mean(filters.submixture, known) or "; it has " + ", ".join(known)
        raise InputError(f"{written(data)}: no tasks of submixture `{filters.submixture}`{hint}")
    chosen = _filtered(of_submixture, filters)
    if data and not chosen:
        raise InputError(
            f"{written(data)}: none of its {len(listed):,} tasks fits "
            f"{filters.options or 'what is listed'}; leave a filter out"
        )
    return chosen, num_broken


def check_submixture(submixture: str | None) -> None:
    """Raises InputError, with the nearest name, for a submixture that is neither in the catalogue nor
    embedded."""
    if submixture is not None and submixture not in SUBMIXTURES and submixture not in EMBEDDED_SUBMIXTURES:
        known = [*SUBMIXTURES, *EMBEDDED_SUBMIXTURES]
        hint = did_you_mean(submixture, known) or "; there are " + ", ".join(known)
        raise InputError(f"no submixture `{submixture}`{hint}; for your own rows give --data")


def _filtered(listed: Sequence[ListedTask], filters: TaskFilters) -> list[ListedTask]:
    code = language(filters.language) if filters.language else None
    category, dataset = (filters.category or "").lower(), (filters.dataset or "").lower()
    if category and not any(category in task.category.lower() for task in listed):
        known = sorted({task.category for task in listed})
        examples = f"; there are {len(known)}, such as {known[0]}" if known else ""
        hint = did_you_mean(filters.category or "", known) or examples
        raise InputError(f"no category holds `{filters.category}`{hint}")
    return [
        task
        for task in listed
        if category in task.category.lower()
        and dataset in task.dataset.lower()
        and (code is None or code in task.languages)
        and (not filters.held_out or task.held_out is not None)
    ]


def _catalogue_tasks(filters: TaskFilters) -> list[ListedTask]:
    check_submixture(filters.submixture)
    embedded = (
        []
        if filters.submixture in SUBMIXTURES
        else [
            _embedded_line(task)
            for task in embedded_tasks().values()
            if filters.submixture in (None, task.submixture)
        ]
    )
    return [*map(_catalogue_line, find(held_out=filters.held_out)), *embedded]


def _tasks_of(
    data: Path | Sequence[Path], submixture: str | None, reading: Reading
) -> tuple[list[ListedTask], int]:
    """The tasks of `data` that can be opened, and the number of those that cannot."""
    if isinstance(data, Path) and parse_data(data) is not None:
        return [_embedded_line(task) for task in embedded_tasks(data).values()], 0
    listed: list[ListedTask] = []
    errors: list[OpenflanError] = []
    reached_tasks = reach(data, submixture, reading)
    prepare_openers(single_openers(reached.open for reached in reached_tasks))
    for reached in reached_tasks:
        try:
            listed.append(_task_line(reached.open()))
        except OpenflanError as error:
            errors.append(error)
    if errors and not listed:
        more = (
            f"; {len(errors) - 1} more cannot be read either: "
            f"`openflan tasks check --data {written(data)}` says why"
            if len(errors) > 1
            else ""
        )
        raise InputError(f"{errors[0]}{more}")
    return listed, len(errors)


def _catalogue_line(entry: Entry) -> ListedTask:
    """A task of the catalogue; `rows` is the published number."""
    described = {
        "name": entry.name,
        "submixture": entry.submixture,
        "part": entry.part,
        "dataset": entry.dataset,
        "category": entry.category,
        "rows": entry.rows,
        "options": entry.options,
        "languages": list(entry.languages),
        "licence": entry.licence,
        "held_out": entry.held_out,
        "variants": list(entry.variants),
        "source": entry.source,
        "link": entry.link,
        "hub": entry.hub,
    }
    return ListedTask(
        entry.submixture, entry.category, entry.dataset, entry.languages, entry.held_out, described
    )


def _task_line(task: Task) -> ListedTask:
    """A task whose rows are available."""
    described = {
        "name": task.name,
        "submixture": task.submixture,
        "dataset": task.dataset,
        "category": task.category,
        "rows": len(task.rows),
        "fields": sorted(task.fields),
        "languages": list(task.languages),
        "licence": task.licence,
        "held_out": task.held_out,
        "split": task.split,
        "place": task.place,
        "format": task.form,
        "other_splits": sorted(task.splits),
    }
    return ListedTask(task.submixture, task.category, task.dataset, task.languages, task.held_out, described)


def _embedded_line(task: Task) -> ListedTask:
    """A task of the embedded world, with its wordings and its first row in the first of them."""
    listed, wordings = _task_line(task), wordings_for(task.name, task.fields, packaged_wordings())
    example = Renderer(task, replace(wordings, wordings=wordings.wordings[:1])).render(
        0, Style(rationale=True), seed=0, position=0
    )
    more = {
        "wordings": [wording.id for wording in wordings.wordings],
        "example": {"inputs": example.inputs, "targets": example.targets},
    }
    return replace(listed, described=listed.described | more)
