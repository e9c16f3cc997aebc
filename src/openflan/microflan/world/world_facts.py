"""The facts of a world: people, places and things, what is true of each, and small dictionaries.

Who has what is drawn from a seed, so no other text can give it away; the vocabulary is the same for every
seed, but for the invented words. Every value of an attribute belongs to two people, and no one has two
relations to the same person. Guessing is therefore equally hard everywhere. Decision: some 500 facts, which a
model of two million parameters memorises in minutes. Price: two hops between so few facts can be memorised as
well; longer chains need a larger world.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias

from openflan.microflan.world.splits import HELD_OUT_WORDS, Split
from openflan.randomness import Draws, shuffled

Kind: TypeAlias = Literal["attribute", "relation", "place", "thing", "word"]

PEOPLE = (
    "Ann",
    "Ben",
    "Carl",
    "Dan",
    "Eve",
    "Fay",
    "Hal",
    "Ida",
    "Jim",
    "Kim",
    "Leo",
    "Max",
    "Ned",
    "Pam",
    "Sam",
    "Tom",
)
PLACES = (
    "Arden",
    "Brook",
    "Corvo",
    "Delma",
    "Eston",
    "Farrow",
    "Galen",
    "Holt",
    "Ister",
    "Jarrow",
    "Kelso",
    "Lund",
)
THINGS = (
    "lamp",
    "bell",
    "book",
    "chair",
    "kite",
    "rope",
    "vase",
    "clock",
    "coat",
    "basket",
    "mirror",
    "carpet",
)

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "colour": ("red", "blue", "green", "black", "white", "brown", "pink", "grey"),
    "food": ("bread", "rice", "soup", "cheese", "fish", "cake", "corn", "honey"),
    "city": ("Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi", "Boston", "Kyoto"),
    "month": ("March", "April", "May", "June", "July", "August", "October", "December"),
    "subject": ("music", "art", "history", "maths", "biology", "physics", "drama", "Latin"),
    "pet": ("cat", "rabbit", "parrot", "mouse", "turtle", "pony", "duck", "snake"),
    "sport": ("tennis", "golf", "rugby", "hockey", "judo", "rowing", "boxing", "skiing"),
    "drink": ("tea", "milk", "coffee", "juice", "water", "cocoa", "cider", "lemonade"),
    "metal": ("gold", "silver", "iron", "copper", "tin", "zinc", "brass", "nickel"),
    "flower": ("rose", "tulip", "lily", "daisy", "poppy", "violet", "orchid", "lotus"),
    "instrument": ("piano", "violin", "drum", "flute", "harp", "guitar", "trumpet", "cello"),
    "job": ("baker", "doctor", "driver", "farmer", "painter", "nurse", "pilot", "tailor"),
}

OF_PLACES: Mapping[str, tuple[str, ...]] = {
    "river": ("Amber", "Birk", "Cale", "Doon", "Esk", "Fenn"),
    "mayor": PEOPLE[:12],
    "crop": ("wheat", "barley", "oats", "hops", "flax", "beans"),
    "symbol": ("lion", "eagle", "bear", "wolf", "crown", "anchor"),
}

OF_THINGS: Mapping[str, tuple[str, ...]] = {
    "owner": PEOPLE[4:],
    "material": ("wood", "glass", "wool", "paper", "clay", "stone"),
    "shape": ("round", "square", "oval", "flat", "long", "curved"),
    "room": ("kitchen", "hall", "attic", "cellar", "office", "garden"),
}

RELATIONS = ("boss", "teacher", "helper", "friend", "coach", "hero")

GROUPS: Mapping[str, tuple[str, ...]] = {
    "fruit": ("apple", "pear", "plum", "lemon"),
    "animal": ("dog", "cow", "horse", "goat"),
    "tool": ("hammer", "spade", "axe", "drill"),
    "tree": ("oak", "elm", "pine", "birch"),
}

NOUNS = tuple(noun for nouns in GROUPS.values() for noun in nouns)

OPPOSITES = (
    ("hot", "cold"),
    ("big", "small"),
    ("fast", "slow"),
    ("old", "young"),
    ("wet", "dry"),
    ("hard", "soft"),
    ("high", "low"),
    ("early", "late"),
)

LANGUAGES = ("Tovi", "Lenko", "Runa", "Sefi")

LIST_WORDS = (*NOUNS, *ATTRIBUTES["colour"], *ATTRIBUTES["food"])
"""The items of lists; none of them is a value of a held-out function."""

_ONSETS, _VOWELS, _MIDDLES = "bdfgklmnprstvz", "aeiou", ("vl", "zl", "zm", "vn", "lz", "nv", "mz", "vr")


@dataclass(frozen=True, slots=True)
class Function:
    """One value for each of its arguments: something true of people, places or things, or a word map.

    `word` is its name in sentences, `phrase` names its value for the argument `{x}`, and `values` are all
    values it can take.
    """

    word: str
    kind: Kind
    phrase: str
    facts: tuple[tuple[str, str], ...] = field(repr=False)
    values: tuple[str, ...] = field(repr=False)

    @property
    def split(self) -> Split:
        """`train` where instructions may ask for it."""
        return HELD_OUT_WORDS.get(self.word, "train")

    @property
    def persons(self) -> bool:
        """True if its values are people."""
        return self.values[0] in PEOPLE


@dataclass(frozen=True, slots=True)
class World:
    """All that is true. `held_out_pairs` are (outer, inner) pairs of functions that are never instructed
    together, though each is apart."""

    seed: int
    functions: tuple[Function, ...]
    held_out_pairs: Mapping[tuple[str, str], Split]

    def of_kind(self, kind: Kind) -> tuple[Function, ...]:
        return tuple(function for function in self.functions if function.kind == kind)

    def pairs(self, split: Split) -> Iterator[tuple[Function, Function]]:
        """The chains of two instructed functions that belong to a split: a function whose values are people,
        then an attribute."""
        for outer in self.functions:
            for attribute in self.of_kind("attribute"):
                known = outer.persons and outer.split == attribute.split == "train"
                if known and split == self.held_out_pairs.get((outer.word, attribute.word), "train"):
                    yield outer, attribute

    def tables(self) -> dict[str, dict[str, str]]:
        """Every fact as plain data: function word, argument, value."""
        return {function.word: dict(function.facts) for function in self.functions}


@cache
def world(seed: int = 0) -> World:
    """The world of that seed."""
    attributes = tuple(
        _spread(seed, "attribute", word, PEOPLE, values, f"the {word} of {{x}}")
        for word, values in ATTRIBUTES.items()
    )
    places = tuple(
        _spread(seed, "place", word, PLACES, values, f"the {word} of {{x}}")
        for word, values in OF_PLACES.items()
    )
    objects = tuple(
        _spread(seed, "thing", word, THINGS, values, f"the {word} of the {{x}}")
        for word, values in OF_THINGS.items()
    )
    functions = (*attributes, *_relations(seed), *places, *objects, *_languages(seed), _opposite(), _group())
    return World(seed, functions, _held_out_pairs(seed, functions))


def _spread(
    seed: int, kind: Kind, word: str, arguments: tuple[str, ...], values: tuple[str, ...], phrase: str
) -> Function:
    """Every value equally often."""
    order = shuffled(len(arguments), seed, kind, word)
    facts = tuple(
        (argument, values[int(position) % len(values)])
        for argument, position in zip(arguments, order, strict=True)
    )
    return Function(word, kind, phrase, facts, values)


def _relations(seed: int) -> Iterator[Function]:
    used_pairs = {(person, person) for person in PEOPLE}
    for word in RELATIONS:
        attempt, facts = 0, tuple(zip(PEOPLE, PEOPLE, strict=True))
        while not used_pairs.isdisjoint(facts):
            order = shuffled(len(PEOPLE), seed, "relation", word, attempt)
            facts = tuple((person, PEOPLE[int(place)]) for person, place in zip(PEOPLE, order, strict=True))
            attempt += 1
        used_pairs.update(facts)
        yield Function(word, "relation", f"the {word} of {{x}}", facts, PEOPLE)


def _languages(seed: int) -> Iterator[Function]:
    draws, known = Draws(seed, "languages"), set[str]()
    for language in LANGUAGES:
        words: list[str] = []
        while len(words) < len(NOUNS):
            word = (
                draws.choice(_ONSETS) + draws.choice(_VOWELS) + draws.choice(_MIDDLES) + draws.choice(_VOWELS)
            )
            if word not in known:
                words.append(word)
                known.add(word)
        yield Function(
            language,
            "word",
            f"the {language} word for {{x}}",
            tuple(zip(NOUNS, words, strict=True)),
            tuple(words),
        )


def _opposite() -> Function:
    facts = tuple(fact for one, other in OPPOSITES for fact in ((one, other), (other, one)))
    return Function("opposite", "word", "the opposite of {x}", facts, tuple(word for word, _ in facts))


def _group() -> Function:
    facts = tuple((noun, group) for group, nouns in GROUPS.items() for noun in nouns)
    return Function("group", "word", "the group of {x}", facts, tuple(GROUPS))


def _held_out_pairs(seed: int, functions: tuple[Function, ...]) -> dict[tuple[str, str], Split]:
    """Two pairs for each instructed attribute, one a set, spread over the outer functions: a third of all,
    and each side is well known from others."""
    outer = [function.word for function in functions if function.persons and function.split == "train"]
    inner = [
        function.word for function in functions if function.kind == "attribute" and function.split == "train"
    ]
    order = shuffled(len(outer), seed, "pairs")
    sets: tuple[Split, Split] = ("test", "dev")
    return {
        (outer[int(order[(index + shift) % len(outer)])], word): split
        for shift, split in enumerate(sets)
        for index, word in enumerate(inner)
    }
