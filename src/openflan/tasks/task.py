"""What is learned: a task and its rows.

A task is a dataset seen as one kind of question (Chung et al. 2022, section 2.1: "dataset x task category"). It knows nothing of wording or tokens.
Rows are reached by index, so that any of them can be rendered at any time without reading what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol, TypeAlias

from openflan.errors import InputError, did_you_mean

Row: TypeAlias = Mapping[str, str | Sequence[str]]
"""The fields of one dataset item.

Field names are shared by all tasks: `question`, `answer`, `rationale`, `options` (a list, `answer` is one of them), `definition`, `references` (a
list of accepted answers) and, for rows that are already worded, `inputs` and `targets`.
"""

_NAME = re.compile(r"[a-z0-9_]+/[A-Za-z0-9_.\-]+")


class Rows(Protocol):
    """Rows by index; an index outside [0, len) is a mistake of the caller."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Row: ...


@dataclass(frozen=True, slots=True)
class Task:
    """A named task.

    `name` is `submixture/name`. `fields` are those that every row has. `held_out` names the kind of generalisation a task tests (None: it may be
    trained on). `metric` is how its answers are compared (`exact_match`).
    """

    name: str
    rows: Rows
    fields: frozenset[str]
    dataset: str
    category: str
    languages: tuple[str, ...] = ("English",)
    licence: str | None = None
    held_out: str | None = None
    metric: str = "exact_match"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"`{self.name}` cannot name a task: use submixture/name, such as `mine/quiz` (letters, digits, `_`, `.`, `-`; submixture in lower case)"
            )

    @property
    def submixture(self) -> str:
        return self.name.partition("/")[0]


def select(tasks: Mapping[str, Task], patterns: Sequence[str]) -> dict[str, Task]:
    """The tasks whose names match any of `patterns` (`cot/*`, `cot/gsm8k`, or a bare unique name), in the order of `tasks`.

    Raises InputError for a pattern that matches nothing, with the nearest name.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        matched = [name for name in tasks if fnmatchcase(name, pattern)] or [name for name in tasks if name.partition("/")[2] == pattern]
        if not matched:
            raise InputError(f"no task matches `{pattern}`{did_you_mean(pattern, _names(tasks)) or f'; there are {len(tasks)}: {_some(tasks)}'}")
        if len(matched) > 1 and pattern not in tasks and not _is_pattern(pattern):
            raise InputError(f"`{pattern}` is not unique: write one of {', '.join(matched)}")
        chosen.update(matched)
    return {name: task for name, task in tasks.items() if name in chosen}


def _names(tasks: Mapping[str, Task]) -> list[str]:
    """Full and bare names."""
    return [*tasks, *(name.partition("/")[2] for name in tasks)]


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def _some(names: Mapping[str, Task], most: int = 5) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")
