"""Finds leaks in a text: held-out items in instructions, instructions in plain text, facts in ordinary
English.

Decision: texts are searched for words and phrases, whichever generator made them; names of tasks and fields
are not relied on. Price: the phrases of held-out operations are repeated here, and a new operation needs its
line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from openflan.microflan.world.splits import HELD_OUT_SKILLS
from openflan.microflan.world.world_facts import Function, World

PHRASES: Mapping[str, tuple[str, ...]] = {
    "spell_last": ("last letter",),
    "spell_second": ("second letter",),
    "month_before": ("month before",),
    "month_number": ("in the year",),
    "unit_dozens": ("dozen",),
    "unit_hours": ("hours",),
    "number_half": ("half",),
    "number_before": ("number before",),
    "list_smallest": ("smallest",),
    "list_second": ("second word",),
    "compare_smaller": ("smaller",),
    "compare_earlier": ("earlier month",),
    "table_holder": ("holder of",),
    "reading_who": ("who is in the", "person in the"),
    "reading_given": ("gives the", "who has the"),
    "format_date": ("month first",),
}
"""The phrases of questions about the held-out operations, in lower case; `rule_last` and `rule_before` have
no phrases and are recognised by their examples."""

FORMS: Mapping[str, str] = {"echo": r"\bis (?:the |an? )?what\?", "either": r", \S+ or \S+\?"}
"""The ends of questions of the held-out forms, as regular expressions."""

_WORDS = re.compile(r"\w+")
_ASKED = tuple((phrase, skill) for skill, phrases in PHRASES.items() for phrase in phrases)
_SHAPES = re.compile("|".join(rf"(?P<{form}>{shape})" for form, shape in FORMS.items()))
_BECOMES = re.compile(r"((?:\w+, )*\w+) becomes ((?:\w+, )*\w+)")
_MARKS = re.compile(r"(?<!^Points):|[?!\"()\[\]_\n]")
_INSTRUCTING = re.compile(
    r"\b(?:answer\w*|options?|questions?|choose|complete|yes|no|please|tell|write|finish)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Leaks:
    """The words and functions to look for in the texts of one world.

    `words` are the names of held-out functions and the values that only these have; `functions` all names;
    `chained` the pairs of functions that may occur together.
    """

    words: frozenset[str]
    functions: frozenset[str]
    chained: frozenset[frozenset[str]]

    @classmethod
    def of(cls, world: World) -> Leaks:
        held_out = [function for function in world.functions if function.split != "train"]
        values = {value.lower() for function in held_out if not function.persons for value in function.values}
        chained = {
            frozenset((outer.word.lower(), attribute.word.lower()))
            for outer, attribute in world.pairs("train")
        }
        functions = frozenset(function.word.lower() for function in world.functions)
        return cls(
            frozenset({function.word.lower() for function in held_out} | values),
            functions,
            frozenset(chained),
        )

    def in_instruction(self, text: str) -> list[str]:
        """Held-out functions and their values, operations, forms and compositions that an instruction with
        its answer shows."""
        lower = text.lower()
        present = set(_WORDS.findall(lower))
        complaints = [f"`{word}` is held out" for word in sorted(present & self.words)]
        complaints += [
            f"`{phrase}` asks for the held-out {skill}" for phrase, skill in _ASKED if phrase in lower
        ]
        complaints += [
            f"`{match[0]}` has the held-out form {match.lastgroup}" for match in _SHAPES.finditer(text)
        ]
        complaints += [
            f"`{match[0]}` follows the held-out {rule}"
            for match in _BECOMES.finditer(text)
            if (rule := _rule(match[1], match[2]))
        ]
        return complaints + self._compositions(present)

    def in_plain_text(self, text: str) -> list[str]:
        """What makes a text look like an instruction, and functions that it chains though no instruction
        does."""
        complaints = [f"`{match[0]}` is no mark of a plain sentence" for match in _MARKS.finditer(text)]
        complaints += [f"`{match[0]}` is a word of instructions" for match in _INSTRUCTING.finditer(text)]
        return complaints + self._compositions(set(_WORDS.findall(text.lower())))

    def _compositions(self, present: set[str]) -> list[str]:
        pairs = combinations(sorted(present & self.functions), 2)
        return [
            f"`{first}` and `{second}` are never instructed together"
            for first, second in pairs
            if frozenset((first, second)) not in self.chained
        ]


def facts_in(text: str, functions: tuple[Function, ...]) -> list[str]:
    """Functions that a text names together with one of their values."""
    present = set(_WORDS.findall(text.lower()))
    return [
        f"`{function.word}` stands with one of its values"
        for function in functions
        if function.word.lower() in present
        and not present.isdisjoint(value.lower() for value in function.values)
    ]


def _rule(argument: str, value: str) -> str | None:
    """The held-out rule that an example follows."""
    if argument.isdigit() and value.isdigit():
        return "rule_before" if int(value) == int(argument) - 1 and "rule_before" in HELD_OUT_SKILLS else None
    items = argument.split(", ")
    return "rule_last" if len(items) > 1 and value == items[-1] and "rule_last" in HELD_OUT_SKILLS else None
