"""The names of P3's tasks: a P3 configuration, or a template of promptsource, by the name in the catalogue.

Under the submixture `t0_sf` only its 193 tasks are opened: P3 holds 351 more whose datasets are in Muffin,
and 116 that list every candidate answer, right or wrong, for scoring. Any other submixture takes what there
is, except those for scoring, which must never be trained on.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from openflan.errors import InputError, did_you_mean
from openflan.tasks.catalogue import Entry, catalogue

T0_SF = "t0_sf"
SCORED = "_score_eval"


def template_task(dataset: Sequence[str], template: str) -> str:
    """`sciq_Direct_Question_Closed_Book_` for the template `Direct Question (Closed Book)` of sciq: P3's
    rule, one underscore for every run of characters that are not letters, digits, dots or underscores."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", "_".join([*dataset, template]))


HUB_SPELLINGS: Mapping[str, str] = {
    "dbpedia_14_given_a_choice_of_categories_": "dbpedia_14_given_a_choice_of_categories_ ",
    "quoref_Read_And_Extract_": "quoref_Read_And_Extract_ ",
}
"""Configurations of bigscience/P3 whose names end in a blank, by the names in the list of tasks."""


def published(bare: str) -> str:
    """The name that the list of T0-SF's tasks has for a configuration or template; itself, stripped, for
    others.

    Copies differ at the end of the name: a blank, the underscore that P3's rule makes of one, or neither.
    """
    name = bare.strip()
    return name if name in known_names() else _by_stem().get(_stem(name), name)


def entry_of(bare: str) -> Entry | None:
    """The catalogue's entry of a T0-SF task."""
    return catalogue().get(f"{T0_SF}/{published(bare)}")


def is_known(bare: str) -> bool:
    return entry_of(bare) is not None


@cache
def _by_stem() -> Mapping[str, str]:
    """The names by what is before the underscores and blanks at their ends, where only one begins so."""
    stems = [_stem(name) for name in known_names()]
    return {_stem(name): name for name in known_names() if stems.count(_stem(name)) == 1}


def _stem(name: str) -> str:
    return name.rstrip("_ ")


def chosen_names(names: Iterable[str], submixture: str, location: Path | str) -> list[str]:
    """Those of the bare names that the submixture takes; the others are counted in a warning.

    Raises InputError if none is left, with the nearest name.
    """
    all_names = list(names)
    chosen = [name for name in all_names if (is_known(name) if submixture == T0_SF else SCORED not in name)]
    left_out = [name for name in all_names if name not in set(chosen)]
    if not chosen:
        hint = did_you_mean(left_out[0], known_names()) if left_out else ""
        list_command = "`openflan tasks list --submixture t0_sf` names those of T0-SF"
        hint = hint or f"; {list_command}, another submixture takes all but *_score_eval"
        raise InputError(
            f"{location}: none of its {len(all_names):,} tasks "
            f"({', '.join(all_names[:3])}{', ...' if len(all_names) > 3 else ''}) is one that the submixture "
            f"`{submixture}` takes{hint}"
        )
    if left_out:
        scored = sum(SCORED in name for name in left_out)
        warnings.warn(
            f"{location}: {len(left_out):,} of {len(all_names):,} tasks left out "
            f"({left_out[0]}{', ...' if len(left_out) > 1 else ''}): "
            f"{scored:,} for scoring candidate answers, {len(left_out) - scored:,} not among T0-SF's "
            f"{len(known_names())}",
            stacklevel=3,
        )
    return chosen


@cache
def known_names() -> Mapping[str, None]:
    """The bare names of T0-SF's tasks, in their order."""
    return {name.partition("/")[2]: None for name in catalogue() if name.startswith(f"{T0_SF}/")}
