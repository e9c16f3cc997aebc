"""The tasks of a recipe's mixture, and rows as text."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from openflan.errors import InputError
from openflan.frames import frame_of
from openflan.mixture.open_mixture import build_stream, check_places, task_shares
from openflan.mixture.open_mixture import open_mixture as open_section
from openflan.recipe.schema import Recipe
from openflan.task_reports.find_task import find_task
from openflan.tasks.task import Task
from openflan.templates.render import Rendered, Renderer
from openflan.templates.style import Style
from openflan.templates.wording import load_wordings, packaged_wordings, wordings_for

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class OpenMixture:
    """The opened tasks of a recipe, by name.

    `left_out` gives the reason for each task that the recipe chose but that is not trained on. `validation`
    has the rows that are held back for validation.
    """

    recipe: Recipe
    tasks: Mapping[str, Task]
    left_out: Mapping[str, str]
    validation: Mapping[str, Task]

    @cached_property
    def shares(self) -> dict[str, float]:
        """The share of each task in the mixture; they add up to 1."""
        return task_shares(self.recipe.mixture, self.tasks)

    def examples(self, count: int = 1, *, start: int = 0) -> list[Rendered]:
        """The examples that training draws at the positions from `start` on, as text. All exemplars are kept;
        training leaves out those that exceed `packing.inputs`."""
        stream = build_stream(self.recipe.mixture, dict(self.tasks), self.recipe.seed)
        return [stream.unpruned(position) for position in range(start, start + count)]

    def to_frame(self) -> DataFrame:
        """One line for each task: its name, submixture, dataset, category, rows and share.

        Raises SetupError if pandas is not installed.
        """
        return frame_of(
            [
                {
                    "task": name,
                    "submixture": task.submixture,
                    "dataset": task.dataset,
                    "category": task.category,
                    "rows": len(task.rows),
                    "share": self.shares[name],
                }
                for name, task in self.tasks.items()
            ]
        )


def open_mixture(recipe: Recipe) -> OpenMixture:
    """Opens every task of the recipe's mixture that may be trained on, and checks its rows.

    Warns about public rows that cannot be used. Raises InputError for missing or damaged data, for an unknown
    or held-out task that the recipe names, and if no task is left.
    """
    check_places(recipe.mixture)
    mixture = open_section(recipe.mixture)
    if mixture.warning:
        warnings.warn(mixture.warning, stacklevel=2)
    left_out = {left.task: left.reason for left in mixture.left_out}
    return OpenMixture(recipe, mixture.tasks, left_out, mixture.validation)


def render(
    task: Task | str,
    style: Style | str = "zero-shot",
    *,
    data: Path | str | None = None,
    wordings: Path | str | None = None,
    index: int = 0,
    count: int = 1,
    shots: int | None = None,
    seed: int = 0,
) -> list[Rendered]:
    """Rows of a task as examples: `inputs`, `targets`, and where they came from.

    `task` is an opened task or a name such as `cot/gsm8k`, which is then opened from `data`, a file or
    folder; without `data` it is a task of the embedded world. `style` is `zero-shot` or `few-shot`, followed
    by `-cot` for a chain of thought or `-no-options` to hide the options. `wordings` is a YAML file whose
    wordings come before the packaged ones. `index` is the first row and `count` the number of rows. `shots`
    is the number of exemplars; without it, it is drawn. The same arguments give the same text.

    Raises InputError for an unknown task or style, and for rows that do not exist.
    """
    opened_task = task if isinstance(task, Task) else find_task(task, None if data is None else Path(data))
    check_rows(opened_task, index, count)
    parsed = style if isinstance(style, Style) else Style.parse(style)
    custom = load_wordings(Path(wordings)) if wordings else []
    renderer = Renderer(
        opened_task, wordings_for(opened_task.name, opened_task.fields, [*custom, *packaged_wordings()])
    )
    return [
        renderer.render(row, parsed, seed, position=row, shots=shots) for row in range(index, index + count)
    ]


def check_rows(task: Task, index: int, count: int) -> None:
    """Raises InputError if the task has no `count` rows from `index` on."""
    if index < 0 or count < 1 or index + count > len(task.rows):
        raise InputError(
            f"{task.name} has {len(task.rows):,} rows; --index {index} -n {count} is outside of them"
        )
