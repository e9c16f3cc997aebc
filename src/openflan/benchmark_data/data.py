"""A benchmark's data as one value: `BenchmarkData`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeAlias

Part: TypeAlias = Literal["question", "option", "passage"]
PublicFile: TypeAlias = tuple[str, str]
"""The URL of a file and its sha256 in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Item:
    """A text of a benchmark, to be compared with training data.

    `task` names the file that holds it, `index` counts that file's questions from 0. Answer options and
    passages are kept apart from the question: a passage is public text that many collections share, so it is
    no leak of the question. A passage has the index of the first question about it.
    """

    benchmark: str
    task: str
    index: int
    text: str
    part: Part = "question"

    @property
    def group(self) -> str:
        """The name under which matches are counted: `mmlu`, `mmlu options`, `tydiqa passages`."""
        return self.benchmark if self.part == "question" else f"{self.benchmark} {self.part}s"


@dataclass(frozen=True, slots=True)
class TaskData:
    """A task of a benchmark: its number of questions by split, and the accuracy of guessing in percent."""

    num_questions: Mapping[str, int]
    chance: float = 0.0


@dataclass(frozen=True, slots=True)
class BenchmarkData:
    """What is known of a benchmark without a model.

    `tasks` has every task by name. `splits` are the splits that can be scored, the usual one first. `modes`
    are the ways to answer that the benchmark has (`direct`, `cot`).

    `folder` is the folder of its files within the folder that `--data` names; the benchmark's name if empty.
    `files` are files that must all be there, relative to `folder`. `item_files` are the files whose texts
    must not be in training data: each entry is a tuple of glob patterns relative to `folder`, of which the
    first that matches is read. `items(path)` yields the texts of one such file; it raises InputError, naming
    the file, for another layout.

    `homepage` is where the authors publish the files. `public_files` has URL and sha256 of each file by its
    path in `folder`; built-in benchmarks may have them in `public_files/NAME.json` instead.

    `training_tasks` are patterns of training tasks (`SUBMIXTURE/NAME`) that are made from this benchmark's
    data: a recipe that names the benchmark in `held_out` leaves them out.

    `benchmark` makes the benchmark that is evaluated, from `(mode, data, *, shots)`, and `split` if there are
    several splits. It is a function, or its name as `package.module:function`, which is imported when the
    benchmark is evaluated.
    """

    name: str
    tasks: Mapping[str, TaskData]
    benchmark: Callable[..., Any] | str
    items: Callable[[Path], Iterator[Item]]
    item_files: tuple[tuple[str, ...], ...]
    homepage: str = ""
    splits: tuple[str, ...] = ("test",)
    modes: tuple[str, ...] = ("direct", "cot")
    folder: str = ""
    files: tuple[str, ...] = ()
    training_tasks: tuple[str, ...] = ()
    public_files: Mapping[str, PublicFile] = field(default_factory=dict)

    @property
    def folder_name(self) -> str:
        """The name of the benchmark's folder."""
        return self.folder or self.name

    def is_source_of(self, task: str) -> bool:
        """Return True if a training task, `SUBMIXTURE/NAME`, is made from this benchmark's data."""
        return any(fnmatchcase(task, pattern) for pattern in self.training_tasks)
