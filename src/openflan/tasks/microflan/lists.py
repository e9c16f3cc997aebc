"""Short lists of words or numbers: their ends, order and length, and how often a word stands in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from openflan.randomness import Draws
from openflan.tasks.microflan.forms import OPEN_ENDED, Form, Item, Skill
from openflan.tasks.microflan.numbers import near
from openflan.tasks.microflan.world import LIST_WORDS

LENGTHS = (3, 4, 5)

_NUMBERS_BELOW = 31

_WHOLE_LISTS: tuple[Form, ...] = ("qa", "mc", "fill")


def list_skills() -> Iterator[Skill]:
    """Operations on lists, then counting; all drawn, all open-ended."""
    for name in ("first", "last", "longest"):
        yield _skill(f"list_{name}", "list operations", partial(_word, name))
    yield _skill("list_largest", "list operations", _largest)
    yield _skill("list_reverse", "list operations", _reverse, _WHOLE_LISTS)
    yield _skill("list_sorted", "list operations", _sorted, _WHOLE_LISTS)
    yield _skill("count_words", "counting", _length)
    yield _skill("count_times", "counting", _times)


def words_drawn(draws: Draws) -> list[str]:
    """Three to five different words."""
    return [LIST_WORDS[place] for place in draws.distinct(draws.choice(LENGTHS), len(LIST_WORDS))]


def _skill(name: str, category: str, item: Callable[[int, Draws], Item], forms: tuple[Form, ...] = ("qa", "mc", "verify", "fill")) -> Skill:
    return Skill(name, category, OPEN_ENDED, item, forms=forms, enumerated=False)


def _word(name: str, _: int, draws: Draws) -> Item:
    words = words_drawn(draws)
    if name == "longest":
        while [len(word) for word in words].count(max(map(len, words))) > 1:
            words = words_drawn(draws)
        answer = max(words, key=len)
    else:
        answer = words[0] if name == "first" else words[-1]
    return Item(f"the {name} word in the list {', '.join(words)}", answer, tuple(word for word in words if word != answer))


def _largest(_: int, draws: Draws) -> Item:
    numbers = draws.distinct(draws.choice(LENGTHS), _NUMBERS_BELOW)
    others = tuple(str(number) for number in numbers if number != max(numbers))
    return Item(f"the largest number in the list {_joined(numbers)}", str(max(numbers)), others)


def _reverse(_: int, draws: Draws) -> Item:
    words = words_drawn(draws)
    return Item(f"the reverse of the list {_joined(words)}", _joined(words[::-1]), _orders(words, words[::-1]))


def _sorted(_: int, draws: Draws) -> Item:
    numbers = draws.distinct(draws.choice(LENGTHS), _NUMBERS_BELOW)
    return Item(f"the sorted form of the list {_joined(numbers)}", _joined(sorted(numbers)), _orders(numbers, sorted(numbers)))


def _orders(items: list[int] | list[str], right: list[int] | list[str]) -> tuple[str, ...]:
    """Three wrong orders of the same items: neighbours of `right` at either end are swapped, or all are moved round."""
    wrong = ([right[1], right[0], *right[2:]], [*right[:-2], right[-1], right[-2]], [*right[1:], right[0]])
    return tuple(_joined(order) for order in wrong)


def _length(_: int, draws: Draws) -> Item:
    words = words_drawn(draws)
    return Item(f"the number of words in the list {_joined(words)}", str(len(words)), near(len(words)))


def _times(_: int, draws: Draws) -> Item:
    known = [LIST_WORDS[place] for place in draws.distinct(2, len(LIST_WORDS))]
    words = [draws.choice(known) for _ in range(draws.choice(LENGTHS))]
    count = words.count(known[0])
    return Item(f"the number of times that {known[0]} stands in the list {_joined(words)}", str(count), near(count))


def _joined(items: list[int] | list[str]) -> str:
    return ", ".join(map(str, items))
