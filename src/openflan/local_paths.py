"""Paths of this machine in values that leave it, such as the recipe of a model that is published.

A path names a user, a project or a customer, and leads nowhere on another machine. Its last part stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

_ABSOLUTE = re.compile(r"(?:file://)?(?:/(?!/)|~[\w.\-]*/|[A-Za-z]:[\\/]|\\\\)[^\n]*\S[^\n]*")
_WINDOWS = re.compile(r"(?:file:///)?(?:[A-Za-z]:[\\/]|\\\\)")
_OF_A_RUN = re.compile(r"model|adapter|step-\d+")
"""Folders that are called alike in every run: the part before says more."""

_LITERAL = re.compile(r"content|chat_template|\w*_tokens?")
"""Keys of a tokenizer's configuration whose texts are tokens or templates, also where they begin with `/`."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A path that was replaced: the dotted key that held it, the path, and the text in its place."""

    key: str
    path: str
    text: str


def is_local_path(text: str) -> bool:
    """Whether a text is an absolute path, or one that begins with `~`, of any system."""
    return len(text) > 1 and _ABSOLUTE.fullmatch(text) is not None


def last_part(path: str) -> str:
    """A relative path, `./NAME`, with the last part of an absolute one; of the folders of a run, the last two
    parts."""
    bare = path.removeprefix("file://")
    parts = (PureWindowsPath(bare) if _WINDOWS.match(path) else PurePosixPath(bare)).parts[1:]
    names = [part for part in parts if part not in (".", "..")]
    count = 2 if names and _OF_A_RUN.fullmatch(names[-1]) else 1
    return "./" + "/".join(names[-count:])


def without_local_paths(value: Any, key: str = "") -> tuple[Any, list[Replaced]]:
    """A plain value (as JSON holds it) with `last_part` in place of every text that is a local path, and what
    was replaced. `key` begins the keys of that list."""
    replaced: list[Replaced] = []

    def cleaned(text: str, inner_key: str) -> str:
        if not is_local_path(text):
            return text
        replaced.append(Replaced(inner_key, text, last_part(text)))
        return last_part(text)

    def walked(inner: Any, inner_key: str, name: str) -> Any:
        if isinstance(inner, dict):
            return {
                cleaned(str(part), inner_key): walked(
                    held, f"{inner_key}.{part}" if inner_key else str(part), str(part)
                )
                for part, held in inner.items()
            }
        if isinstance(inner, list | tuple):
            return [walked(held, inner_key, name) for held in inner]
        if isinstance(inner, str) and not _LITERAL.fullmatch(name):
            return cleaned(inner, inner_key)
        return inner

    return walked(value, key, key), replaced
