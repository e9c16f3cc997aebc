"""All instruction tasks of the world, in one mapping."""

from __future__ import annotations

from openflan.tasks.microflan.facts import fact_skills, sharing_tasks
from openflan.tasks.microflan.lists import list_skills
from openflan.tasks.microflan.multistep import multistep_tasks
from openflan.tasks.microflan.numbers import comparison_tasks, number_skills
from openflan.tasks.microflan.world import world
from openflan.tasks.task import Task


def microflan_tasks(seed: int = 0) -> dict[str, Task]:
    """Every task `microflan/SKILL-FORM` of the world of `seed`.

    Forms: `qa` (question and answer), `mc` (with options), `verify` (yes or no), `fill` (a sentence to complete), `steps` (with a rationale).
    Tasks whose `held_out` is not None are for evaluation only: `skill` for functions that no trainable task mentions in any form, `composition` for pairs
    of functions that are instructed apart but never together.
    """
    here = world(seed)
    skills = [*fact_skills(here), *number_skills(), *list_skills()]
    tasks = [task for skill in skills for task in skill.tasks(seed)]
    tasks += [*sharing_tasks(here), *comparison_tasks(seed), *multistep_tasks(here)]
    return {task.name: task for task in tasks}
