"""Hashes of what a task's examples are made of: all of its rows, and wordings that are not the packaged
ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from openflan.recipe.schema import Recipe
from openflan.tasks.digest import rows_digest
from openflan.tasks.task import Task
from openflan.templates.choice import Named, wordings_files


def fingerprints(recipe: Recipe, tasks: Mapping[str, Task]) -> dict[str, str]:
    """The fingerprint of every task of a recipe, by name."""
    return {
        name: fingerprint(task, recipe.mixture.submixtures[task.submixture].wordings)
        for name, task in tasks.items()
    }


def fingerprint(task: Task, wordings: Named | Path | None = None) -> str:
    """A hash of all of a task's rows, and of the files of its wordings if they are not the packaged ones."""
    files = [path.read_bytes() if path.is_file() else b"" for path in wordings_files(wordings, task.name)]
    return hashlib.sha256(
        b"".join([rows_digest(task.rows), *(hashlib.sha256(text).digest() for text in files)])
    ).hexdigest()
