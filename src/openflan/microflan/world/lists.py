"""Short lists of words or numbers: their ends, order and length, how often a word stands in them, and lists
as sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from openflan.microflan.world.forms import OPEN_ENDED, Form, Item, Skill, phrase_item
from openflan.microflan.world.numbers import near
from openflan.microflan.world.splits import split_of_skill
from openflan.microflan.world.world_facts import LIST_WORDS
from openflan.randomness import Draws

LENGTHS = (3, 4)

_NUMBERS_BELOW = 31

_WHOLE_LISTS: tuple[Form, ...] = ("qa", "mc", "fill", "state")
"""The forms of answers that are lists; claims about them are long and teach little."""


def list_skills() -> Iterator[Skill]:
    """Operations on lists, counting, then two lists as sets; all drawn, all open-ended."""
    for name in ("first", "second", "last", "longest"):
        yield _skill(f"list_{name}", "list operations", partial(_word, name))
    for name in ("largest", "smallest"):
        yield _skill(f"list_{name}", "list operations", partial(_number, name))
    yield _skill("list_reverse", "list operations", _reverse, _WHOLE_LISTS)
    yield _skill("list_sorted", "list operations", _sorted, _WHOLE_LISTS)
    yield _skill("list_rest", "list operations", _rest, _WHOLE_LISTS)
    yield _skill("count_words", "counting", _length)
    yield _skill("count_times", "counting", _times)
    yield _skill("set_both", "set logic", _in_both)
    yield _skill("set_missing", "set logic", _missing)
    yield _skill("set_all", "set logic", _in_either, _WHOLE_LISTS)


def words_drawn(draws: Draws) -> list[str]:
    """Three or four different words."""
    return words(draws, draws.choice(LENGTHS))


def words(draws: Draws, count: int) -> list[str]:
    return [LIST_WORDS[place] for place in draws.distinct(count, len(LIST_WORDS))]


def joined(items: Sequence[int] | Sequence[str]) -> str:
    return ", ".join(map(str, items))


def wrong_orders(
    right: Sequence[int] | Sequence[str], join: Callable[[Sequence[int] | Sequence[str]], str] = joined
) -> tuple[str, ...]:
    """Three wrong orders of the same items (of two items there is but one): neighbours at either end are
    swapped, or all are moved round."""
    wrong = ([right[1], right[0], *right[2:]], [*right[:-2], right[-1], right[-2]], [*right[1:], right[0]])
    return tuple(dict.fromkeys(join(order) for order in wrong))


def _skill(
    name: str, category: str, item: Callable[[int, Draws], Item], forms: tuple[Form, ...] | None = None
) -> Skill:
    skill = Skill(name, category, OPEN_ENDED, item, split=split_of_skill(name), enumerated=False)
    return (
        skill
        if forms is None
        else Skill(name, category, OPEN_ENDED, item, forms, split_of_skill(name), enumerated=False)
    )


def _word(name: str, _: int, draws: Draws) -> Item:
    drawn = words_drawn(draws)
    if name == "longest":
        while [len(word) for word in drawn].count(max(map(len, drawn))) > 1:
            drawn = words_drawn(draws)
        answer = max(drawn, key=len)
    else:
        answer = drawn[{"first": 0, "second": 1, "last": -1}[name]]
    return phrase_item(
        f"the {name} word in the list {joined(drawn)}",
        answer,
        tuple(word for word in drawn if word != answer),
    )


def _number(name: str, _: int, draws: Draws) -> Item:
    numbers = draws.distinct(draws.choice(LENGTHS), _NUMBERS_BELOW)
    answer = max(numbers) if name == "largest" else min(numbers)
    return phrase_item(
        f"the {name} number in the list {joined(numbers)}",
        str(answer),
        tuple(str(number) for number in numbers if number != answer),
    )


def _reverse(_: int, draws: Draws) -> Item:
    drawn = words_drawn(draws)
    return phrase_item(
        f"the reverse of the list {joined(drawn)}", joined(drawn[::-1]), wrong_orders(drawn[::-1])
    )


def _sorted(_: int, draws: Draws) -> Item:
    numbers = draws.distinct(draws.choice(LENGTHS), _NUMBERS_BELOW)
    return phrase_item(
        f"the sorted form of the list {joined(numbers)}",
        joined(sorted(numbers)),
        wrong_orders(sorted(numbers)),
    )


def _rest(_: int, draws: Draws) -> Item:
    drawn = words_drawn(draws)
    wrong = (joined(drawn[:-1]), joined([drawn[0], *drawn[2:]]), joined(drawn[:0:-1]))
    return phrase_item(f"the list {joined(drawn)} without its first word", joined(drawn[1:]), wrong)


def _length(_: int, draws: Draws) -> Item:
    drawn = words(draws, 2 + draws.below(4))
    return phrase_item(f"the number of words in the list {joined(drawn)}", str(len(drawn)), near(len(drawn)))


def _times(_: int, draws: Draws) -> Item:
    known = words(draws, 2)
    drawn = [draws.choice(known) for _ in range(draws.choice(LENGTHS))]
    count = drawn.count(known[0])
    return phrase_item(
        f"the number of times that {known[0]} stands in the list {joined(drawn)}", str(count), near(count)
    )


def _in_both(_: int, draws: Draws) -> Item:
    shared, *apart = words(draws, 4)
    first_index, second_index = draws.below(2), draws.below(2)
    first, second = [apart[0]], [apart[1], apart[2]]
    first.insert(first_index, shared)
    second[second_index] = shared
    return phrase_item(
        f"the word that is both in the list {joined(first)} and in the list {joined(second)}",
        shared,
        tuple(word for word in first + second if word != shared),
    )


def _missing(_: int, draws: Draws) -> Item:
    drawn = words(draws, 3)
    gone = draws.below(3)
    remaining = [word for place, word in enumerate(drawn) if place != gone]
    if draws.below(2):
        remaining.reverse()
    return phrase_item(
        f"the word that is in the list {joined(drawn)} but not in the list {joined(remaining)}",
        drawn[gone],
        tuple(remaining),
    )


def _in_either(_: int, draws: Draws) -> Item:
    first, second, third = words(draws, 3)
    one, two = [first, second], [second, third] if draws.below(2) else [third, first]
    answer = [first, second, third]
    # Not the same words in another order: as a set those would be right too.
    wrong = (joined(one), joined(two), joined([*one, *two]))
    return phrase_item(
        f"the list of all words in {joined(one)} or in {joined(two)}, each once", joined(answer), wrong
    )
