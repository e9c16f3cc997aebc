"""Finds the embedded data that a recipe trains on, and the data that a base model was trained on.

The facts of another seed can only be learned anew, so a base that was trained on one seed helps little with
another.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from openflan.embedded import EMBEDDED, EmbeddedData, parse_data, source_of_model
from openflan.recipe.schema import Mixture
from openflan.tasks.embedded_rows import embedded_data_of
from openflan.tasks.places import Data, places_of
from openflan.yaml_files import read_yaml


def data_of_mixture(mixture: Mixture) -> set[EmbeddedData]:
    """The embedded data that a mixture's rows are made from."""
    return set(_data_of({name: one.data for name, one in mixture.submixtures.items()}))


def trained_data(model: str | Path | None) -> set[EmbeddedData]:
    """The embedded data that a model was trained on, by itself or as the base of its base; empty where no
    recipe says so.

    `model` is the name of a bundled model, a run folder, or a folder in one, such as its `model/`.
    """
    data: set[EmbeddedData] = set()
    visited: set[str] = set()
    while model is not None and str(model) not in visited:
        visited.add(str(model))
        if str(model).startswith(EMBEDDED):
            source = source_of_model(str(model))
            return data | ({EmbeddedData(source, source.seed)} if source else set())
        recipe = _recipe_of(Path(model))
        data |= set(_data_of_recipe(recipe))
        base = recipe.get("model")
        model = base.get("base") if isinstance(base, dict) else None
    return data


def warn_of_other_data(model: str | Path | None, data: Iterable[EmbeddedData]) -> None:
    """Warns if a model was trained on embedded data, and `data` holds others of the same source."""
    trained = trained_data(model)
    sources = {one.source for one in trained}
    other_data = sorted(
        (one for one in set(data) - trained if one.source in sources),
        key=lambda data_set: (data_set.source.name, data_set.seed),
    )
    if other_data:
        trained_labels = ", ".join(
            data_set.label
            for data_set in sorted(trained, key=lambda data_set: (data_set.source.name, data_set.seed))
        )
        warnings.warn(
            f"the base was trained on another embedded world: {model} on {trained_labels}, and this is about "
            f"{', '.join(data_set.label for data_set in other_data)}, in which other things are true; "
            "pretrain a base on its plain text first, such as "
            f"`pretraining.data={EMBEDDED}{other_data[0].label}`",
            stacklevel=3,
        )


def _recipe_of(model: Path) -> Mapping[str, Any]:
    """The recipe that a model was trained by, if the model still lies in its run folder; else empty."""
    if not model.is_dir():
        return {}
    for path in [folder / "recipe.yaml" for folder in (model, *model.resolve().parents[:2])]:
        if path.is_file():
            values = read_yaml(path)
            return values if isinstance(values, dict) else {}
    return {}


def _data_of_recipe(recipe: Mapping[str, Any]) -> Iterator[EmbeddedData]:
    pretraining, mixture = recipe.get("pretraining") or {}, recipe.get("mixture") or {}
    paths = pretraining.get("data") or []
    for path in [paths] if isinstance(paths, str) else paths:
        if data := parse_data(str(path)):
            yield EmbeddedData(data.source, data.seed)
    submixtures = (mixture.get("submixtures") or {}).items()
    for name, section in submixtures:
        path = (section or {}).get("data")
        # A list of places has no embedded one.
        if not isinstance(path, list):
            yield from _data_of({name: None if path is None else Path(path)})


def _data_of(submixtures: Mapping[str, Data]) -> Iterator[EmbeddedData]:
    for name, data in submixtures.items():
        for place in places_of(data):
            if embedded := embedded_data_of(name, place):
                yield embedded
