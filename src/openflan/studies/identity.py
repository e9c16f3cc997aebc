"""Hashes of everything that a cell's result depends on, so that a changed study runs only what changed.

The hash covers the recipe, the weights that training starts from, some rows of every task, and every prompt
and target of the evaluations. It does not cover names, how often checkpoints are written, or the code: after
a change of code that matters, start in another folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from openflan.hashes import SHORT, sha256_of_json
from openflan.inference.fingerprint import folder_fingerprint
from openflan.mixture.own_data import reading_of
from openflan.models.folder import bundled_model_folder, model_folder
from openflan.recipe.pretraining import PretrainRecipe
from openflan.recipe.schema import Model, Recipe
from openflan.studies.cells import Cell, opened
from openflan.studies.evaluations import Layout
from openflan.studies.study_schema import Ask
from openflan.tasks.formats.reading import Reading
from openflan.tasks.places import on_hub, written
from openflan.tasks.texts import open_texts

_ROWS = 5
"""How many rows of each task are hashed, evenly spaced."""


def training_key(cell: Cell) -> str:
    """Return the hash of the model that a cell evaluates. Of cells with equal hashes only one is trained.

    Raises InputError for a missing base.
    """
    weights = _weights(cell.recipe.model)
    learned = {"recipe": _shaping(cell.recipe), "rows": _rows(cell.recipe)} if cell.trained else {}
    first = {} if cell.pretraining is None else {"pretraining": _read(cell.pretraining)}
    return _digest({"weights": weights} | learned | first)


def cell_key(model_key: str, evaluations: Mapping[str, Ask], layouts: Mapping[str, Layout]) -> str:
    """Return the hash of a cell's result: of its model and of the questions it is evaluated on."""
    questions = {
        name: [ask.model_dump(mode="json"), layouts[name].prompts] for name, ask in evaluations.items()
    }
    return _digest({"model": model_key, "asked": questions})


def _shaping(recipe: Recipe) -> dict[str, Any]:
    values = recipe.model_dump(mode="json", exclude={"name", "checkpoints", "evaluation", "track"})
    # Where weights and rows lie does not matter; what they are is counted apart.
    for section in values["mixture"]["submixtures"].values():
        del section["data"]
    return values | {"model": {key: value for key, value in values["model"].items() if key != "base"}}


def _read(recipe: PretrainRecipe) -> dict[str, Any]:
    """Return what continued pretraining depends on besides its base: the text itself, but not its path."""
    from openflan.training.pretraining_data import texts_fingerprint

    values, about = (
        recipe.model_dump(mode="json", exclude={"name", "model", "checkpoints", "track"}),
        recipe.pretraining,
    )
    del values["pretraining"]["data"]
    return {
        "recipe": values,
        "texts": texts_fingerprint(open_texts(about.data, about.field, about.documents, about.salient_field)),
    }


def _weights(model: Model) -> str:
    if model.base is None:
        return "random"
    local = bundled_model_folder(model.base) or Path(model.base)
    return (
        folder_fingerprint(model_folder(model.base, tokenizer=model.tokenizer is None))
        if local.exists()
        else model.base
    )


def _rows(recipe: Recipe) -> dict[str, str]:
    digests: dict[str, str] = {}
    for name, section in recipe.mixture.submixtures.items():
        if on_hub(section.data):
            digests[name] = written(section.data)
            continue
        reading = reading_of(name, section)
        digests[name] = _digest(
            [
                _of_task(name, section.data, task, reading)
                for task in opened(name, section.data, section.tasks, reading)
            ]
        )
    return digests


@cache
def _of_task(submixture: str, data: Path | None, name: str, reading: Reading) -> str:
    rows = opened(submixture, data, (name,), reading)[name].rows
    row_indices = sorted({len(rows) * row_index // _ROWS for row_index in range(_ROWS)}) if len(rows) else []
    return _digest([name, len(rows), [sorted(rows[row_index].items()) for row_index in row_indices]])


def _digest(value: Any) -> str:
    return sha256_of_json(value)[:SHORT]
