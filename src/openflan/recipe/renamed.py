"""Former spellings of recipe keys and values: still read for one version, each with one warning.

A renamed key or value gets one line in `RENAMED_KEYS` or `RENAMED_VALUES`; the recipe loader applies both
tables before it checks a recipe. Paths are dotted; `*` stands for one name that the user chooses, such as
that of a submixture.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

KeyPath: TypeAlias = tuple[str, ...]

RENAMED_KEYS: Mapping[str, str] = {}
"""Former dotted path of a key: its present name in the same section."""

RENAMED_VALUES: Mapping[str, Mapping[str, str]] = {"training.loss_on": {"everything": "full_sequence"}}
"""Dotted path of a key: its former values, each with the present one."""


def warn_of_former_name(former: str, present: str, place: str = "") -> None:
    """Warn that a spelling of the version before is used. `place` is the file and line, if there is one."""
    before = f"{place}: " if place else ""
    warnings.warn(
        f"{before}`{former}` is now called `{present}`; change it, as the next version accepts `{present}` "
        "only",
        stacklevel=3,
    )


def with_present_names(
    values: dict[str, Any],
    place_of: Callable[[KeyPath], str],
    *,
    keys: Mapping[str, str] = RENAMED_KEYS,
    options: Mapping[str, Mapping[str, str]] = RENAMED_VALUES,
) -> dict[KeyPath, KeyPath]:
    """Replace former spellings in the values of a recipe, in place, and warn once of each.

    `place_of` returns file and line of a key. Returns the present path of each former one. A key under both
    names keeps both, so that the check of the recipe refuses the former.
    """
    moved: dict[KeyPath, KeyPath] = {}
    for former, present_name in keys.items():
        for section, path in list(_matches(values, tuple(former.split(".")), ())):
            present = (*path[:-1], present_name)
            if present_name not in section:
                warn_of_former_name(".".join(path), ".".join(present), place_of(path))
                section[present_name] = section.pop(path[-1])
                moved[path] = present
    for key, present_of_former in options.items():
        for section, path in list(_matches(values, tuple(key.split(".")), ())):
            former_value = section[path[-1]]
            if isinstance(former_value, str) and former_value in present_of_former:
                present_value = present_of_former[former_value]
                dotted = ".".join(path)
                warn_of_former_name(f"{dotted}: {former_value}", f"{dotted}: {present_value}", place_of(path))
                section[path[-1]] = present_value
    return moved


def _matches(section: Any, pattern: KeyPath, path: KeyPath) -> Iterator[tuple[dict[str, Any], KeyPath]]:
    """Yield the mapping that holds each key that `pattern` names, and the full path of the key."""
    if not isinstance(section, dict):
        return
    names = list(section) if pattern[0] == "*" else [name for name in section if name == pattern[0]]
    for name in names:
        if len(pattern) == 1:
            yield section, (*path, name)
        else:
            yield from _matches(section[name], pattern[1:], (*path, name))
