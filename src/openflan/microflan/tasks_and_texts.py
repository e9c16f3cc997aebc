"""What the embedded source `microflan` offers to train on: the tasks of its submixtures, and plain text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openflan.microflan.world import GeneratedDocuments, microflan_tasks, text_tasks
from openflan.tasks.task import Task

_TASKS: Mapping[str, Callable[[int], dict[str, Task]]] = {
    "microflan": microflan_tasks,
    "microflan_text": text_tasks,
}


def tasks(submixture: str, seed: int) -> dict[str, Task]:
    """All tasks of `microflan` (instructions, held-out ones included) or `microflan_text` (plain text cut in
    two) in the world of a seed, by name."""
    return _TASKS[submixture](seed)


def documents(seed: int, mix: str) -> GeneratedDocuments:
    """The plain text of the world of a seed, for pretraining. Raises InputError for an unknown mix."""
    return GeneratedDocuments(seed, mix)
