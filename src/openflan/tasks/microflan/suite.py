"""All skills and all instruction tasks of the world."""

from __future__ import annotations

from collections.abc import Iterator

from openflan.tasks.microflan.facts import fact_skills, sharing_tasks
from openflan.tasks.microflan.forms import Skill
from openflan.tasks.microflan.judgements import judgement_tasks
from openflan.tasks.microflan.lists import list_skills
from openflan.tasks.microflan.multistep import multistep_tasks
from openflan.tasks.microflan.numbers import even_tasks, number_skills
from openflan.tasks.microflan.reading import reading_skills
from openflan.tasks.microflan.rules import format_skills, rule_skills
from openflan.tasks.microflan.terms import term_skills
from openflan.tasks.microflan.world import World, world
from openflan.tasks.task import Task


def skills(here: World) -> Iterator[Skill]:
    """Every skill that is asked in several forms, held-out ones included."""
    yield from fact_skills(here)
    yield from number_skills()
    yield from term_skills()
    yield from list_skills()
    yield from reading_skills()
    yield from rule_skills(here)
    yield from format_skills()


def microflan_tasks(seed: int = 0) -> dict[str, Task]:
    """Every task `microflan/SKILL-FORM` of the world of `seed`.

    Forms: `qa` (question and answer), `mc` (with options), `verify` (yes or no), `judge` (with three
    verdicts), `fill` (a sentence to complete), `state` (a whole sentence), `correct` (a wrong one to mend),
    `steps` (with a rationale), and the held-out `either`, `echo`, `reworded`. Tasks whose `held_out` is not
    None are for evaluation only; `microflan.splits` tells the kinds, `split` the set.
    """
    here = world(seed)
    tasks = [task for skill in skills(here) for task in skill.tasks(seed)]
    tasks += [*sharing_tasks(here), *even_tasks(seed), *judgement_tasks(here), *multistep_tasks(here)]
    return {task.name: task for task in tasks}
