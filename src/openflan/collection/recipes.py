"""Recipes beside the data, which point at what was fetched: the packaged `flan-2022` with other places."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from openflan.collection.plan import READY_MADE, TEMPLATES_FOLDER
from openflan.recipe.packaged import packaged
from openflan.yaml_files import read_yaml

FROM_SOURCES_FILE = "flan-2022.yaml"
READY_MADE_FILE = "flan-2022-ready-made.yaml"
_HEAD = "# Written by `openflan collection fetch`, which writes it again. Copy it to change it.\n"


def write_recipes(folder: Path, parts: Iterable[str]) -> list[Path]:
    """Writes a recipe for the rows from sources, and one for ready-made rows, as far as `parts` have them.

    T0-SF's configurations come first, and its templates fill what they lack. Returns the files.
    """
    there = set(parts)
    data: dict[str, Any] = {name: "." for name in ("muffin", "t0_sf", "niv2", "cot") if name in there}
    if "promptsource" in there:
        data["t0_sf"] = ["t0_sf", TEMPLATES_FOLDER] if "t0_sf" in there else TEMPLATES_FOLDER
    files: list[Path] = []
    if data:
        files.append(_write(folder / FROM_SOURCES_FILE, data, "proportion-b"))
    if READY_MADE in there:
        names = ("muffin", "t0_sf", "niv2", "cot")
        files.append(_write(folder / READY_MADE_FILE, dict.fromkeys(names, READY_MADE), "release"))
    return files


def _write(path: Path, data: dict[str, Any], rates: str) -> Path:
    values = read_yaml(packaged()["flan-2022"])
    order = ("muffin", "t0_sf", "niv2", "cot")
    values["mixture"]["submixtures"] = {name: {"data": data[name]} for name in order if name in data}
    values["mixture"]["rates"] = rates
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(_HEAD + yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    unfinished.replace(path)
    return path
