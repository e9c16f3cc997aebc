"""Skills and tasks about facts of people, places, things and words, and about shared attributes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from openflan.microflan.world.forms import Item, Skill, make_task, phrase_item, yes_no_row
from openflan.microflan.world.world_facts import LANGUAGES, Function, World
from openflan.randomness import Draws
from openflan.tasks.task import Row, Task


def fact_skills(world: World) -> Iterator[Skill]:
    """One skill for each function of the world."""
    for function in world.functions:
        name, category = _name(function)
        yield Skill(name, category, len(function.facts), partial(_fact, function), split=function.split)


def sharing_tasks(world: World) -> Iterator[Task]:
    """A question with the answer yes or no: do two people have the same value of an attribute?"""
    for attribute in world.of_kind("attribute"):
        name, held_out = (
            f"microflan/same_{attribute.word}-verify",
            None if attribute.split == "train" else "skill",
        )
        size, make = 2 * len(attribute.facts), partial(_shared, attribute)
        yield make_task(
            name, world.seed, size, make, "comparison", frozenset({"options"}), held_out, attribute.split
        )


def partner(attribute: Function, person_index: int) -> str:
    """The other person who has what the `person_index`-th person has."""
    person, value = attribute.facts[person_index]
    return next(other for other, theirs in attribute.facts if theirs == value and other != person)


def _name(function: Function) -> tuple[str, str]:
    if function.kind == "attribute":
        return f"person_{function.word}", "person attributes"
    if function.kind == "word":
        return (
            f"word_{function.word.lower()}",
            "toy translation" if function.word in LANGUAGES else "word knowledge",
        )
    return f"{function.kind}_{function.word}", {
        "relation": "person relations",
        "place": "places",
        "thing": "things",
    }[function.kind]


def _fact(function: Function, index: int, _: Draws) -> Item:
    argument, value = function.facts[index]
    # Neither the value itself nor the argument: nobody is their own boss, and no word its own opposite.
    wrong_values = tuple(other for other in function.values if other not in (value, argument))
    return phrase_item(
        function.phrase.format(x=argument),
        value,
        wrong_values,
        asks="Who is" if function.persons else "What is",
    )


def _shared(attribute: Function, index: int, draws: Draws) -> Row:
    person_index, truth = index // 2, index % 2 == 0
    person, value = attribute.facts[person_index]
    other_person = (
        partner(attribute, person_index)
        if truth
        else draws.choice([other for other, theirs in attribute.facts if theirs != value])
    )
    return yes_no_row(f"Do {person} and {other_person} have the same {attribute.word}?", truth)
