"""Plain text of the same world: knowledge without instructions.

A row is an ordinary sentence cut in two, its beginning as inputs and its rest as targets, as in prefix language modelling. Every sentence is cut once
before its salient value, without which small models hardly learn facts in the time they have, and once at another word.
Functions that no instruction mentions are stated here like any other; a relation and an attribute stand together only where that pair is instructed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from openflan.randomness import Draws
from openflan.tasks.microflan.facts import partner
from openflan.tasks.microflan.forms import OPEN_ENDED, Skill, WorldRows, sentence_case
from openflan.tasks.microflan.lists import list_skills
from openflan.tasks.microflan.multistep import chain, walk_line, walk_turn
from openflan.tasks.microflan.numbers import EVEN_BELOW, LARGEST_COMPARED, number_skills, unequal
from openflan.tasks.microflan.world import LANGUAGES, PEOPLE, Function, Kind, World, world
from openflan.tasks.task import Row, Task

_SAID = ("{phrase} is {value}.", "We know that {phrase} is {value}.", "It is true that {phrase} is {value}.", "{teller} told me that {phrase} is {value}.")

_SAID_OF_PEOPLE = (*_SAID, "{x}'s {word} is {value}.", "For {x}, the {word} is {value}.", "I think that {x}'s {word} is {value}.")

_SAID_IN = {
    "attribute": (*_SAID_OF_PEOPLE, "{x} has a {word}, and it is {value}."),
    "relation": (*_SAID_OF_PEOPLE, "{x} has a {word} named {value}."),
    "language": (*_SAID, "In {word}, the word for {x} is {value}.", "People who speak {word} say {value} for {x}."),
    "opposite": (*_SAID, "Things that are not {x} are {value}.", "{x} things and {value} things are not the same."),
    "group": (*_SAID, "The word {x} belongs to the group {value}.", "If we sort words, {x} goes to the group {value}."),
}

_LINKED = (
    "The {outer} of {x} is {middle}. The {inner} of {middle} is {value}.",
    "{x}'s {outer} is {middle}. {middle}'s {inner} is {value}.",
    "{x} has a {outer} named {middle}. For {middle}, the {inner} is {value}.",
    "We know that the {outer} of {x} is {middle}. We know that the {inner} of {middle} is {value}.",
)

_SPLITS = 2

_SAMPLED = 1_000
"""Rows of a drawn task that `plain_sentences` yields."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Whole sentences, and where their salient value begins."""

    text: str
    salient: int


def text_tasks(seed: int = 0) -> dict[str, Task]:
    """The plain text of the world, by name: `microflan_text/statements-of-a-kind`, rows with inputs and targets."""
    here = world(seed)
    kinds: dict[Kind, str] = {"attribute": "attributes", "relation": "relations", "word": "words"}
    stated = {name: [(function, saying) for function in here.of_kind(kind) for saying in _sayings(function)] for kind, name in kinds.items()}
    sources: dict[str, tuple[int, Callable[[int, Draws], _Sentence]]] = {
        name: (len(facts) * len(facts[0][0].facts), partial(_fact, facts)) for name, facts in stated.items()
    }
    linked = [(relation, attribute, saying) for relation, attribute in here.pairs(held_out=False) for saying in _LINKED]
    sources["linked"] = (len(linked) * len(PEOPLE), partial(_link, linked))
    numbers = [(skill, number) for skill in number_skills() for number in range(skill.size)]
    sources["numbers"] = (len(numbers) * len(_SAID), partial(_worked_number, numbers))
    sources["comparisons"] = (_comparisons(here), partial(_comparison, here))
    sources["lists"] = (OPEN_ENDED, partial(_worked_list, list(list_skills())))
    sources["steps"] = (OPEN_ENDED, _steps)
    return {task.name: task for task in (_task(seed, name, size, make) for name, (size, make) in sources.items())}


def plain_sentences(seed: int = 0) -> Iterator[str]:
    """Every sentence of the enumerated kinds and a thousand of each drawn kind: sample text with all words of the world."""
    for task in text_tasks(seed).values():
        drawn = task.name in ("microflan_text/lists", "microflan_text/steps")
        for index in range(0, min(len(task.rows), _SAMPLED) if drawn else len(task.rows), _SPLITS):
            row = task.rows[index]
            yield f"{row['inputs']} {row['targets']}"


def _task(seed: int, kind: str, sentences: int, make: Callable[[int, Draws], _Sentence]) -> Task:
    name = f"microflan_text/{kind}"
    rows = WorldRows(seed, name, _SPLITS * sentences, partial(_split, seed, name, make))
    return Task(name, rows, frozenset({"inputs", "targets"}), dataset="microflan", category="plain text", licence="Apache-2.0")


def _split(seed: int, name: str, make: Callable[[int, Draws], _Sentence], index: int, draws: Draws) -> Row:
    number, elsewhere = divmod(index, _SPLITS)
    # Both cuts of a sentence must see the same sentence, so it is drawn for the sentence's number.
    sentence = make(number, Draws(seed, name, "sentence", number))
    cut = sentence.salient
    if elsewhere:
        cut = draws.choice([place + 1 for place, mark in enumerate(sentence.text) if mark == " " and place + 1 != cut])
    return {"inputs": sentence.text[:cut].rstrip(), "targets": sentence.text[cut:]}


def _said(saying: str, **values: str) -> _Sentence:
    """`saying` filled in, and where its `{value}` begins."""
    before, _, _ = saying.partition("{value}")
    text = saying.format(**values)
    return _Sentence(sentence_case(text), len(before.format(**values)))


def _sayings(function: Function) -> tuple[str, ...]:
    return _SAID_IN["language" if function.word in LANGUAGES else function.word if function.kind == "word" else function.kind]


def _teller(draws: Draws, about: str = "") -> str:
    teller = draws.choice(PEOPLE)
    while teller == about:
        teller = draws.choice(PEOPLE)
    return teller


def _fact(stated: list[tuple[Function, str]], number: int, draws: Draws) -> _Sentence:
    function, saying = stated[number % len(stated)]
    argument, value = function.facts[number // len(stated)]
    return _said(saying, phrase=function.phrase.format(x=argument), word=function.word, x=argument, value=value, teller=_teller(draws, argument))


def _link(linked: list[tuple[Function, Function, str]], number: int, _: Draws) -> _Sentence:
    relation, attribute, saying = linked[number % len(linked)]
    person, middle = relation.facts[number // len(linked)]
    return _said(saying, outer=relation.word, inner=attribute.word, x=person, middle=middle, value=dict(attribute.facts)[middle])


def _worked_number(numbers: list[tuple[Skill, int]], number: int, draws: Draws) -> _Sentence:
    skill, operands = numbers[number % len(numbers)]
    item = skill.item(operands, draws)
    return _said(_SAID[number // len(numbers)], phrase=item.phrase, value=item.answer, teller=_teller(draws))


def _worked_list(skills: list[Skill], number: int, draws: Draws) -> _Sentence:
    skill = skills[number % len(skills)]
    item = skill.item(number, draws)
    return _said(_SAID[number // len(skills) % len(_SAID)], phrase=item.phrase, value=item.answer, teller=_teller(draws))


def _comparisons(here: World) -> int:
    return LARGEST_COMPARED * (LARGEST_COMPARED + 1) + EVEN_BELOW + len(here.of_kind("attribute")) * len(PEOPLE)


def _comparison(here: World, number: int, _: Draws) -> _Sentence:
    pairs = LARGEST_COMPARED * (LARGEST_COMPARED + 1)
    if number < pairs:
        one, other = unequal(number)
        return _said("{one} is {value} than {other}.", one=str(one), other=str(other), value="larger" if one > other else "smaller")
    number -= pairs
    if number < EVEN_BELOW:
        return _said("{one} is an {value} number.", one=str(number), value="odd" if number % 2 else "even")
    attributes = here.of_kind("attribute")
    person, rest = divmod(number - EVEN_BELOW, len(attributes))
    attribute = attributes[rest]
    return _said("{x} has the same {word} as {value}.", x=PEOPLE[person], word=attribute.word, value=partner(attribute, person))


def _steps(number: int, draws: Draws) -> _Sentence:
    """What multi-step rationales are made of, without their questions."""
    row = (partial(chain, 3), walk_line, walk_turn)[number % 3](draws.below(768), draws)
    text, value = str(row["rationale"]), str(row["answer"])
    return _Sentence(text, len(text) - len(value) - 1)
