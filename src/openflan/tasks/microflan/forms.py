"""One skill, asked in several forms.

A skill yields items by number; a form turns an item into a row: a question, a choice, a claim to judge, a sentence to complete.
Decision: rows are made when they are asked for and never kept. Finite skills are enumerated, so that none of their rows comes twice; open-ended ones
are drawn. Price: the tasks of a fact have as few rows as there are facts, so rates should not follow row counts here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import comb
from typing import Literal, TypeAlias

from openflan.randomness import Draws, combine
from openflan.tasks.task import Row, Task

Form: TypeAlias = Literal["qa", "mc", "verify", "fill"]

FORMS: tuple[Form, ...] = ("qa", "mc", "verify", "fill")

OPEN_ENDED = 5_000
"""Rows of a task whose items are drawn: few enough that most differ."""

_STRIDE = 10_007  # a prime, so that walking the option sets in this stride meets each of them once


class WorldRows:
    """Rows by index, each a pure function of seed, task name and index."""

    __slots__ = ("_key", "_make", "_size")

    def __init__(self, seed: int, name: str, size: int, make: Callable[[int, Draws], Row]) -> None:
        self._key, self._size, self._make = combine(seed, name), size, make

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Row:
        """Raises IndexError for an index outside [0, len)."""
        if not 0 <= index < self._size:
            raise IndexError(f"row {index} of {self._size}")
        return self._make(index, Draws(self._key, index))


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to know: `phrase` names it, `answer` is its value, `others` are wrong values of the same kind."""

    phrase: str
    answer: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Skill:
    """`size` items, made by `item(number, draws)`, and how they are asked.

    `claims` are patterns with `{phrase}` and `{value}`; every item is claimed in each of them once rightly and once wrongly.
    """

    name: str
    category: str
    size: int
    item: Callable[[int, Draws], Item]
    asks: str = "What is"
    claims: tuple[str, ...] = ("Is {value} {phrase}?",)
    forms: tuple[Form, ...] = FORMS
    held_out: str | None = None
    enumerated: bool = True

    def tasks(self, seed: int) -> Iterator[Task]:
        """One task for each form."""
        for form in self.forms:
            choice = frozenset({"options"}) if form in ("mc", "verify") else frozenset[str]()
            yield make_task(f"microflan/{self.name}-{form}", seed, self._size(form), partial(_MAKE[form], self), self.category, choice, self.held_out)

    def _size(self, form: Form) -> int:
        if not self.enumerated:
            return self.size
        if form == "mc":
            others = len(self.item(0, Draws(0)).others)
            return self.size * comb(others, min(3, others))
        return self.size * 2 * len(self.claims) if form == "verify" else self.size


def make_task(
    name: str, seed: int, size: int, make: Callable[[int, Draws], Row], category: str, more_fields: frozenset[str] = frozenset(), held_out: str | None = None
) -> Task:
    """A task of this world whose rows have a question, an answer and `more_fields`."""
    return Task(
        name=name,
        rows=WorldRows(seed, name, size, make),
        fields=frozenset({"question", "answer"}) | more_fields,
        dataset="microflan",
        category=category,
        licence="Apache-2.0",
        held_out=held_out,
    )


def mixed(draws: Draws, options: Sequence[str]) -> list[str]:
    """The options in a drawn order."""
    return [options[place] for place in draws.distinct(len(options), len(options))]


def judged(question: str, truth: bool) -> Row:
    """A row whose answer is yes or no."""
    return {"question": question, "answer": "yes" if truth else "no", "options": ["yes", "no"]}


def sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def _question(skill: Skill, index: int, draws: Draws) -> Row:
    item = skill.item(index, draws)
    return {"question": f"{skill.asks} {item.phrase}?", "answer": item.answer}


def _choice(skill: Skill, index: int, draws: Draws) -> Row:
    variant, number = divmod(index, skill.size)
    item = skill.item(number, draws)
    count = min(3, len(item.others))
    # Option sets are walked from another start for each item, so that the first rows of a task already show them evenly.
    which = (variant * _STRIDE + number) % comb(len(item.others), count)
    options = mixed(draws, [item.answer, *_combination(item.others, count, which)])
    return {"question": f"{skill.asks} {item.phrase}?", "answer": item.answer, "options": options}


def _claim(skill: Skill, index: int, draws: Draws) -> Row:
    pattern, number = divmod(index // 2, skill.size)
    item, truth = skill.item(number, draws), index % 2 == 0
    value = item.answer if truth else draws.choice(item.others)
    return judged(skill.claims[pattern].format(phrase=item.phrase, value=value), truth)


def _sentence(skill: Skill, index: int, draws: Draws) -> Row:
    item = skill.item(index, draws)
    return {"question": sentence_case(f"{item.phrase} is"), "answer": item.answer}


_MAKE: dict[Form, Callable[[Skill, int, Draws], Row]] = {"qa": _question, "mc": _choice, "verify": _claim, "fill": _sentence}


def _combination(items: Sequence[str], count: int, which: int) -> list[str]:
    """The `which`-th way, in lexicographic order, to choose `count` of `items`."""
    chosen: list[str] = []
    for place, item in enumerate(items):
        if len(chosen) == count:
            break
        ways = comb(len(items) - place - 1, count - len(chosen) - 1)
        if which < ways:
            chosen.append(item)
        else:
            which -= ways
    return chosen
