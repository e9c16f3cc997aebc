"""What is true of people and words: attributes, relations, word maps, and who shares an attribute."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from openflan.randomness import Draws
from openflan.tasks.microflan.forms import Item, Skill, judged, make_task
from openflan.tasks.microflan.world import LANGUAGES, Function, World
from openflan.tasks.task import Row, Task

_CLAIMS = ("Is {value} {phrase}?", "Is it true that {phrase} is {value}?")


def fact_skills(world: World) -> Iterator[Skill]:
    """One skill for each function of the world, held out where the function is."""
    for function in world.functions:
        name, category = _name(function)
        yield Skill(
            name=name,
            category=category,
            size=len(function.facts),
            item=partial(_fact, function),
            asks="Who is" if function.kind == "relation" else "What is",
            claims=_CLAIMS,
            held_out="skill" if function.held_out else None,
        )


def sharing_tasks(world: World) -> Iterator[Task]:
    """Whether two people have the same value of an attribute."""
    for attribute in world.of_kind("attribute"):
        name, held_out = f"microflan/same_{attribute.word}-verify", "skill" if attribute.held_out else None
        size = 2 * len(attribute.facts)
        yield make_task(name, world.seed, size, partial(_shared, attribute), "comparison and verification", frozenset({"options"}), held_out)


def partner(attribute: Function, number: int) -> str:
    """The other person who has what the `number`-th person has."""
    person, value = attribute.facts[number]
    return next(other for other, theirs in attribute.facts if theirs == value and other != person)


def _name(function: Function) -> tuple[str, str]:
    if function.kind == "attribute":
        return f"person_{function.word}", "person attributes"
    if function.kind == "relation":
        return f"relation_{function.word}", "person relations"
    return f"word_{function.word.lower()}", "toy translation" if function.word in LANGUAGES else "word knowledge"


def _fact(function: Function, number: int, _: Draws) -> Item:
    argument, value = function.facts[number]
    # Neither the value itself nor the argument: nobody is their own boss, and no word its own opposite.
    others = tuple(other for other in function.values if other not in (value, argument))
    return Item(function.phrase.format(x=argument), value, others)


def _shared(attribute: Function, index: int, draws: Draws) -> Row:
    number, truth = index // 2, index % 2 == 0
    person, value = attribute.facts[number]
    other = partner(attribute, number) if truth else draws.choice([other for other, theirs in attribute.facts if theirs != value])
    return judged(f"Do {person} and {other} have the same {attribute.word}?", truth)
