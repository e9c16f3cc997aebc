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


_TOLD, _AGAIN = (4, 5, 6), 3
"""Parts of a passage, and how many of them are told again: too few of them to find the last ones by what is left."""


def recalled(draws: Draws) -> Sentence:
    """Four to six parts, each with another key and value, then "Again:" and three of them in another order; the first value there is salient."""
    # Half of them in the shortest way, where a value stands beside its key.
    pattern, keys, values, between, end = draws.choice(_PATTERNS[:2] if draws.below(2) else _PATTERNS)
    count = min(draws.choice(_TOLD), len(keys), len(values))
    told = [(keys[key], values[value]) for key, value in zip(draws.distinct(count, len(keys)), draws.distinct(count, len(values)), strict=True)]
    chosen = [told[place] for place in draws.distinct(_AGAIN, count)]
    passage, again = (between.join(pattern.format(key=key, value=value) for key, value in parts) + end for parts in (told, chosen))
    before = pattern.partition("{value}")[0]
    # A value that comes first is told by nothing before it: then its key is what can be looked up.
    key, value = chosen[0]
    begin = len(passage) + len(" Again: ") + (len(before.format(key=key)) if before else again.index(key))
    return Sentence(f"{passage} Again: {again}", begin, begin + len(value if before else key))
