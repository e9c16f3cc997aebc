"""Short passages and tables to read before answering: nothing in them is known from the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from openflan.microflan.world.forms import OPEN_ENDED, Item, Skill, phrase_item
from openflan.microflan.world.numbers import near
from openflan.microflan.world.splits import split_of_skill
from openflan.microflan.world.world_facts import PEOPLE
from openflan.randomness import Draws

SPOTS = ("park", "shop", "school", "station", "market", "forest", "library", "museum")
CARRIED = ("ball", "coin", "map", "pen", "cup", "key", "box", "hat")
SIZES = ("big", "small", "old", "young", "fast", "slow")

_READERS = (2, 3)
"""People in a passage."""


def reading_skills() -> Iterator[Skill]:
    """One skill for each question about a passage or a table; all drawn."""
    makers: tuple[tuple[str, str, Callable[[int, Draws], Item]], ...] = (
        ("reading_place", "reading", _place),
        ("reading_thing", "reading", _thing),
        ("reading_quality", "reading", _quality),
        ("reading_last", "reading", _last_place),
        ("reading_who", "reading", _who),
        ("reading_given", "reading", _given),
        ("table_value", "tables", _points),
        ("table_most", "tables", partial(_most, "most")),
        ("table_least", "tables", partial(_most, "fewest")),
        ("table_holder", "tables", _holder),
    )
    for name, category, make in makers:
        yield Skill(name, category, OPEN_ENDED, make, split=split_of_skill(name), enumerated=False)


def _passage(draws: Draws, values: tuple[str, ...], sentence: str) -> tuple[str, list[str], list[str], int]:
    """Fills `sentence` for two or three people. Returns the text, the people, a different value for each, and
    the index of the person in the question."""
    count = draws.choice(_READERS)
    people = [PEOPLE[place] for place in draws.distinct(count, len(PEOPLE))]
    chosen_values, chosen = (
        [values[place] for place in draws.distinct(count, len(values))],
        draws.below(count),
    )
    return (
        " ".join(
            sentence.format(person=person, value=value)
            for person, value in zip(people, chosen_values, strict=True)
        ),
        people,
        chosen_values,
        chosen,
    )


def _without(items: list[str], index: int) -> tuple[str, ...]:
    return tuple(item for number, item in enumerate(items) if number != index)


def _place(_: int, draws: Draws) -> Item:
    context, people, spots, chosen = _passage(draws, SPOTS, "{person} is in the {value}.")
    return Item(
        f"Where is {people[chosen]}?",
        f"the place of {people[chosen]} is the {{value}}",
        spots[chosen],
        _without(spots, chosen),
        context,
    )


def _thing(_: int, draws: Draws) -> Item:
    context, people, objects, chosen = _passage(draws, CARRIED, "{person} has a {value}.")
    return Item(
        f"What does {people[chosen]} have?",
        f"what {people[chosen]} has is a {{value}}",
        objects[chosen],
        _without(objects, chosen),
        context,
    )


def _quality(_: int, draws: Draws) -> Item:
    objects, qualities, chosen = (
        draws.distinct(2, len(CARRIED)),
        draws.distinct(2, len(SIZES)),
        draws.below(2),
    )
    words, sizes = [CARRIED[place] for place in objects], [SIZES[place] for place in qualities]
    context = " ".join(f"The {word} is {quality}." for word, quality in zip(words, sizes, strict=True))
    return Item(
        f"What is the {words[chosen]} like?",
        f"the {words[chosen]} here is {{value}}",
        sizes[chosen],
        _without(sizes, chosen),
        context,
    )


def _last_place(_: int, draws: Draws) -> Item:
    first, second, third = (SPOTS[place] for place in draws.distinct(3, len(SPOTS)))
    person, other_person = (PEOPLE[place] for place in draws.distinct(2, len(PEOPLE)))
    moves = [f"{person} goes to the {first}.", f"{person} goes to the {second}."]
    moves.insert(draws.below(3), f"{other_person} goes to the {third}.")
    return Item(
        f"Where is {person} now?",
        f"the place where {person} is now is the {{value}}",
        second,
        (first, third),
        " ".join(moves),
    )


def _who(_: int, draws: Draws) -> Item:
    context, people, spots, chosen = _passage(draws, SPOTS, "{person} is in the {value}.")
    return Item(
        f"Who is in the {spots[chosen]}?",
        f"the person in the {spots[chosen]} is {{value}}",
        people[chosen],
        _without(people, chosen),
        context,
    )


def _given(_: int, draws: Draws) -> Item:
    giver, receiver, third = (PEOPLE[place] for place in draws.distinct(3, len(PEOPLE)))
    gift, kept_object = (CARRIED[place] for place in draws.distinct(2, len(CARRIED)))
    gifts = [f"{giver} gives the {gift} to {receiver}.", f"{third} has the {kept_object}."]
    if draws.below(2):
        gifts.reverse()
    return Item(
        f"Who has the {gift} now?",
        f"the one who has the {gift} now is {{value}}",
        receiver,
        (giver, third),
        " ".join(gifts),
    )


def _table(draws: Draws) -> tuple[str, list[str], list[int]]:
    people = [PEOPLE[place] for place in draws.distinct(3, len(PEOPLE))]
    points = [1 + number for number in draws.distinct(3, 20)]
    return (
        "Points: "
        + ", ".join(f"{person} {number}" for person, number in zip(people, points, strict=True))
        + ".",
        people,
        points,
    )


def _points(_: int, draws: Draws) -> Item:
    context, people, points = _table(draws)
    chosen = draws.below(3)
    wrong_answers = tuple(
        dict.fromkeys(
            [*(str(number) for number in points if number != points[chosen]), *near(points[chosen])]
        )
    )[:4]
    return phrase_item(
        f"the number of points of {people[chosen]}", str(points[chosen]), wrong_answers, context=context
    )


def _most(word: str, _: int, draws: Draws) -> Item:
    context, people, points = _table(draws)
    chosen = points.index(max(points) if word == "most" else min(points))
    return phrase_item(
        f"the person with the {word} points",
        people[chosen],
        _without(people, chosen),
        asks="Who is",
        context=context,
    )


def _holder(_: int, draws: Draws) -> Item:
    context, people, points = _table(draws)
    chosen = draws.below(3)
    return phrase_item(
        f"the holder of {points[chosen]} points",
        people[chosen],
        _without(people, chosen),
        asks="Who is",
        context=context,
    )
