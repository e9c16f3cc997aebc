"""One skill as tasks of several forms.

A skill makes items by index; a form turns an item into a row: a question, a choice, a claim to judge, a
sentence to complete and so on. Decision: rows are made when they are read and never kept. Finite skills
are enumerated, so that none of their rows comes twice; open-ended ones are drawn. Price: the tasks of a fact
have as few rows as there are facts, so rates should not follow row counts here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import comb
from typing import Literal, TypeAlias

from openflan.microflan.world.splits import HELD_OUT_FORMS, PROBED, REWORDED, Split
from openflan.randomness import Draws, combine
from openflan.tasks.digest import code_digest, joined
from openflan.tasks.task import Row, Task

Form: TypeAlias = Literal["qa", "mc", "verify", "fill", "state", "correct", "either", "echo"]

FORMS: tuple[Form, ...] = ("qa", "mc", "verify", "fill", "state", "correct")
"""The forms that are instructed."""

OPEN_ENDED = 5_000
"""Rows of a task whose items are drawn: few enough that most differ."""

_STRIDE = 10_007  # a prime, so that walking the option sets in this stride meets each of them once


class GeneratedRows:
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

    def digest(self) -> bytes | None:
        """The hash of the code that makes the rows, and of its inputs."""
        return joined(f"rows {self._key} {self._size}", [code_digest("openflan.microflan.world")])


@dataclass(frozen=True, slots=True)
class Item:
    """A question with its answer, and what the forms need.

    `statement` is the pattern of a sentence that ends with `{value}`, which `answer` fills. `others` are
    wrong values of the same kind. `context` is a passage of whole sentences that must be read first. `claims`
    are further patterns of yes-or-no questions.
    """

    question: str
    statement: str
    answer: str
    others: tuple[str, ...]
    context: str = ""
    claims: tuple[str, ...] = ()

    def statement_with(self, value: str) -> str:
        return self.statement.replace("{value}", value)

    def after_context(self, text: str) -> str:
        """`text` after the context."""
        return f"{self.context} {text}" if self.context else text


def phrase_item(
    phrase: str,
    answer: str,
    wrong_answers: tuple[str, ...],
    *,
    asks: str = "What is",
    context: str = "",
    claims: tuple[str, ...] = ("Is {value} {phrase}?",),
) -> Item:
    """An item that a noun phrase names: `the boss of Ann`, `3 plus 4`."""
    filled_claims = tuple(claim.replace("{phrase}", phrase) for claim in claims)
    return Item(f"{asks} {phrase}?", f"{phrase} is {{value}}", answer, wrong_answers, context, filled_claims)


@dataclass(frozen=True, slots=True)
class Skill:
    """`size` items, made by `item(number, draws)`, and the instructed forms in which they are asked."""

    name: str
    category: str
    size: int
    item: Callable[[int, Draws], Item]
    forms: tuple[Form, ...] = FORMS
    split: Split = "train"
    enumerated: bool = True

    def tasks(self, seed: int) -> Iterator[Task]:
        """One task for each form; a skill that is probed has the held-out forms and wordings besides."""
        held_out = None if self.split == "train" else "skill"
        for form in self.forms:
            yield self._task(seed, form, form, held_out, self.split)
        if self.name in PROBED:
            for unseen, split in HELD_OUT_FORMS.items():
                yield self._task(seed, unseen, unseen, "form", split)
            for ending, split in REWORDED.items():
                yield self._task(seed, "qa", ending, "wording", split)

    def _task(self, seed: int, form: Form, ending: str, held_out: str | None, split: Split) -> Task:
        options = frozenset({"options"}) if form in ("mc", "verify") else frozenset[str]()
        make = partial(_MAKE[form], self)
        return make_task(
            f"microflan/{self.name}-{ending}",
            seed,
            self._size(form),
            make,
            self.category,
            options,
            held_out,
            split,
        )

    def _size(self, form: Form) -> int:
        if not self.enumerated:
            return self.size
        first = self.item(0, Draws(0))
        if form == "mc":
            return self.size * comb(len(first.others), min(3, len(first.others)))
        return self.size * 2 * (1 + len(first.claims)) if form == "verify" else self.size


def make_task(
    name: str,
    seed: int,
    size: int,
    make: Callable[[int, Draws], Row],
    category: str,
    more_fields: frozenset[str] = frozenset(),
    held_out: str | None = None,
    split: Split = "train",
) -> Task:
    """A task of this world whose rows have a question, an answer and `more_fields`."""
    return Task(
        name=name,
        rows=GeneratedRows(seed, name, size, make),
        fields=frozenset({"question", "answer"}) | more_fields,
        dataset="microflan",
        category=category,
        licence="Apache-2.0",
        held_out=held_out,
        split=split,
    )


def in_drawn_order(draws: Draws, options: Sequence[str]) -> list[str]:
    """The options in a drawn order."""
    return [options[place] for place in draws.distinct(len(options), len(options))]


def yes_no_row(question: str, truth: bool) -> Row:
    """A row whose answer is yes or no."""
    return {"question": question, "answer": "yes" if truth else "no", "options": ["yes", "no"]}


def sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def _question(skill: Skill, index: int, draws: Draws) -> Row:
    item = skill.item(index, draws)
    return {"question": item.after_context(item.question), "answer": item.answer}


def _choice(skill: Skill, index: int, draws: Draws) -> Row:
    variant, item_index = divmod(index, skill.size)
    item = skill.item(item_index, draws)
    count = min(3, len(item.others))
    # Option sets are walked from another start for each item, so that the first rows of a task already show
    # them evenly.
    which = (variant * _STRIDE + item_index) % comb(len(item.others), count)
    options = in_drawn_order(draws, [item.answer, *_combination(item.others, count, which)])
    return {"question": item.after_context(item.question), "answer": item.answer, "options": options}


def _claim(skill: Skill, index: int, draws: Draws) -> Row:
    pattern, item_index = divmod(index // 2, skill.size)
    item, truth = skill.item(item_index, draws), index % 2 == 0
    value = item.answer if truth else draws.choice(item.others)
    patterns = (f"Is it true that {item.statement}?", *item.claims)
    chosen = patterns[pattern] if skill.enumerated else draws.choice(patterns)
    return yes_no_row(item.after_context(chosen.replace("{value}", value)), truth)


def _unfinished(skill: Skill, index: int, draws: Draws) -> Row:
    item = skill.item(index, draws)
    return {
        "question": item.after_context(sentence_case(item.statement_with("").rstrip())),
        "answer": item.answer,
    }


def _whole(skill: Skill, index: int, draws: Draws) -> Row:
    item = skill.item(index, draws)
    return {
        "question": item.after_context(item.question),
        "answer": f"{sentence_case(item.statement_with(item.answer))}.",
    }


def _wrong(skill: Skill, index: int, draws: Draws) -> Row:
    item = skill.item(index, draws)
    return {
        "question": item.after_context(f"{sentence_case(item.statement_with(draws.choice(item.others)))}."),
        "answer": item.answer,
    }


def _either(skill: Skill, index: int, draws: Draws) -> Row:
    item = skill.item(index, draws)
    first, second = in_drawn_order(draws, [item.answer, draws.choice(item.others)])
    return {
        "question": item.after_context(f"{item.question[:-1]}, {first} or {second}?"),
        "answer": item.answer,
    }


def _echo(skill: Skill, index: int, draws: Draws) -> Row:
    item = skill.item(index, draws)
    return {
        "question": item.after_context(f"{sentence_case(item.statement_with('what'))}?"),
        "answer": item.answer,
    }


_MAKE: dict[Form, Callable[[Skill, int, Draws], Row]] = {
    "qa": _question,
    "mc": _choice,
    "verify": _claim,
    "fill": _unfinished,
    "state": _whole,
    "correct": _wrong,
    "either": _either,
    "echo": _echo,
}


def _combination(items: Sequence[str], count: int, which: int) -> list[str]:
    """The `which`-th way, in lexicographic order, to choose `count` of `items`."""
    chosen: list[str] = []
    for index, item in enumerate(items):
        if len(chosen) == count:
            break
        ways = comb(len(items) - index - 1, count - len(chosen) - 1)
        if which < ways:
            chosen.append(item)
        else:
            which -= ways
    return chosen
