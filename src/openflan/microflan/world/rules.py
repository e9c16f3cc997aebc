"""Rules to be found from examples in the question, and the same thing written in another format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from openflan.microflan.world.forms import OPEN_ENDED, Form, Item, Skill, phrase_item
from openflan.microflan.world.lists import joined, words, words_drawn, wrong_orders
from openflan.microflan.world.numbers import near
from openflan.microflan.world.splits import split_of_skill
from openflan.microflan.world.terms import MONTHS
from openflan.microflan.world.world_facts import ATTRIBUTES, OPPOSITES, PEOPLE, World
from openflan.randomness import Draws

SHOWN = 3
"""Examples of the rule in a question."""

_RULE_FORMS: tuple[Form, ...] = ("qa", "mc", "fill")
_FORMAT_FORMS: tuple[Form, ...] = ("qa", "mc", "fill", "state")

Pairs: TypeAlias = Callable[[Draws], list[tuple[str, str]]]
"""Draws `SHOWN` + 1 different arguments with their values."""


def rule_skills(world: World) -> Iterator[Skill]:
    """Skills that apply a rule, given three examples of it."""
    for name, factor, more in (
        ("rule_next", 1, 1),
        ("rule_before", 1, -1),
        ("rule_ten", 1, 10),
        ("rule_double", 2, 0),
    ):
        yield _rule(name, partial(_number_pairs, factor, more))
    orders: tuple[tuple[str, slice], ...] = (
        ("rule_first", slice(0, 1)),
        ("rule_last", slice(-1, None)),
        ("rule_reverse", slice(None, None, -1)),
    )
    for name, kept_slice in orders:
        yield _rule(name, partial(_list_pairs, kept_slice))
    yield _rule(
        "rule_opposite",
        partial(_drawn_pairs, [pair for one, other in OPPOSITES for pair in ((one, other), (other, one))]),
    )
    for function in world.functions:
        if function.word in ("colour", "food", "Tovi", "Lenko"):
            yield _rule(f"rule_{function.word.lower()}", partial(_drawn_pairs, list(function.facts)))


def format_skills() -> Iterator[Skill]:
    """Skills that write a value, such as a date, in another format."""
    makers: tuple[tuple[str, Callable[[int, Draws], Item]], ...] = (
        ("format_and", partial(_separated, "with and", " and ")),
        ("format_dash", partial(_separated, "with dashes", " - ")),
        ("format_pair", _pair),
        ("format_date", _date),
    )
    for name, make in makers:
        yield Skill(
            name, "format conversion", OPEN_ENDED, make, _FORMAT_FORMS, split_of_skill(name), enumerated=False
        )


def _rule(name: str, pairs: Pairs) -> Skill:
    return Skill(
        name,
        "rule induction",
        OPEN_ENDED,
        partial(_becomes, pairs),
        _RULE_FORMS,
        split_of_skill(name),
        enumerated=False,
    )


def _becomes(pairs: Pairs, _: int, draws: Draws) -> Item:
    *exemplar_pairs, (argument, answer) = pairs(draws)
    context = " ".join(f"{one} becomes {other}." for one, other in exemplar_pairs)
    if answer.isdigit():
        wrong_answers = near(int(answer))
    elif ", " in answer:
        wrong_answers = wrong_orders(answer.split(", "))
    else:
        wrong_answers = tuple(dict.fromkeys(other for _, other in exemplar_pairs if other != answer)) or (
            argument,
        )
    return Item(
        f"What does {argument} become?",
        f"by this rule {argument} becomes {{value}}",
        answer,
        wrong_answers,
        context,
    )


def _number_pairs(factor: int, more: int, draws: Draws) -> list[tuple[str, str]]:
    return [(str(number + 1), str(factor * (number + 1) + more)) for number in draws.distinct(SHOWN + 1, 20)]


def _list_pairs(kept_slice: slice, draws: Draws) -> list[tuple[str, str]]:
    count = 2 + draws.below(2)
    lists = [words(draws, count) for _ in range(SHOWN + 1)]
    return [(joined(drawn), joined(drawn[kept_slice])) for drawn in lists]


def _drawn_pairs(facts: list[tuple[str, str]], draws: Draws) -> list[tuple[str, str]]:
    return [facts[place] for place in draws.distinct(SHOWN + 1, len(facts))]


def _separated(how: str, mark: str, _: int, draws: Draws) -> Item:
    drawn = words_drawn(draws)
    return phrase_item(
        f"the list {joined(drawn)} written {how}",
        mark.join(drawn),
        wrong_orders(drawn, lambda items: mark.join(map(str, items))),
    )


def _pair(_: int, draws: Draws) -> Item:
    person, colour = draws.choice(PEOPLE), draws.choice(ATTRIBUTES["colour"])
    first, second = ("name", person), ("colour", colour)
    # Not the same labels in another order, which would be right too.
    wrong = (f"name {colour}, colour {person}", f"{person}, {colour}", f"name {person}, {colour}")
    return phrase_item(
        f"the pair {person} {colour} written with labels",
        f"{first[0]} {first[1]}, {second[0]} {second[1]}",
        wrong,
    )


def _date(_: int, draws: Draws) -> Item:
    day, month = 1 + draws.below(28), draws.below(12)
    wrong = (f"{MONTHS[month]} {day + 1}", f"{MONTHS[month - 1]} {day}", f"{day} {MONTHS[month]}")
    return phrase_item(
        f"the date {day} {MONTHS[month]} with the month first", f"{MONTHS[month]} {day}", wrong
    )
