"""A user's own rows, scored for a run and for the base that it started from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openflan.api.options import EvaluateOptions, LoadOptions
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.known_benchmarks import find_mode
from openflan.evaluation.own_rows import OWN, RowRendering, own_rows_benchmark, own_tasks
from openflan.mixture.own_data import own_data_described, own_data_lines, reading_of
from openflan.models.folder import layout_of
from openflan.models.locate import Located
from openflan.recipe.load_recipe import load_any_recipe
from openflan.recipe.schema import Recipe, Submixture
from openflan.run_folder import Run
from openflan.tasks.formats.reading import make_reading
from openflan.tasks.places import places_of
from openflan.tasks.task import Task


@dataclass(frozen=True, slots=True)
class OwnRows:
    """A user's own rows as a benchmark, with lines for the user: what was read, in which format."""

    benchmark: Benchmark
    lines: Sequence[str]


def is_of_own_rows(names: Sequence[str], options: EvaluateOptions) -> bool:
    """Whether an evaluation is of the rows of `options.data`: no benchmark and no suite is named."""
    return not names and options.suite is None and options.data is not None


def open_own_rows(run: Run | None, options: EvaluateOptions) -> OwnRows:
    """The rows of `options.data` as a benchmark, in the wording in which `run` rendered its own rows.

    Warns where they are the rows that the run was trained on. Raises InputError for data that are missing or
    broken, with a hint where they may be the files of a benchmark.
    """
    data = Path(options.data or "")
    reading = make_reading(options.format, options.columns)
    recipe = _recipe_of(run)
    rendering = rendering_of(recipe, data)
    try:
        tasks, split = own_tasks(data, rendering, reading, options.split)
    except InputError as error:
        if data.is_dir() and "nothing in it is read" in str(error):
            raise InputError(
                f"{error}; for the files of a benchmark, name it with `--benchmark` or `--suite`"
            ) from None
        raise
    if run is not None and not split and _is_trained_on(recipe, data):
        warnings.warn(
            f"{run.folder} was trained on the rows of {data}: the score is no held-out score", stacklevel=2
        )
    benchmark = own_rows_benchmark(
        tasks,
        find_mode(options.mode),
        data,
        rendering=rendering,
        split=split,
        shots=options.shots or 0,
        limit=options.limit,
        metric=options.metric,
        all_wordings=options.wordings == "all",
    )
    return OwnRows(benchmark, _lines(tasks, split))


def rendering_of(recipe: Recipe | None, data: Path) -> RowRendering:
    """How a run rendered own rows: as the submixture that `data` belongs to, else as the only one with files
    of rows; as own rows without a recipe where there are several."""
    if recipe is None:
        return RowRendering()
    with_data = {name: one for name, one in recipe.mixture.submixtures.items() if one.data is not None}
    same = {name: one for name, one in with_data.items() if _holds(one, data)}
    chosen = same if len(same) == 1 else with_data
    if len(chosen) != 1:
        return RowRendering()
    ((name, submixture),) = chosen.items()
    return RowRendering(name or OWN, submixture.wordings, reading_of(name, submixture))


def base_options(located: Located, options: LoadOptions) -> LoadOptions | None:
    """How the base of a located run is loaded, None where there is no base to compare with: the model is no
    run, is the base itself, or started from random weights. The base is asked in the run's own layout: in its
    chat template if the run was finetuned with it."""
    if located.run is None or located.label in ("base", "random-init"):
        return None
    if load_any_recipe(located.run.recipe).model.base is None:
        return None
    is_chat = options.chat is None and layout_of(Path(located.name)) == "chat"
    return replace(options, checkpoint="base", chat=True if is_chat else options.chat)


def _recipe_of(run: Run | None) -> Recipe | None:
    """The recipe of a finetuned run; None for a pretrained one, whose data are plain text."""
    if run is None:
        return None
    recipe = load_any_recipe(run.recipe)
    return recipe if isinstance(recipe, Recipe) else None


def _holds(submixture: Submixture, data: Path) -> bool:
    """Whether a submixture's data are `data`, or lie in one folder with it."""
    path = data.absolute()
    places = [place.absolute() for place in places_of(submixture.data) if place is not None]
    return any(path == place or place in path.parents or path.parent == place.parent for place in places)


def _is_trained_on(recipe: Recipe | None, data: Path) -> bool:
    if recipe is None or not data.exists():
        return False
    places = [place for one in recipe.mixture.submixtures.values() for place in places_of(one.data)]
    return any(place is not None and place.exists() and os.path.samefile(place, data) for place in places)


def _lines(tasks: dict[str, Task], split: str) -> list[str]:
    lines = own_data_lines(own_data_described(tasks.values()))
    return [f"{line} ({split} split)" if split else line for line in lines]
