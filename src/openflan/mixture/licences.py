"""Decide which tasks a recipe's `licences` allow.

A task's licence is what its own file says (natural instructions), else what the catalogue knows from the
dataset's publication. Names are compared in one spelling (`CC BY-SA 4.0` is `cc-by-sa-4.0`). Decision: a task
is left out unless it is known to be allowed. So `unknown` and `other` count as no licence, and if a task
names several licences, all of them must be allowed. Trade-off: tasks that may be free are left out until
someone reads their terms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from openflan.errors import InputError, did_you_mean
from openflan.tasks.catalogue import catalogue, real_name
from openflan.tasks.task import Task

UNKNOWN = "licence unknown"
"""The reason for leaving out a task whose licence is not known."""

_NO_LICENCE = {"", "unknown", "other", "none", "unspecified"}
_IDLE_WORDS = {"the", "licence", "license", "version", "international"}
_CREATIVE_COMMONS = [
    f"cc-{terms}-{version}"
    for terms in ("by", "by-sa", "by-nc", "by-nc-sa", "by-nc-nd", "by-nd")
    for version in ("2.0", "2.5", "3.0", "4.0")
]
_COMMON = [
    "apache-2.0",
    "mit",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc0",
    "cc0-1.0",
    "odc-by-1.0",
    "odbl-1.0",
    "gpl-3.0",
    *_CREATIVE_COMMONS,
]
"""Licences that a recipe may allow although no task has them."""


def spelled(text: str) -> str:
    """Return the normal spelling of a licence or pattern: lower case, words joined by hyphens, without
    words such as `License` and `Version`."""
    return "-".join(word for word in re.split(r"[\s_,\-]+", text.lower()) if word and word not in _IDLE_WORDS)


def licence_of(task: Task) -> str | None:
    """Return the licence of a task's rows as its own file states it, else as the catalogue does; None if
    unknown."""
    if task.licence is not None and spelled(task.licence) not in _NO_LICENCE:
        return task.licence
    entry = catalogue().get(real_name(task.name))
    return entry.licence if entry else None


def refusal(licence: str | None, allowed: Sequence[str] | None) -> str | None:
    """Return why a task with this licence is left out, such as `licence cc-by-nc-4.0`; None if it is allowed,
    or if all are (`allowed` is None)."""
    if allowed is None:
        return None
    names = _names(licence)
    if not names:
        return UNKNOWN
    patterns = [spelled(pattern) for pattern in allowed]
    # A name may hold a comma of its own: `Apache License, Version 2.0`.
    if spelled(licence or "") in patterns or all(
        any(fnmatchcase(name, pattern) for pattern in patterns) for name in names
    ):
        return None
    return f"licence {', '.join(names)}"


def check_licences(allowed: Sequence[str] | None, licences: Iterable[str | None]) -> None:
    """Raise InputError for a name or pattern that matches no licence of `licences`, of the catalogue, and no
    common licence. The message names the nearest one."""
    listed = [*licences, *(entry.licence for entry in catalogue().values())]
    known = {
        *_COMMON,
        *(name for licence in listed for name in (*_names(licence), spelled(licence or "")) if name),
    }
    for pattern in allowed or ():
        if not any(fnmatchcase(name, spelled(pattern)) for name in known):
            hint = (
                did_you_mean(spelled(pattern), known) or "; such as mit, apache-2.0, cc-by-sa-4.0 or cc-by-*"
            )
            raise InputError(
                f"`mixture.licences`: no task has the licence `{pattern}`, nor is it a common one{hint}"
            )


def _names(licence: str | None) -> list[str]:
    """Return the licences that a text lists, separated by commas, in normal spelling; none for `unknown`."""
    named = [spelled(name) for name in (licence or "").split(",")]
    return [] if any(name in _NO_LICENCE for name in named) else named
