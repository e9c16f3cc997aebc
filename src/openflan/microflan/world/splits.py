"""What is held out, and for what: no instruction in training uses anything that is named here.

There are four kinds of generalisation. `skill`: plain text states it, and no instruction mentions it in any
form. `form`: trained skills in a form of question that no instruction has. `wording`: trained skills and
forms in a wording that no instruction has. `composition`: trained skills in a chain that no instruction has.
Each kind has two disjoint sets: `dev` for every choice that is made while building, `test` for what is
reported. Decision: both sets are fixed by name, not drawn, so that a reader sees them and a check can look
for their words everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Split: TypeAlias = Literal["train", "dev", "test"]

HELD_OUT_WORDS: Mapping[str, Split] = {
    "sport": "test",
    "drink": "test",
    "metal": "test",
    "coach": "test",
    "symbol": "test",
    "room": "test",
    "Runa": "test",
    "group": "test",
    "flower": "dev",
    "instrument": "dev",
    "job": "dev",
    "hero": "dev",
    "crop": "dev",
    "shape": "dev",
    "Sefi": "dev",
}
"""Functions of the world by the word that names them; the word itself occurs in no instruction, nor does any
value of theirs in answer to it."""

HELD_OUT_SKILLS: Mapping[str, Split] = {
    "spell_last": "test",
    "month_before": "test",
    "unit_dozens": "test",
    "number_half": "test",
    "list_smallest": "test",
    "compare_smaller": "test",
    "table_holder": "test",
    "reading_who": "test",
    "rule_last": "test",
    "format_date": "test",
    "spell_second": "dev",
    "month_number": "dev",
    "unit_hours": "dev",
    "number_before": "dev",
    "list_second": "dev",
    "compare_earlier": "dev",
    "reading_given": "dev",
    "rule_before": "dev",
}
"""Operations that plain text states and no instruction uses."""

HELD_OUT_FORMS: Mapping[Literal["echo", "either"], Split] = {"echo": "test", "either": "dev"}

REWORDED: Mapping[str, Split] = {"reworded": "test", "reworded_dev": "dev"}
"""Tasks of a trained form that have wordings of their own."""

PROBED = (
    "person_colour",
    "person_food",
    "person_pet",
    "relation_boss",
    "relation_friend",
    "place_river",
    "thing_owner",
    "word_tovi",
    "word_opposite",
    "number_plus",
    "number_next",
    "list_first",
    "day_after",
    "reading_place",
)
"""The instructed skills that held-out forms and wordings are tried on: one or two of each sort."""


def split_of_skill(name: str, word: str = "") -> Split:
    """The split that a skill belongs to, by its name or by the word of its function."""
    return HELD_OUT_WORDS.get(word) or HELD_OUT_SKILLS.get(name, "train")
