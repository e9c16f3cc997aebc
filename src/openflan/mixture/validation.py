"""Rows that are kept out of training to measure the loss on: the same ones in every run, whatever its seed.

They are neither asked nor shown as exemplars. A task gives at most a tenth of its rows, so small ones are not
used up.
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
    """The tasks without `rows` rows each, and tasks of those rows; tasks of fewer than ten rows keep them
    all."""
    training, validation = {}, {}
    for name, task in tasks.items():
        count = len(task.rows)
        held = min(rows, int(count * MOST))
        numbers = Permutation(count, "validation", name)[np.arange(held)].tolist() if held else []
        training[name] = replace(task, rows=RowsWithout(task.rows, set(numbers))) if held else task
        if held:
            validation[name] = replace(task, rows=RowsOnly(task.rows, numbers))
    return training, validation
