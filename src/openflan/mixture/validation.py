"""Rows that are held back from training to measure the loss on. They are the same for every seed.

They are used neither as questions nor as exemplars. A task gives at most a tenth of its rows, so that small
tasks keep enough of them; or, where the recipe says so, the rows of its own validation split and none of its
training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from openflan.errors import InputError
from openflan.randomness import Permutation
from openflan.tasks.custom import task_of_split
from openflan.tasks.subset import RowsOnly, RowsWithout
from openflan.tasks.task import Task

MOST = 0.1
"""The largest share of a task's rows."""


def hold_back(
    tasks: Mapping[str, Task], rows: int, *, splits: bool = False
) -> tuple[dict[str, Task], dict[str, Task]]:
    """Return the tasks without `rows` rows each, and tasks made of those rows. Tasks of fewer than ten rows
    keep all of them. With `splits`, a task that has a validation split keeps all its rows, and that split's
    rows validate.

    Raises InputError with `splits` if no task has a validation split, and for broken rows of one.
    """
    training, validation = {}, {}
    if splits and not any("validation" in task.splits for task in tasks.values()):
        raise InputError(
            "mixture.validation: split: no task has validation rows; put a file such as validation.jsonl "
            "beside "
            "its train.jsonl, or hold back rows with `validation_rows`"
        )
    for name, task in tasks.items():
        if splits and "validation" in task.splits:
            training[name], validation[name] = task, task_of_split(task, "validation")
            continue
        count = len(task.rows)
        held = min(rows, int(count * MOST))
        numbers = Permutation(count, "validation", name)[np.arange(held)].tolist() if held else []
        training[name] = replace(task, rows=RowsWithout(task.rows, set(numbers))) if held else task
        if held:
            validation[name] = replace(task, rows=RowsOnly(task.rows, numbers))
    return training, validation
