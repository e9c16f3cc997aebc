"""What is learned: a task and its rows.

A task is a dataset seen as one kind of question (Chung et al. 2022, section 2.1: "dataset x task category"). It knows nothing of wording or tokens.
Rows are reached by index, so that any of them can be rendered at any time without reading what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from openflan.errors import InputError, did_you_mean

Row: TypeAlias = Mapping[str, str | Sequence[str]]
"""The fields of one dataset item.

Field names are shared by all tasks: `question`, `answer`, `rationale`, `options` (a list, `answer` is one of them), `definition`, `references` (a
list of accepted answers), `positive_input`, `positive_output`, `positive_explanation` and `negative_...` (the first example of an instruction) and,
for rows that are already worded, `inputs`, `targets` and `source_task` (the task's name where the row comes from).
"""

LIST_FIELDS = ("options", "references")
"""The fields that are lists of texts; all others are texts."""

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9_]+/[A-Za-z0-9_.\-]+")


class Rows(Protocol):
    """Rows by index; an index outside [0, len) is a mistake of the caller."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Row: ...


@dataclass(frozen=True, slots=True)
class Task:
    """A named task.

    `name` is `submixture/name`. `fields` are those that its rows have; where some rows lack some of them, `lacking` has each such field with the place
    (file and row) of the first row without it. `held_out` names the kind of generalisation a task tests (None: it may be
    trained on), and `split` the set of a suite that keeps several apart (`train`, `dev`, `test`). `metric` is how its answers are compared
    (`exact_match`). `refused` counts rows of the source that were left out, as they have no targets or are held out. `finished` rows are whole
    examples (a collection that others rendered, conversations): they are shown as they are, without exemplars.
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
    refused: int = 0
    finished: bool = False
    split: str | None = None
    lacking: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"`{self.name}` cannot name a task: use submixture/name, such as `mine/quiz` (letters, digits, `_`, `.`, `-`; submixture in lower case)"
            )

    @property
    def submixture(self) -> str:
        return self.name.partition("/")[0]


Opener: TypeAlias = Callable[[], Task]
"""Opens a task and checks its rows; raises InputError or SetupError."""


def name_of(submixture: str, text: str) -> str:
    """A task's name from any text, such as a file's name."""
    return f"{submixture}/{re.sub(r'[^A-Za-z0-9_.-]', '_', text)}"


def one_file_each(files: Iterable[Path], name: Callable[[Path], str]) -> dict[str, Path]:
    """The files by the names of their tasks; raises InputError if two would have the same."""
    named: dict[str, Path] = {}
    for file in files:
        other = named.setdefault(name(file), file)
        if other is not file:
            raise InputError(f"{file}: its task would be named `{name(file)}`, as that of {other.name}; rename one of the files")
    return named


def select(tasks: Mapping[str, T], patterns: Sequence[str]) -> dict[str, T]:
    """The tasks (or their openers) whose names match any of `patterns` (`cot/*`, `cot/gsm8k`, or a bare unique name), in the order of `tasks`.

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


def _names(tasks: Iterable[str]) -> list[str]:
    """Full and bare names."""
    return [*tasks, *(name.partition("/")[2] for name in tasks)]


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def _some(names: Iterable[str], most: int = 5) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")
