"""Files that come with openflan, by name (recipes, chains, studies)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from openflan.errors import InputError, did_you_mean


def packaged(folder: str = "", prefix: str = "") -> dict[str, Path]:
    """Return the YAML files of a folder of the packaged recipes by name; each name begins with `prefix`."""
    directory = Path(str(files("openflan") / "recipes" / folder))
    return {prefix + path.stem: path for path in sorted(directory.glob("*.yaml"))}


def file_or_packaged(name: str, known: Mapping[str, Path], kind: str, folder: Path | None = None) -> Path:
    """Return a file, relative to `folder` if there is one, or else the packaged file of that name.

    Raises InputError if there is neither; the message calls it a `kind`, such as recipe."""
    path = (folder or Path()) / name
    if os.path.isfile(path):  # unlike Path.is_file, False for a path that is too long
        return path
    if name not in known:
        hint = did_you_mean(name, known) or f" (packaged: {', '.join(known) or 'none'})"
        raise InputError(f"{name}: no such file, nor a packaged {kind}{hint}")
    return known[name]
