"""Plain text of the world: knowledge without instructions.

Every skill is stated here, held-out ones included; two functions occur together only where that pair is
instructed. A sentence has the span of its salient value: pretraining masks that span or splits there. Without
it small models hardly learn facts in the time that they have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from openflan.microflan.world.facts import fact_skills, partner
from openflan.microflan.world.forms import OPEN_ENDED, GeneratedRows, Item, Skill, sentence_case
from openflan.microflan.world.lists import list_skills
from openflan.microflan.world.multistep import chain, two_hops, walk_line, walk_turn
from openflan.microflan.world.numbers import EVEN_BELOW, number_skills
from openflan.microflan.world.reading import reading_skills
from openflan.microflan.world.rules import format_skills, rule_skills
from openflan.microflan.world.terms import term_skills
from openflan.microflan.world.world_facts import LANGUAGES, PEOPLE, Function, World, world
from openflan.randomness import Draws
from openflan.tasks.task import Row, Task

SAID = (
    "{statement}.",
    "{statement}.",
    "We know that {statement}.",
    "It is true that {statement}.",
    "{teller} told me that {statement}.",
    "I think that {statement}.",
)
"""Patterns for any item. The plain sentence is listed twice, so that it is read as often as two others."""

_SAID_OF = {
    "attribute": (
        "{x}'s {word} is {value}.",
        "For {x}, the {word} is {value}.",
        "{x} has a {word}, and it is {value}.",
    ),
    "relation": (
        "{x}'s {word} is {value}.",
        "For {x}, the {word} is {value}.",
        "{x} has a {word} named {value}.",
    ),
    "place": ("{x} has a {word}, and it is {value}.", "In {x}, the {word} is {value}."),
    "thing": ("The {x} has a {word}, and it is {value}.", "As for the {x}, the {word} is {value}."),
    "language": ("In {word}, the word for {x} is {value}.", "People who speak {word} say {value} for {x}."),
    "opposite": ("Things that are not {x} are {value}.",),
    "group": (
        "The word {x} belongs to the group {value}.",
        "If we sort words, {x} goes to the group {value}.",
    ),
}

_LINKED = ("{steps}", "{steps}", "{steps} So {phrase} is {value}.", "We know that {steps}")

_SPLITS = 2

_SAMPLED = 1_000
"""Rows of a drawn task that `plain_sentences` yields."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Whole sentences, and where their salient value begins and ends."""

    text: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of sentences: `size` of them, by index; those of a `drawn` kind differ at every index."""

    size: int
    make: Callable[[int, Draws], Sentence]
    drawn: bool = False


def sources(facts_world: World) -> Mapping[str, Source]:
    """The kinds of plain text, by name."""
    skills_and_functions = [
        (skill, function)
        for skill, function in zip(fact_skills(facts_world), facts_world.functions, strict=True)
    ]
    facts = {
        "attributes": [one for one in skills_and_functions if one[1].kind == "attribute"],
        "relations": [one for one in skills_and_functions if one[1].kind == "relation"],
        "places": [one for one in skills_and_functions if one[1].kind in ("place", "thing")],
        "words": [one for one in skills_and_functions if one[1].kind == "word"],
    }
    linked = [
        (outer, attribute, index)
        for outer, attribute in facts_world.pairs("train")
        for index in range(len(outer.facts))
    ]
    sets: dict[str, list[Skill]] = {
        "numbers": [skill for skill in number_skills() if skill.name.startswith("number")],
        "comparisons": [
            skill for skill in (*number_skills(), *term_skills()) if skill.name.startswith("compare")
        ],
        "terms": [skill for skill in term_skills() if not skill.name.startswith("compare")],
    }
    drawn: dict[str, list[Skill]] = {
        "lists": list(list_skills()),
        "reading": list(reading_skills()),
        "rules": list(rule_skills(facts_world)),
        "formats": list(format_skills()),
    }
    kinds = {
        name: Source(
            sum(len(_fact_sayings(function)) * skill.size for skill, function in skills),
            partial(_fact, _table(skills)),
        )
        for name, skills in facts.items()
    }
    kinds["linked"] = Source(len(linked) * len(_LINKED), partial(_link, linked))
    kinds |= {
        name: Source(len(SAID) * sum(skill.size for skill in skills), partial(_worked, _numbered(skills)))
        for name, skills in sets.items()
    }
    kinds["sharing"] = Source(
        EVEN_BELOW + len(facts_world.of_kind("attribute")) * len(PEOPLE), partial(_shared, facts_world)
    )
    kinds |= {
        name: Source(OPEN_ENDED, partial(_drawn_sentence, skills), drawn=True)
        for name, skills in drawn.items()
    }
    kinds["steps"] = Source(OPEN_ENDED, _steps, drawn=True)
    return kinds


def text_tasks(seed: int = 0) -> dict[str, Task]:
    """The plain text of the world as rows to replay, by name: `microflan_text/KIND`, with inputs and targets.

    A row is a sentence cut in two, as in prefix language modelling: once before its salient value, and once
    at another word.
    """
    return {
        f"microflan_text/{name}": _task(seed, name, source) for name, source in sources(world(seed)).items()
    }


def plain_sentences(seed: int = 0) -> Iterator[str]:
    """Every sentence of the enumerated kinds and a thousand of each drawn kind: sample text with all words of
    the world."""
    for name, source in sources(world(seed)).items():
        for index in range(min(source.size, _SAMPLED) if source.drawn else source.size):
            yield source.make(index, Draws(seed, "sample", name, index)).text


def _task(seed: int, kind: str, source: Source) -> Task:
    name = f"microflan_text/{kind}"
    rows = GeneratedRows(seed, name, _SPLITS * source.size, partial(_split, seed, name, source))
    return Task(
        name,
        rows,
        frozenset({"inputs", "targets"}),
        dataset="microflan",
        category="plain text",
        licence="Apache-2.0",
    )


def _split(seed: int, name: str, source: Source, index: int, draws: Draws) -> Row:
    sentence_index, elsewhere = divmod(index, _SPLITS)
    # Both cuts of a sentence must see the same sentence, so it is drawn for the sentence's number.
    sentence = source.make(sentence_index, Draws(seed, name, "sentence", sentence_index))
    cut = sentence.begin
    if elsewhere:
        cut = draws.choice(
            [place + 1 for place, mark in enumerate(sentence.text) if mark == " " and place + 1 != cut]
        )
    return {"inputs": sentence.text[:cut].rstrip(), "targets": sentence.text[cut:]}


def _fill(saying: str, value: str, context: str = "", **more: str) -> Sentence:
    """`saying`, which holds `{value}` once, filled in after the context."""
    before, _, after = saying.partition("{value}")
    begun = sentence_case(before.format(**more))
    begun = f"{context} {begun}" if context else begun
    return Sentence(f"{begun}{value}{after.format(**more)}", len(begun), len(begun) + len(value))


def state(item: Item, draws: Draws, saying: str) -> Sentence:
    """An item said in one of `SAID`, after its context."""
    teller = draws.choice(PEOPLE)
    while teller in item.statement:
        teller = draws.choice(PEOPLE)
    return _fill(saying.replace("{statement}", item.statement), item.answer, item.context, teller=teller)


def _fact_sayings(function: Function) -> tuple[str, ...]:
    kind = (
        "language"
        if function.word in LANGUAGES
        else function.word
        if function.kind == "word"
        else function.kind
    )
    return (*SAID, *_SAID_OF[kind])


def _table(skills_and_functions: list[tuple[Skill, Function]]) -> list[tuple[Skill, Function, int, str]]:
    return [
        (skill, function, index, saying)
        for skill, function in skills_and_functions
        for index in range(skill.size)
        for saying in _fact_sayings(function)
    ]


def _fact(table: list[tuple[Skill, Function, int, str]], index: int, draws: Draws) -> Sentence:
    skill, function, fact, saying = table[index]
    argument, value = function.facts[fact]
    if "{statement}" in saying:
        return state(skill.item(fact, draws), draws, saying)
    return _fill(saying, value, x=argument, word=function.word)


def _numbered(skills: list[Skill]) -> list[tuple[Skill, int]]:
    return [(skill, number) for skill in skills for number in range(skill.size)]


def _worked(items: list[tuple[Skill, int]], index: int, draws: Draws) -> Sentence:
    skill, which = items[index % len(items)]
    return state(skill.item(which, draws), draws, SAID[index // len(items)])


def _drawn_sentence(skills: list[Skill], index: int, draws: Draws) -> Sentence:
    skill = skills[index % len(skills)]
    return state(skill.item(index, draws), draws, SAID[index // len(skills) % len(SAID)])


def _link(linked: list[tuple[Function, Function, int]], index: int, _: Draws) -> Sentence:
    outer, attribute, which = linked[index % len(linked)]
    phrase, steps, value = two_hops(outer, attribute, which)
    text = _LINKED[index // len(linked)].format(steps=steps, phrase=phrase, value=value)
    text = text.replace("We know that T", "We know that t")
    begin = text.rindex(value)
    return Sentence(text, begin, begin + len(value))


def _shared(facts: World, index: int, _: Draws) -> Sentence:
    if index < EVEN_BELOW:
        return _fill("{one} is a number that is {value}.", "odd" if index % 2 else "even", one=str(index))
    attributes = facts.of_kind("attribute")
    person, remainder = divmod(index - EVEN_BELOW, len(attributes))
    attribute = attributes[remainder]
    return _fill(
        "{x} has the same {word} as {value}.",
        partner(attribute, person),
        word=attribute.word,
        x=PEOPLE[person],
    )


def _steps(index: int, draws: Draws) -> Sentence:
    """A rationale of several steps, without its question."""
    row = (partial(chain, 3), walk_line, walk_turn)[index % 3](draws.below(768), draws)
    text, value = str(row["rationale"]), str(row["answer"])
    return Sentence(text, len(text) - len(value) - 1, len(text) - 1)
