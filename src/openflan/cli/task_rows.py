"""What `openflan tasks` prints: lines of a list, results of a check, the reconciliation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import cell, print_json, print_table
from openflan.embedded import EmbeddedData
from openflan.errors import OpenflanError
from openflan.microflan.leak_check import split_complaints, wording_complaints
from openflan.tasks.catalogue import POLICIES, SUBMIXTURES, Counts, Entry, find, how_to_get
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import WordingSet, packaged_wordings, wordings_for

COLUMNS = ("task", "category", "dataset", "rows", "held out", "languages")
EMBEDDED_COLUMNS = ("task", "category", "rows", "split", "held out", "wordings", "example")
"""Where all tasks that are listed come with openflan, so that their rows are at hand."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A task as it is listed: what filters ask for, and all that is known as JSON."""

    submixture: str
    category: str
    dataset: str
    languages: tuple[str, ...]
    held_out: str | None
    described: dict[str, Any]

    @property
    def cells(self) -> list[Any]:
        return [
            self.described["name"],
            self.category,
            self.dataset,
            self.described["rows"],
            self.held_out or "",
            ", ".join(self.languages),
        ]

    @property
    def example(self) -> dict[str, str] | None:
        """Inputs and targets of its first row, where that is at hand."""
        return self.described.get("example")

    @property
    def embedded_cells(self) -> list[Any]:
        task, example = self.described, self.example or {}
        shown = " ".join(f"{example['inputs']} -> {example['targets']}".split()) if example else ""
        return [
            task["name"],
            self.category,
            task["rows"],
            task["split"] or "",
            self.held_out or "",
            len(task["wordings"]),
            shown,
        ]


def of_entry(entry: Entry) -> Listed:
    """A task of the catalogue; its rows are the published number."""
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
    return Listed(entry.submixture, entry.category, entry.dataset, entry.languages, entry.held_out, described)


def of_task(task: Task) -> Listed:
    """A task whose rows are at hand."""
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
    }
    return Listed(task.submixture, task.category, task.dataset, task.languages, task.held_out, described)


def with_example(task: Task) -> Listed:
    """A task of the embedded world: its wordings too, and its first row in the first of them that needs no
    exemplars."""
    listed, wordings = of_task(task), wordings_for(task.name, task.fields, packaged_wordings())
    shown = Renderer(task, replace(wordings, wordings=wordings.wordings[:1])).render(
        0, Style(rationale=True), seed=0, position=0
    )
    more = {
        "wordings": [wording.id for wording in wordings.wordings],
        "example": {"inputs": shown.inputs, "targets": shown.targets},
    }
    return replace(listed, described=listed.described | more)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found about one task, or about `tasks` of a submixture that are all missing."""

    task: str
    status: str
    detail: str
    tasks: int = 1

    @property
    def described(self) -> dict[str, Any]:
        return asdict(self)


def checked(name: str, open_: Callable[[], Task]) -> Checked:
    """Opens a task and renders its first row."""
    try:
        task = open_()
        example = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings())).render(
            0, Style(), seed=0, position=0
        )
    except OpenflanError as error:
        return Checked(name, "broken", str(error))
    except Exception as error:  # A defect of a reader must cost one line of the report, not the others.
        return Checked(name, "broken", f"{type(error).__name__}: {error}")
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in task.left_out.items())
    left_out = f", {task.refused:,} left out ({reasons})" if task.refused else ""
    kept_out = (
        f"; kept out of training: {POLICIES.get(task.held_out, task.held_out)}" if task.held_out else ""
    )
    return Checked(
        name,
        "works",
        f"{len(task.rows):,} rows{left_out}; first answer: {' '.join(example.answer[:40].split())}{kept_out}",
    )


def held_apart(tasks: Mapping[str, Task], own: Sequence[WordingSet], data: EmbeddedData) -> list[Checked]:
    """Results of the leak check on embedded data: one line for each rule that holds, and one for each place
    where a rule is broken."""
    rows = []
    sets = [*own, *packaged_wordings()]
    try:
        found = split_complaints(data.seed, sets=sets)
    except OpenflanError as error:
        found = [str(error)]
    for title, kept, complaints in (
        ("held apart", "no instruction and no plain text shows what is held out", found),
        ("wordings", "none gives an answer away", wording_complaints(sets, tasks)),
    ):
        rows += [Checked(title, "broken", complaint, 0) for complaint in complaints] or [
            Checked(title, "works", kept, 0)
        ]
    return rows


def missing(submixtures: Iterable[str], *, present: set[str], most: int | None) -> list[Checked]:
    """The tasks that are not `present`, with the remedy; a submixture that lacks more than `most` gets one
    line."""
    rows = []
    for submixture in submixtures:
        entries = [entry for entry in find(submixture=submixture) if entry.name not in present]
        if most is not None and len(entries) > most:
            rows.append(
                Checked(
                    f"{submixture}/*",
                    "missing",
                    f"{len(entries):,} tasks: {SUBMIXTURES[submixture].fetch}",
                    len(entries),
                )
            )
        else:
            rows += [Checked(entry.name, "missing", how_to_get(entry)) for entry in entries]
    return rows


def nothing_found(data: Path, among: int, **filters: str | bool | None) -> str:
    """What was looked for in vain among the tasks of `data`."""
    wanted = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
        for name, value in filters.items()
        if value
    ]
    return (
        f"{data}: none of its {among:,} tasks fits {' '.join(wanted) or 'what is listed'}; leave a filter out"
    )


def print_counted(counted: Counts, as_json: bool) -> None:
    """The table of submixtures, the paper's figures beside ours, and a sentence each."""
    if as_json:
        print_json(asdict(counted))
        return
    counts = [*counted.submixtures, counted.total]
    print_table(
        "the collection",
        ["submixture", "tasks", "paper", "datasets", "categories", "languages", "inverted forms", "held out"],
        [
            [
                SUBMIXTURES[one.submixture].title if one.submixture in SUBMIXTURES else one.submixture,
                one.tasks,
                one.paper_tasks,
                one.datasets,
                one.categories,
                one.languages,
                one.variants,
                one.held_out,
            ]
            for one in counts
        ],
    )
    print_table(
        "beside the paper",
        ["figure", "catalogue", "paper", "difference"],
        [
            [difference.figure, difference.ours, difference.paper, difference.ours - difference.paper]
            for difference in counted.differences
        ],
    )
    for difference in counted.differences:
        typer.echo(f"{difference.figure}: {difference.why}\n")


def print_lines(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table of any length, one line a row and never folded: its links can be copied, and laying out
    thousands of rows to a width takes seconds."""
    shown = [[cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *shown, strict=True)]
    numeric = [
        bool(rows) and all(isinstance(row[number], int | None) for row in rows)
        for number in range(len(columns))
    ]
    typer.echo(title)
    lines = [list(columns), *shown]
    typer.echo("\n".join(_line(line, widths, numeric) for line in lines))


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    return "  ".join(
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(cells, widths, numeric, strict=True)
    ).rstrip()
