"""Which tasks there are and what they are called: a P3 configuration, and a template of promptsource, by the name that the catalogue has.

Under the submixture `t0_sf` only its 193 tasks are opened: P3 holds 351 more whose datasets are in Muffin, and 116 that list every candidate answer,
right or wrong, for scoring. Any other submixture takes what there is, except those for scoring, which must never be trained on.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from openflan.errors import InputError, did_you_mean
from openflan.tasks.catalogue import Entry, catalogue

T0_SF = "t0_sf"
SCORED = "_score_eval"


def template_task(dataset: Sequence[str], template: str) -> str:
    """`sciq_Direct_Question_Closed_Book_` for the template `Direct Question (Closed Book)` of sciq: P3's rule, one underscore for every run of
    characters that are not letters, digits, dots or underscores."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", "_".join([*dataset, template]))


def entry_of(bare: str) -> Entry | None:
    """The catalogue's entry of a T0-SF task."""
    return catalogue().get(f"{T0_SF}/{bare}")


def is_known(bare: str) -> bool:
    return entry_of(bare) is not None


def taken(names: Iterable[str], submixture: str, place: Path | str) -> list[str]:
    """Those of the bare names that the submixture takes; the others are counted in a warning.

    Raises InputError if none is left, with the nearest name.
    """
    there = list(names)
    chosen = [name for name in there if (is_known(name) if submixture == T0_SF else SCORED not in name)]
    left_out = [name for name in there if name not in set(chosen)]
    if not chosen:
        hint = did_you_mean(left_out[0], known_names()) if left_out else ""
        raise InputError(
            f"{place}: none of its {len(there):,} tasks ({', '.join(there[:3])}{', ...' if len(there) > 3 else ''}) is one that the submixture "
            f"`{submixture}` takes{hint or '; `openflan tasks list --submixture t0_sf` names those of T0-SF, another submixture takes all but *_score_eval'}"
        )
    if left_out:
        scored = sum(SCORED in name for name in left_out)
        warnings.warn(
            f"{place}: {len(left_out):,} of {len(there):,} tasks left out ({left_out[0]}{', ...' if len(left_out) > 1 else ''}): "
            f"{scored:,} for scoring candidate answers, {len(left_out) - scored:,} not among T0-SF's {len(known_names())}",
            stacklevel=3,
        )
    return chosen


def known_names() -> list[str]:
    """The bare names of T0-SF's tasks."""
    return [name.partition("/")[2] for name in catalogue() if name.startswith(f"{T0_SF}/")]
