"""Super-NaturalInstructions task files: one JSON object a task, as in a checkout's `tasks/` folder.

A file holds the task's definition, explained examples of good and bad answers, and its instances; almost
every field is a list, the definition and the outputs too. An instance with several accepted outputs trains on
the first and is scored against all.

The instances of the whole collection take some gigabytes, so only their places in the files are kept (8 bytes
each) and each is parsed when it is drawn. The places come from an index (`natural_instructions_index`); the
files are walked key by key only where it lacks them.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from openflan.errors import InputError
from openflan.tasks.digest import file_digest, joined
from openflan.tasks.file_notes import stamps_are_trusted
from openflan.tasks.natural_instructions_file import question_and_outputs
from openflan.tasks.natural_instructions_index import index_ahead, indexed
from openflan.tasks.natural_instructions_rows import MMLU, is_mmlu, published
from openflan.tasks.public import public
from openflan.tasks.slices import Slices
from openflan.tasks.task import Opener, Row, Task, name_of, one_file_each

FIELDS = frozenset({"definition", "question", "answer", "references"})
"""The fields of every row; tasks with examples have `positive_input`, `positive_output`,
`positive_explanation` too, and `negative_...`."""


class NaturalInstructionsRows:
    """The instances of one task file."""

    def __init__(
        self, file: Slices, spans: array[int], shared: Mapping[str, str], content: bytes, *, verified: bool
    ) -> None:
        """`spans`: first byte and end of every instance, one after the other; `shared`: the fields that all
        rows have alike; `content`: the hash of the file's bytes, `verified` if they were read now."""
        self._file = file
        self._spans = spans
        self._shared = shared
        self._content = content
        self._verified = verified

    def __len__(self) -> int:
        return len(self._spans) // 2

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(index)
        instance = json.loads(self._file.read(self._spans[2 * index], self._spans[2 * index + 1]))
        question, outputs = question_and_outputs(instance)
        return {**self._shared, "question": question, "answer": outputs[0], "references": outputs}

    def digest(self) -> bytes | None:
        known = self._verified or stamps_are_trusted()
        content = self._content if known else file_digest(self._file.path)
        return joined("instances", [content, self._spans.tobytes()])


@dataclass(frozen=True, slots=True)
class _TaskFileOpener:
    """Opens the task of one file. What it raises as InputError, it raises as NotUsable, as the other tasks of
    the collection go on without it."""

    path: Path
    submixture: str

    def __call__(self) -> Task:
        return public(partial(read_task, self.path, self.submixture))()


def find_natural_instructions(data: Path, submixture: str) -> dict[str, Opener]:
    """The tasks of a folder of `task*.json` files (or its `tasks/` folder), or of one file; names are those
    of the public list of tasks (see `published`).

    Raises InputError if there is none, or if two files name one task.
    """
    folder = data / "tasks" if (data / "tasks").is_dir() else data
    files = sorted(folder.glob("task*.json")) if folder.is_dir() else [data]
    if not files:
        raise InputError(
            f"{folder}: no task*.json files; expected the `tasks` folder of a natural-instructions checkout"
        )
    named = one_file_each(files, lambda file: name_of(submixture, published(file.stem)))
    return {name: _TaskFileOpener(file, submixture) for name, file in named.items()}


def prepare_openers(openers: Iterable[Opener]) -> None:
    """Indexes the files of those openers that are for natural-instructions files, all together; opening them
    then takes milliseconds each."""
    index_ahead([opener.path for opener in openers if isinstance(opener, _TaskFileOpener)])


def read_task(path: Path, submixture: str) -> Task:
    """The task of one file. Instances that lack input or output, or whose outputs are all empty, are left out
    and counted; inputs may be empty.

    Raises InputError naming file and key for unreadable JSON or a missing field, and NotUsable if no instance
    can be used.
    """
    file = Slices(path)
    contents, digest = indexed(path)
    texts = contents.texts
    return Task(
        name=name_of(submixture, published(path.stem)),
        rows=NaturalInstructionsRows(
            file, contents.spans, contents.shared, digest, verified=not stamps_are_trusted()
        ),
        fields=FIELDS | contents.shared.keys(),
        dataset=", ".join(texts["Source"]) or path.stem,
        category=", ".join(texts["Categories"]).lower() or "uncategorised",
        languages=tuple(sorted({*texts["Input_language"], *texts["Output_language"]}) or ["English"]),
        licence=", ".join(texts["Instance License"]) or None,
        held_out=MMLU if is_mmlu(path.stem) else None,
        left_out=dict(contents.left_out),
    )
