"""Wordings for a task that no set names, by the fields of its rows alone.

They serve people's own rows, whose tasks have names that no packaged file can know: a definition with a
question gets the wordings of the natural instructions, a question with an answer the generic ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from openflan.errors import InputError
from openflan.templates.wording import WordingSet, load_wordings, packaged_wordings

_INSTRUCTION = frozenset({"definition", "question", "answer"})
_QUESTION = frozenset({"question", "answer"})
_NATURAL_INSTRUCTIONS = "niv2/*"


@cache
def generic_set() -> WordingSet:
    """The packaged wordings for rows with a question and an answer, of any task."""
    (generic,) = load_wordings(Path(str(files("openflan.templates") / "generic_wordings.yaml")))
    return replace(generic, packaged=True)


def generic_wordings(task: str, fields: frozenset[str], sets: Sequence[WordingSet]) -> WordingSet:
    """The wordings of a task that no set of `sets` has wordings for; fields that no wording names do not
    matter.

    Raises InputError for fields that none of them can show, and where `sets` hold some of the user's own: he
    who names a file of wordings means his own.
    """
    own = [wording_set for wording_set in sets if not wording_set.packaged]
    if own:
        patterns = ", ".join(f"`{pattern}`" for wording_set in own for pattern in wording_set.tasks)
        raise InputError(
            f"{task}: no wordings for rows with the fields {', '.join(sorted(fields))}; those of "
            f"{own[0].source} are for {patterns}; add the task there"
        )
    if fields >= _INSTRUCTION:
        chosen = next(one for one in packaged_wordings() if _NATURAL_INSTRUCTIONS in one.tasks)
    elif fields >= _QUESTION:
        chosen = generic_set()
    else:
        raise InputError(
            f"{task}: no wordings for rows with the fields {', '.join(sorted(fields))}; name a file with "
            "`wordings:`, or use the fields inputs and targets, or question and answer (`--map "
            "question=COLUMN,answer=COLUMN`)"
        )
    usable = tuple(wording for wording in chosen.wordings if wording.fields | wording.requires <= fields)
    return replace(chosen, tasks=(task,), wordings=usable)
