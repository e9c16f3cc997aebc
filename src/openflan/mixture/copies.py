"""Weights and shares of ready-made copies, as the public release defines them.

A task of such a copy is one source in one style, made of up to 1,556 tasks of the collection. A cap is that
of each of these: what a source counts is the sum over its tasks, by their names in the rows where these have
them, else by the catalogue. The styles of a source are drawn equally, as in the release
(flan/v2/run_example.py): the four of Flan 2021 and T0, zero-shot and few-shot of the others. Sources that
stand in one group have the ratios of the release (SOURCES).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from openflan.mixture.rates import Capped, redistributed
from openflan.recipe.presets import NOT_BUILT, SOURCES
from openflan.tasks.catalogue import Entry, catalogue
from openflan.tasks.task import Task

_FOUR_STYLES = frozenset({"flan2021", "t0"})
"""The sources that the release builds with and without options."""


def is_copy(task: Task) -> bool:
    """Whether a task is a source of a ready-made copy, in one style."""
    return task.part is not None and task.part in SOURCES


def capped_task(task: Task, group: str, cap: int | None) -> Capped:
    """A task with what of its rows counts at most. In a copy whose rows do not name their tasks, the
    published numbers of rows stand for them."""
    if not is_copy(task) or cap is None:
        return Capped(group, len(task.rows), cap)
    most = None if task.sizes else source_total(str(task.part), cap)
    return Capped(group, len(task.rows), cap, task.sizes, most)


@cache
def source_total(source: str, cap: int) -> int:
    """The rows of a source that count when each of its tasks counts `cap` at most: of the tasks that the
    release builds, by their published numbers."""
    return sum(min(entry.rows, cap) for entry in _entries(source) if entry.rows is not None)


def as_released(
    shares: Mapping[str, float], groups: Mapping[str, str], tasks: Mapping[str, Task]
) -> dict[str, float]:
    """The shares with those of copies as the release has them: of each group's sources, and of each source's
    styles. Other tasks keep theirs; `groups` names the group of each task."""
    copies = {name: task for name, task in tasks.items() if is_copy(task)}
    members: dict[tuple[str, str], list[str]] = {}
    for name, task in copies.items():
        members.setdefault((groups[name], str(task.part)), []).append(name)
    even = dict(shares)
    for (_, source), names in members.items():
        weights = {name: _style_weight(source, name, names) for name in names}
        whole, total = sum(shares[name] for name in names), sum(weights.values())
        even |= {name: whole * weight / total for name, weight in weights.items()}
    sides = {name: (groups[name], str(task.part)) for name, task in copies.items()}
    return redistributed(even, sides, SOURCES)


def _style_weight(source: str, name: str, names: Sequence[str]) -> float:
    """The weight of a source's style among its styles: equal, or equal for zero-shot and few-shot."""
    if source in _FOUR_STYLES:
        return 1.0
    return 1.0 / sum(_few_shot(other) == _few_shot(name) for other in names)


def _few_shot(name: str) -> bool:
    return name.endswith(("fs_opt", "fs_noopt"))


def _entries(source: str) -> list[Entry]:
    """The tasks of a source that the release builds."""
    submixture = {"flan2021": "muffin", "dialog": "muffin", "t0": "t0_sf"}.get(source, source)
    part = source if submixture == "muffin" else None
    return [
        entry
        for entry in catalogue().values()
        if (entry.submixture, entry.part) == (submixture, part)
        and entry.held_out is None
        and entry.name not in NOT_BUILT["release"]
    ]
