"""Passages that are told again in another order: what looking things up in a text is learned from.

A sentence about a passage asks for one look-up. Here every part is one, given its beginning, which a small model learns much sooner; reading, tables
and rules build on it. Nothing here is a question, and nothing is true of the world.
"""

from __future__ import annotations

from openflan.randomness import Draws
from openflan.tasks.microflan.reading import CARRIED, SIZES, SPOTS
from openflan.tasks.microflan.text import Sentence
from openflan.tasks.microflan.world import LIST_WORDS, PEOPLE

_NUMBERS = tuple(str(number) for number in range(1, 41))

_PATTERNS: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str, str], ...] = (
    ("{key} {value}", PEOPLE, CARRIED, ", ", "."),
    ("{key} {value}", PEOPLE, _NUMBERS, ", ", "."),
    ("{key} has a {value}", PEOPLE, CARRIED, ". ", "."),
    ("{key} is in the {value}", PEOPLE, SPOTS, ". ", "."),
    ("the {key} is {value}", CARRIED, SIZES, ". ", "."),
    ("{key} becomes {value}", LIST_WORDS, LIST_WORDS, ". ", "."),
    ("{key} becomes {value}", _NUMBERS, _NUMBERS, ". ", "."),
    ("{value} belongs to {key}", CARRIED, PEOPLE, ". ", "."),
)
"""How a part is said, what its key and its value are drawn from, what stands between parts and at the end."""


def recalled(draws: Draws) -> Sentence:
    """Two to four parts, each with another key and value, then "Again:" and the same parts in another order; the first value there is salient."""
    pattern, keys, values, between, end = draws.choice(_PATTERNS)
    count = 2 + draws.below(3)
    told = [(keys[key], values[value]) for key, value in zip(draws.distinct(count, len(keys)), draws.distinct(count, len(values)), strict=True)]
    order = draws.distinct(count, count)
    before, _, _ = pattern.format(key=told[order[0]][0], value="\0").partition("\0")
    passage = between.join(pattern.format(key=key, value=value) for key, value in told) + end
    again = between.join(pattern.format(key=told[place][0], value=told[place][1]) for place in order) + end
    # A value that comes first is told by nothing before it: then its key is what can be looked up.
    key, value = told[order[0]]
    begin = len(passage) + len(" Again: ") + (len(before) if before else again.index(key))
    return Sentence(f"{passage} Again: {again}", begin, begin + len(value if before else key))
