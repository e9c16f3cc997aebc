"""Rows that are held back from training to measure the loss on. They are the same for every seed.

They are used neither as questions nor as exemplars. A task gives at most a tenth of its rows, so that small
tasks keep enough of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from openflan.randomness import Permutation
from openflan.tasks.subset import RowsOnly, RowsWithout
from openflan.tasks.task import Task

MOST = 0.1
"""The largest share of a task's rows."""


def hold_back(tasks: Mapping[str, Task], rows: int) -> tuple[dict[str, Task], dict[str, Task]]:
    """Return the tasks without `rows` rows each, and tasks made of those rows. Tasks of fewer than ten rows
    keep all of them."""
    training, validation = {}, {}
    for name, task in tasks.items():
        count = len(task.rows)
        held = min(rows, int(count * MOST))
        numbers = Permutation(count, "validation", name)[np.arange(held)].tolist() if held else []
        training[name] = replace(task, rows=RowsWithout(task.rows, set(numbers))) if held else task
        if held:
            validation[name] = replace(task, rows=RowsOnly(task.rows, numbers))
    return training, validation
