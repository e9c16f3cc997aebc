"""A task and its rows.

A task is a dataset seen as one kind of question (Chung et al. 2022, section 2.1: "dataset x task category").
A task holds no wording and no tokens. Rows are read by index, so that any of them can be rendered without
reading the rows before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from openflan.errors import InputError, did_you_mean
from openflan.tasks.catalogue.table import real_name

Row: TypeAlias = Mapping[str, str | Sequence[str]]
"""The fields of one dataset item.

Field names are shared by all tasks: `question`, `answer`, `rationale`, `options` (a list, `answer` is one of
them), `definition`, `references` (a list of accepted answers), `positive_input`, `positive_output`,
`positive_explanation` and `negative_...` (the first example of an instruction) and, for rows that are already
worded, `inputs`, `targets` and `source_task` (the task's name where the row comes from).
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

    `name` is `submixture/name`. `fields` are those that its rows have; where some rows lack some of them,
    `lacking` has each such field with the place (file and row) of the first row without it. `held_out` names
    the kind of generalisation a task tests (None: it may be trained on), and `split` the set of a suite that
    keeps several apart (`train`, `dev`, `test`). `metric` is how its answers are compared (`exact_match`).
    `left_out` counts the rows of the source that were left out, by reason (`empty targets`). `finished` rows
    are whole examples (a collection that others rendered, conversations): they are shown as they are, without
    exemplars. `part` names the part of the collection that the rows of a copy come from (`dialog`), where one
    submixture takes several; `sizes` are then the rows that come from each task of the collection, as far as
    the rows name their tasks. `place` is the file, folder or `hub:...` that gave the task, where the recipe
    names several.
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
    left_out: Mapping[str, int] = field(default_factory=dict, hash=False)
    finished: bool = False
    split: str | None = None
    lacking: tuple[tuple[str, str], ...] = ()
    part: str | None = None
    place: str | None = None
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"`{self.name}` cannot name a task: use submixture/name, such as `mine/quiz` (letters, "
                "digits, `_`, `.`, `-`; submixture in lower case)"
            )

    @property
    def submixture(self) -> str:
        return self.name.partition("/")[0]

    @property
    def refused(self) -> int:
        """The rows of the source that were left out."""
        return sum(self.left_out.values())


Opener: TypeAlias = Callable[[], Task]
"""Opens a task and checks its rows; raises InputError or SetupError."""


class NotUsable(InputError):
    """A task of public data that cannot be had: none of its rows can be used, or its data set is gone. Others
    go on without it."""


def name_of(submixture: str, text: str) -> str:
    """A task's name from any text, such as a file's name."""
    return f"{submixture}/{re.sub(r'[^A-Za-z0-9_.-]', '_', text)}"


def one_file_each(files: Iterable[Path], name: Callable[[Path], str]) -> dict[str, Path]:
    """The files by the names of their tasks; raises InputError if two would have the same."""
    named: dict[str, Path] = {}
    for file in files:
        other = named.setdefault(name(file), file)
        if other is not file:
            raise InputError(
                f"{file}: its task would be named `{name(file)}`, as that of {other.name}; rename one of "
                "the files"
            )
    return named


EXCLUDED = "!"
"""The first character of a pattern that removes tasks."""


def select(tasks: Mapping[str, T], patterns: Sequence[str]) -> dict[str, T]:
    """The tasks (or their openers) that `patterns` choose, in the order of `tasks`.

    A pattern is a full name, a unique name without its submixture, or has `*`, `?` or `[...]` for parts of
    full names. `!` before a pattern removes what it matches, whatever the order of the patterns; if all
    patterns begin so, they remove from all tasks. Raises InputError for a pattern that matches nothing, with
    the nearest name, and if nothing is left.
    """
    included = [pattern for pattern in patterns if not pattern.startswith(EXCLUDED)]
    chosen = {name for pattern in included for name in _matched(tasks, pattern)} if included else set(tasks)
    taken_away = {
        name
        for pattern in patterns
        if pattern.startswith(EXCLUDED)
        for name in _matched(tasks, pattern.removeprefix(EXCLUDED))
    }
    if chosen and chosen <= taken_away:
        raise InputError(
            f"no task is left: {', '.join(f'`{pattern}`' for pattern in patterns)} take away all that "
            "they choose"
        )
    return {name: task for name, task in tasks.items() if name in chosen - taken_away}


def chosen(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names that any pattern matches and none with `!` takes away; patterns may match nothing, as those
    of one list for several sets do."""
    included = [pattern for pattern in patterns if not pattern.startswith(EXCLUDED)] or ["*"]
    taken_away = [pattern.removeprefix(EXCLUDED) for pattern in patterns if pattern.startswith(EXCLUDED)]

    def matches(name: str, listed: Sequence[str]) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in listed)

    return [name for name in names if matches(name, included) and not matches(name, taken_away)]


def open_each(
    openers: Mapping[str, Opener], patterns: Sequence[str] = ()
) -> tuple[dict[str, Task], dict[str, str]]:
    """The opened tasks by name, and those that cannot be used, with what is wrong with each.

    Raises what opening raises, but for NotUsable: that only for a task that `patterns` name outright, and if
    no task can be used.
    """
    opened: dict[str, Task] = {}
    unusable: dict[str, str] = {}
    for name, opener in openers.items():
        try:
            opened[name] = opener()
        except NotUsable as error:
            if name in patterns or name.partition("/")[2] in patterns:
                raise
            unusable[name] = str(error)
    if unusable and not opened:
        name, why = next(iter(unusable.items()))
        many = (
            f"; so are all {len(unusable):,} tasks, of which {name} is the first" if len(unusable) > 1 else ""
        )
        raise NotUsable(f"{why}{many}")
    return opened, unusable


def _matched(tasks: Mapping[str, object], pattern: str) -> list[str]:
    matched = [name for name in tasks if fnmatchcase(name, pattern)] or [
        name for name in tasks if _is_named(name, pattern)
    ]
    if not matched:
        hint = did_you_mean(pattern, _names(tasks)) or f"; there are {len(tasks)}: {_some(tasks)}"
        raise InputError(f"no task matches `{pattern}`{hint}")
    if len(matched) > 1 and pattern not in tasks and not _is_pattern(pattern):
        raise InputError(f"`{pattern}` is not unique: write one of {', '.join(matched)}")
    return matched


def _is_named(name: str, text: str) -> bool:
    """Whether a text is a task's name without its submixture, or another spelling of it, such as that of a
    natural-instructions file."""
    submixture, _, bare = name.partition("/")
    return bare == text or name in (real_name(text), real_name(f"{submixture}/{text}"))


def _names(tasks: Iterable[str]) -> list[str]:
    """Full and bare names."""
    return [*tasks, *(name.partition("/")[2] for name in tasks)]


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def _some(names: Iterable[str], limit: int = 5) -> str:
    listed = list(names)
    return ", ".join(listed[:limit]) + (", ..." if len(listed) > limit else "")
