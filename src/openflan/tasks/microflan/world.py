"""The world that microflan asks about: people, what is true of each, and small dictionaries.

Who has what is drawn from a seed, so none of it can be known from elsewhere; the vocabulary is the same for every seed, but for the invented words.
Every value of an attribute belongs to two people, and no one stands in two relations to the same person, so that guessing is equally hard everywhere.
Decision: 16 arguments for each of 18 functions, 288 facts, which is what a model of a million parameters can learn by heart in about a minute.
Price: two hops between so few facts can be learned by heart as well; longer chains need a larger world.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias

from openflan.randomness import Draws, shuffled

Kind: TypeAlias = Literal["attribute", "relation", "word"]

PEOPLE = ("Ann", "Ben", "Carl", "Dan", "Eve", "Fay", "Hal", "Ida", "Jim", "Kim", "Leo", "Max", "Ned", "Pam", "Sam", "Tom")

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "colour": ("red", "blue", "green", "black", "white", "brown", "pink", "grey"),
    "food": ("bread", "rice", "soup", "cheese", "fish", "cake", "corn", "honey"),
    "city": ("Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi", "Boston", "Kyoto"),
    "month": ("March", "April", "May", "June", "July", "August", "October", "December"),
    "subject": ("music", "art", "history", "maths", "biology", "physics", "drama", "Latin"),
    "sport": ("tennis", "golf", "rugby", "hockey", "judo", "rowing", "boxing", "skiing"),
    "drink": ("tea", "milk", "coffee", "juice", "water", "cocoa", "cider", "lemonade"),
    "metal": ("gold", "silver", "iron", "copper", "tin", "zinc", "brass", "nickel"),
}

RELATIONS = ("boss", "teacher", "helper", "coach", "hero")

GROUPS: Mapping[str, tuple[str, ...]] = {
    "fruit": ("apple", "pear", "plum", "lemon"),
    "animal": ("dog", "cow", "horse", "goat"),
    "tool": ("hammer", "spade", "axe", "drill"),
    "tree": ("oak", "elm", "pine", "birch"),
}

NOUNS = tuple(noun for nouns in GROUPS.values() for noun in nouns)

OPPOSITES = (("hot", "cold"), ("big", "small"), ("fast", "slow"), ("old", "young"), ("wet", "dry"), ("hard", "soft"), ("high", "low"), ("early", "late"))

LANGUAGES = ("Tovi", "Lenko", "Runa")

LIST_WORDS = (*NOUNS, *ATTRIBUTES["colour"], *ATTRIBUTES["food"])
"""What lists are made of; nothing here is a value of a held-out function."""

HELD_OUT = frozenset({"sport", "drink", "metal", "coach", "hero", "Runa", "group"})
"""Functions that no instruction ever mentions; plain text states them like any other."""

_ONSETS, _VOWELS, _MIDDLES = "bdfgklmnprstvz", "aeiou", ("vl", "zl", "zm", "vn", "lz", "nv", "mz", "vr")


@dataclass(frozen=True, slots=True)
class Function:
    """One value for each of its arguments: an attribute or a relation of people, or a word map.

    `word` is its name in sentences, `phrase` names its value for the argument `{x}`, and `values` are all values it can take.
    """

    word: str
    kind: Kind
    phrase: str
    facts: tuple[tuple[str, str], ...] = field(repr=False)
    values: tuple[str, ...] = field(repr=False)

    @property
    def held_out(self) -> bool:
        return self.word in HELD_OUT


@dataclass(frozen=True, slots=True)
class World:
    """All that is true. `held_out_pairs` are (relation, attribute) pairs that are never instructed together, though each is apart."""

    seed: int
    functions: tuple[Function, ...]
    held_out_pairs: frozenset[tuple[str, str]]

    def of_kind(self, kind: Kind) -> tuple[Function, ...]:
        return tuple(function for function in self.functions if function.kind == kind)

    def pairs(self, *, held_out: bool) -> Iterator[tuple[Function, Function]]:
        """The instructed pairs of a relation and an attribute, or the held-out ones."""
        for relation in self.of_kind("relation"):
            for attribute in self.of_kind("attribute"):
                apart = not relation.held_out and not attribute.held_out
                if apart and held_out == ((relation.word, attribute.word) in self.held_out_pairs):
                    yield relation, attribute

    def tables(self) -> dict[str, dict[str, str]]:
        """Every fact as plain data: function word, argument, value."""
        return {function.word: dict(function.facts) for function in self.functions}


@cache
def world(seed: int = 0) -> World:
    """The world of that seed."""
    attributes = tuple(_attribute(seed, word, values) for word, values in ATTRIBUTES.items())
    relations = tuple(_relations(seed))
    return World(seed, (*attributes, *relations, *_languages(seed), _opposite(), _group()), _held_out_pairs(seed, relations, attributes))


def _attribute(seed: int, word: str, values: tuple[str, ...]) -> Function:
    order = shuffled(len(PEOPLE), seed, "attribute", word)
    facts = tuple((person, values[int(place) % len(values)]) for person, place in zip(PEOPLE, order, strict=True))
    return Function(word, "attribute", f"the {word} of {{x}}", facts, values)


def _relations(seed: int) -> Iterator[Function]:
    taken = {(person, person) for person in PEOPLE}
    for word in RELATIONS:
        attempt, facts = 0, tuple(zip(PEOPLE, PEOPLE, strict=True))
        while not taken.isdisjoint(facts):
            order = shuffled(len(PEOPLE), seed, "relation", word, attempt)
            facts = tuple((person, PEOPLE[int(place)]) for person, place in zip(PEOPLE, order, strict=True))
            attempt += 1
        taken.update(facts)
        yield Function(word, "relation", f"the {word} of {{x}}", facts, PEOPLE)


def _languages(seed: int) -> Iterator[Function]:
    draws, known = Draws(seed, "languages"), set[str]()
    for language in LANGUAGES:
        words: list[str] = []
        while len(words) < len(NOUNS):
            word = draws.choice(_ONSETS) + draws.choice(_VOWELS) + draws.choice(_MIDDLES) + draws.choice(_VOWELS)
            if word not in known:
                words.append(word)
                known.add(word)
        yield Function(language, "word", f"the {language} word for {{x}}", tuple(zip(NOUNS, words, strict=True)), tuple(words))


def _opposite() -> Function:
    facts = tuple(fact for one, other in OPPOSITES for fact in ((one, other), (other, one)))
    return Function("opposite", "word", "the opposite of {x}", facts, tuple(word for word, _ in facts))


def _group() -> Function:
    facts = tuple((noun, group) for group, nouns in GROUPS.items() for noun in nouns)
    return Function("group", "word", "the group of {x}", facts, tuple(GROUPS))


def _held_out_pairs(seed: int, relations: tuple[Function, ...], attributes: tuple[Function, ...]) -> frozenset[tuple[str, str]]:
    """One pair for each instructed attribute, spread over the instructed relations: a third of the pairs, and each side is well known from others."""
    outer = [relation.word for relation in relations if not relation.held_out]
    inner = [attribute.word for attribute in attributes if not attribute.held_out]
    order = shuffled(len(inner), seed, "pairs")
    return frozenset((outer[int(place) % len(outer)], word) for word, place in zip(inner, order, strict=True))
