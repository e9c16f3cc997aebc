"""Paths in a recipe: relative ones start at the folder of the file that states them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from openflan.embedded import EMBEDDED
from openflan.recipe.schema import WordingsName


def resolve_paths(values: dict[str, Any], folder: Path) -> None:
    """Make the relative paths of a recipe absolute, in place, starting at `folder`.

    A model that is not an existing path stays unchanged, as it may be a hub id; so does `data: hub:...`.
    """
    model = values.get("model")
    if isinstance(model, dict):
        for key in ("base", "tokenizer"):
            if isinstance(model.get(key), str) and (path := folder / Path(model[key]).expanduser()).exists():
                model[key] = str(path.resolve())
    mixture = values.get("mixture")
    if isinstance(mixture, dict) and isinstance(mixture.get("drop_overlaps"), str):
        mixture["drop_overlaps"] = str((folder / Path(mixture["drop_overlaps"]).expanduser()).resolve())
    pretraining = values.get("pretraining")
    if isinstance(pretraining, dict) and isinstance(pretraining.get("data"), str | list):
        data = pretraining["data"] if isinstance(pretraining["data"], list) else [pretraining["data"]]
        pretraining["data"] = [_absolute(path, folder) for path in data]
    submixtures = mixture.get("submixtures") if isinstance(mixture, dict) else None
    for submixture in submixtures.values() if isinstance(submixtures, dict) else ():
        for key in ("data", "wordings"):
            named = (
                key == "wordings"
                and isinstance(submixture, dict)
                and submixture.get(key) in get_args(WordingsName)
            )
            if isinstance(submixture, dict) and key in submixture and not named:
                value = submixture[key]
                submixture[key] = (
                    [_absolute(path, folder) for path in value]
                    if key == "data" and isinstance(value, list)
                    else _absolute(value, folder)
                )


def _absolute(path: Any, folder: Path) -> Any:
    """Return a path that starts at `folder`. Values that are not texts, hub ids and embedded names stay."""
    return (
        path
        if not isinstance(path, str) or path.startswith(("hub:", EMBEDDED))
        else str((folder / Path(path).expanduser()).resolve())
    )
