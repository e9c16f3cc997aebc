"""The ledger of a mixture whose rows are not all on this machine. It needs no data, tokenizer or model.

Decision: every task that the recipe selects is counted as if its rows were here. The number of rows is the
published one, or that of the data where a submixture has data; a task without a published number counts as
much as its cap. Trade-off: shares are those of the whole recipe. Training on a part of the data has other
shares, which the full ledger shows once every submixture has data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from openflan.errors import InputError
from openflan.mixture.copies import as_released, capped_task
from openflan.mixture.licences import UNKNOWN, check_licences, licence_of
from openflan.mixture.open_mixture import LeftOut, check_something_left, group_of, why_left_out
from openflan.mixture.rates import Capped, cap_of, relative_rates, shares
from openflan.recipe.schema import Mixture
from openflan.tasks.catalogue import SUBMIXTURES, Entry, find, how_to_get, real_name
from openflan.tasks.task import Task, select

IN_ITS_FILE = "licence stated in its file, which is not here"
"""The reason for leaving out a natural instruction whose licence is not known without its file."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A task of the mixture, whether or not its rows are here.

    `rows`: of the data if `here`, else as published; None if neither is known, and then `weight` is the cap.
    `epochs` over its rows in `Offline.examples` examples, None where rows are unknown. `get`: what to fetch,
    None if the rows are here.
    """

    task: str
    submixture: str
    group: str
    category: str
    rows: int | None
    here: bool
    cap: int | None
    weight: int
    share: float
    epochs: float | None
    licence: str | None
    get: str | None


@dataclass(frozen=True, slots=True)
class Sum:
    """Sums over the tasks of a submixture, group or category. `rows` leaves out the `unknown` tasks, whose
    number of rows is not published."""

    name: str
    tasks: int
    here: int
    rows: int
    unknown: int
    weight: int
    share: float
    epochs: float


@dataclass(frozen=True, slots=True)
class Missing:
    """The tasks of a submixture whose rows are not here (`all_of_it`: none are), the override that points to
    data, and what to fetch."""

    submixture: str
    tasks: tuple[str, ...]
    all_of_it: bool
    override: str
    get: str


@dataclass(frozen=True, slots=True)
class Offline:
    """The offline ledger. `examples`: the tasks' weights together, which is one epoch in which no task counts
    more than its cap.

    `first_repeated`: the task that is first through its rows, and after how many examples of the mixture.
    """

    examples: int
    tasks: tuple[Planned, ...]
    submixtures: tuple[Sum, ...]
    groups: tuple[Sum, ...]
    categories: tuple[Sum, ...]
    left_out: tuple[LeftOut, ...]
    missing: tuple[Missing, ...]
    first_repeated: tuple[str, int]

    @property
    def assumed(self) -> tuple[Planned, ...]:
        """The tasks whose number of rows is unknown, so that they count as much as their cap."""
        return tuple(task for task in self.tasks if task.rows is None)

    @property
    def described(self) -> dict[str, Any]:
        """The ledger as plain JSON values."""
        return asdict(self) | {
            "assumed": [{"task": task.task, "weight": task.weight} for task in self.assumed]
        }


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known about a task: its opened rows, its entry in the catalogue, or both."""

    name: str
    task: Task | None
    entry: Entry | None

    @property
    def rows(self) -> int | None:
        if self.task is not None:
            return len(self.task.rows)
        return self.entry.rows if self.entry else None

    @property
    def held_out(self) -> str | None:
        return self.task.held_out if self.task is not None else self.entry.held_out if self.entry else None

    @property
    def licence(self) -> str | None:
        return licence_of(self.task) if self.task is not None else self.entry.licence if self.entry else None

    @property
    def category(self) -> str:
        return self.entry.category if self.entry else self.task.category if self.task is not None else ""


def without_data(mixture: Mixture) -> tuple[str, ...]:
    """The submixtures of the collection that the recipe names no data for; with any, only the offline ledger
    can be had."""
    return tuple(
        name
        for name, submixture in mixture.submixtures.items()
        if submixture.data is None and name in SUBMIXTURES
    )


def offline_ledger(mixture: Mixture, tasks_here: Mapping[str, Mapping[str, Task]]) -> Offline:
    """Return the ledger of the whole mixture. `tasks_here` holds the opened tasks of the submixtures whose
    rows are available.

    Raises InputError like `open_mixture` for patterns, rates and licences, for a task with neither a number
    of rows nor a cap, and for rates by tokens, as there are no examples to measure.
    """
    if mixture.unit == "tokens":
        raise InputError(
            "`mixture.unit: tokens` needs the data of every submixture, as the examples of each task are "
            "measured; without them set mixture.unit=examples"
        )
    known = [one for name in mixture.submixtures for one in _chosen(mixture, name, tasks_here.get(name, {}))]
    check_licences(mixture.licences, [one.licence for one in known])
    reasons = {one.name: _reason(mixture, one) for one in known}
    left_out = [LeftOut(name, reason) for name, reason in reasons.items() if reason]
    kept_tasks = [one for one in known if not reasons[one.name]]
    check_something_left({one.name: one for one in kept_tasks}, left_out)
    capped = {one.name: _capped(mixture, one) for one in kept_tasks}
    groups = {name: task.group for name, task in capped.items()}
    opened = {one.name: one.task for one in kept_tasks if one.task is not None}
    share = as_released(shares(capped, relative_rates(mixture)), groups, opened)
    examples = sum(task.weight for task in capped.values())
    tasks = tuple(_planned(one, capped[one.name], share[one.name], examples) for one in kept_tasks)
    first = min(
        (task for task in tasks if task.rows is not None),
        key=lambda task: (task.rows or 0) / task.share,
        default=None,
    )
    return Offline(
        examples=examples,
        tasks=tasks,
        submixtures=_sums(tasks, {task.task: task.submixture for task in tasks}, examples),
        groups=_sums(tasks, {task.task: task.group for task in tasks}, examples),
        categories=_sums(
            sorted(tasks, key=lambda task: task.category),
            {task.task: task.category for task in tasks},
            examples,
        ),
        left_out=tuple(left_out),
        missing=tuple(_missing(mixture, tasks)),
        first_repeated=("", 0) if first is None else (first.task, round((first.rows or 0) / first.share)),
    )


def _chosen(mixture: Mixture, submixture: str, tasks: Mapping[str, Task]) -> list[_Known]:
    """The catalogue's tasks of a submixture, and those here that it does not have, as far as the recipe's
    patterns choose them."""
    tasks_by_name = {real_name(name): task for name, task in tasks.items()}
    # Rows that others rendered stand for the whole submixture, in tasks of their own.
    ready_made = any(task.finished for task in tasks_by_name.values())
    entries = (
        {entry.name: entry for entry in find(submixture=submixture, held_out=None)}
        if submixture in SUBMIXTURES and not ready_made
        else {}
    )
    known = {
        name: _Known(name, tasks_by_name.get(name), entries.get(name))
        for name in [*entries, *(name for name in tasks_by_name if name not in entries)]
    }
    return list(select(known, mixture.submixtures[submixture].tasks).values())


def _reason(mixture: Mixture, known: _Known) -> str | None:
    reason = why_left_out(mixture, known.name, known.held_out, known.licence)
    # With the files at hand, some of these tasks are let through.
    return (
        IN_ITS_FILE if reason == UNKNOWN and known.task is None and known.name.startswith("niv2/") else reason
    )


def _capped(mixture: Mixture, known: _Known) -> Capped:
    group = group_of(mixture, known.name)
    cap = cap_of(mixture, group)
    if known.task is not None:
        return capped_task(known.task, group, cap)
    rows = known.rows if known.rows is not None else cap
    if rows is None:
        raise InputError(
            f"{known.name}: how many rows it has is not published and `{group}` has no cap, so it has no "
            "weight; give it a cap with `cap:`"
        )
    return Capped(group, rows, cap)


def _planned(known: _Known, capped: Capped, share: float, examples: int) -> Planned:
    return Planned(
        task=known.name,
        submixture=known.name.partition("/")[0],
        group=capped.group,
        category=known.category,
        rows=known.rows,
        here=known.task is not None,
        cap=capped.cap,
        weight=capped.weight,
        share=share,
        epochs=share * examples / known.rows if known.rows else None,
        licence=known.licence,
        get=how_to_get(known.entry) if known.task is None and known.entry else None,
    )


def _sums(tasks: Iterable[Planned], names: Mapping[str, str], examples: int) -> tuple[Sum, ...]:
    """Return the tasks summed by the name that `names` gives for each. `epochs` are over the rows that count,
    not over all rows."""
    tasks_by_name: dict[str, list[Planned]] = {}
    for task in tasks:
        tasks_by_name.setdefault(names[task.task], []).append(task)
    return tuple(_sum(name, group, examples) for name, group in tasks_by_name.items())


def _sum(name: str, tasks: Sequence[Planned], examples: int) -> Sum:
    weight, share = sum(task.weight for task in tasks), sum(task.share for task in tasks)
    return Sum(
        name=name,
        tasks=len(tasks),
        here=sum(task.here for task in tasks),
        rows=sum(task.rows or 0 for task in tasks),
        unknown=sum(task.rows is None for task in tasks),
        weight=weight,
        share=share,
        epochs=share * examples / weight,
    )


def _missing(mixture: Mixture, tasks: tuple[Planned, ...]) -> Iterable[Missing]:
    for name in mixture.submixtures:
        of_it = [task for task in tasks if task.submixture == name]
        absent = tuple(task.task for task in of_it if not task.here)
        if absent:
            yield Missing(
                name,
                absent,
                len(absent) == len(of_it),
                f"mixture.submixtures.{name}.data=PATH",
                SUBMIXTURES[name].fetch,
            )
