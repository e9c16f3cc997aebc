"""All skills and all instruction tasks of the world."""

from __future__ import annotations

from collections.abc import Iterator

from openflan.microflan.world.facts import fact_skills, sharing_tasks
from openflan.microflan.world.forms import Skill
from openflan.microflan.world.judgements import judgement_tasks
from openflan.microflan.world.lists import list_skills
from openflan.microflan.world.multistep import multistep_tasks
from openflan.microflan.world.numbers import even_tasks, number_skills
from openflan.microflan.world.reading import reading_skills
from openflan.microflan.world.rules import format_skills, rule_skills
from openflan.microflan.world.terms import term_skills
from openflan.microflan.world.world_facts import World, world
from openflan.tasks.task import Task


def skills(facts: World) -> Iterator[Skill]:
    """Every skill that is asked in several forms, held-out ones included."""
    yield from fact_skills(facts)
    yield from number_skills()
    yield from term_skills()
    yield from list_skills()
    yield from reading_skills()
    yield from rule_skills(facts)
    yield from format_skills()


def microflan_tasks(seed: int = 0) -> dict[str, Task]:
    """Every task `microflan/SKILL-FORM` of the world of `seed`.

    Forms: `qa` (question and answer), `mc` (with options), `verify` (yes or no), `judge` (with three
    verdicts). Further forms: `fill` (a sentence to complete), `state` (a whole sentence), `correct` (a wrong
    one to mend), `steps` (with a rationale). The forms `either`, `echo` and `reworded` are held out. Tasks
    whose `held_out` is not None are for evaluation only; the module `splits` describes the kinds, `split` is
    the set.
    """
    facts = world(seed)
    tasks = [task for skill in skills(facts) for task in skill.tasks(seed)]
    tasks += [*sharing_tasks(facts), *even_tasks(seed), *judgement_tasks(facts), *multistep_tasks(facts)]
    return {task.name: task for task in tasks}
