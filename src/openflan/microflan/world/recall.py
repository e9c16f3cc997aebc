"""Passages that are repeated in another order, from which a model learns to look things up in a text.

A sentence about a passage needs one look-up. Here every part needs one, given its beginning, which a small
model learns much sooner; reading, tables and rules build on it. Nothing here is a question, and nothing is
true of the world.
"""

from __future__ import annotations

from openflan.microflan.world.reading import CARRIED, SIZES, SPOTS
from openflan.microflan.world.text import Sentence
from openflan.microflan.world.world_facts import LIST_WORDS, PEOPLE
from openflan.randomness import Draws

_NUMBERS = tuple(str(number) for number in range(1, 41))

_PATTERNS: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str, str], ...] = (
    ("{key} {value}", PEOPLE, CARRIED, ", ", "."),
    ("{key} {value}", PEOPLE, _NUMBERS, ", ", "."),
    ("{key} has a {value}", PEOPLE, CARRIED, ". ", "."),
    ("{key} is in the {value}", PEOPLE, SPOTS, ". ", "."),
    ("the {key} is {value}", CARRIED, SIZES, ". ", "."),
    ("{key} becomes {value}", LIST_WORDS, LIST_WORDS, ". ", "."),
    ("{key} becomes {value}", _NUMBERS, _NUMBERS, ". ", "."),
    ("the {key} belongs to {value}", CARRIED, PEOPLE, ". ", "."),
)
"""The pattern of a part, the items that its key and its value are drawn from, the text between parts and at
the end."""


_MIRRORED = {
    "{key} {value}": "{value} {key}",
    "{key} has a {value}": "the {value} belongs to {key}",
    "{key} is in the {value}": "in the {value} is {key}",
}
"""The pattern of the repetition in a third of the passages that have one: from the value to its key."""

_PARTS, _REPEATED = (4, 5, 6), 3
"""The numbers of parts of a passage, and how many parts are repeated: so few that the last ones do not follow
from what is left."""


def recalled(draws: Draws) -> Sentence:
    """Four to six parts, each with another key and value, then "Again:" and three of them in another order;
    the first value there is salient."""
    # Half of them in the shortest form, where a value is next to its key.
    pattern, keys, values, between, end = draws.choice(_PATTERNS[:2] if draws.below(2) else _PATTERNS)
    count = min(draws.choice(_PARTS), len(keys), len(values))
    statements = [
        (keys[key], values[value])
        for key, value in zip(
            draws.distinct(count, len(keys)), draws.distinct(count, len(values)), strict=True
        )
    ]
    chosen = [statements[place] for place in draws.distinct(_REPEATED, count)]
    pattern_of_chosen = _MIRRORED.get(pattern, pattern) if draws.below(3) == 0 else pattern
    passage, again = (
        between.join(way.format(key=key, value=value) for key, value in parts) + end
        for way, parts in ((pattern, statements), (pattern_of_chosen, chosen))
    )
    # Whichever of key and value comes second can be looked up by the first.
    key, value = chosen[0]
    first, second = (
        ("{key}", value)
        if pattern_of_chosen.index("{key}") < pattern_of_chosen.index("{value}")
        else ("{value}", key)
    )
    begin = (
        len(passage)
        + len(" Again: ")
        + pattern_of_chosen.index("{value}" if first == "{key}" else "{key}")
        - len(first)
        + len(key if first == "{key}" else value)
    )
    return Sentence(f"{passage} Again: {again}", begin, begin + len(second))
