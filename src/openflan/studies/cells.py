"""The grid of a study: every cell as a recipe of its own, in the order in which they run.

Decision: coarse first. All cells get their first seed before any gets its second, so that a study that is
stopped early covers all cells. A cell that trains on nothing is its base as it is: it runs once and stands
for all seeds. Subsets of tasks are nested: those of 5 are among those of 50. Each seed has an order of its
own, so that intervals over seeds include which tasks were drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

from openflan.errors import InputError, did_you_mean
from openflan.mixture.licences import licence_of
from openflan.mixture.open_mixture import why_left_out
from openflan.mixture.rates import relative_rates
from openflan.models.folder import bundled_model_folder, model_folder
from openflan.randomness import shuffled
from openflan.recipe.chain_steps import overrides_of
from openflan.recipe.load_recipe import load_pretrain_recipe, load_recipe
from openflan.recipe.pretraining import PretrainRecipe
from openflan.recipe.schema import Mixture, Model, Recipe
from openflan.studies.study_schema import WORDS, Setting, Study
from openflan.tasks.places import Data
from openflan.tasks.sources import find_submixture
from openflan.tasks.task import Opener, Task, open_each, select


@dataclass(frozen=True, slots=True)
class Cell:
    """A place of the grid, or a control's twin of one, under a seed; `seed` is None where nothing is trained.
    `missing` says what keeps it from running: a base that is not there. `pretraining` comes before the
    recipe, from its base, and hands its model on."""

    name: str
    values: Mapping[str, str]
    control: str | None
    seed: int | None
    recipe: Recipe
    missing: str | None = None
    pretraining: PretrainRecipe | None = None

    @property
    def steps(self) -> int:
        return (
            0
            if not self.trained
            else self.recipe.training.steps + (self.pretraining.training.steps if self.pretraining else 0)
        )

    @property
    def trained(self) -> bool:
        return self.seed is not None

    @property
    def label(self) -> str:
        return f"{self.name}-seed{self.seed}" if self.trained else self.name


def grid(
    study: Study, folder: Path, overrides: Sequence[str] = (), seeds: Sequence[int] | None = None
) -> list[Cell]:
    """The cells of a study that was read from `folder`, controls after the grid, seed by seed; `overrides`
    hold for every cell.

    Raises InputError for settings that make no recipe, and a subset of more tasks than there are.
    """
    grid_values = [dict(zip(study.axes, values, strict=True)) for values in product(*study.axes.values())]
    values_and_controls: list[tuple[dict[str, str], str | None]] = [(values, None) for values in grid_values]
    for name, twin in study.controls.items():
        values_and_controls += [(values, name) for values in grid_values if twin.at.items() <= values.items()]
    cells: dict[str, Cell] = {}
    for seed in seeds or study.seeds:
        for values, control in values_and_controls:
            cell = _cell(study, folder, values, control, seed, overrides)
            same = cells.setdefault(cell.label, cell)
            if (same.values, same.control) != (cell.values, cell.control):
                raise InputError(
                    f"{study.name}: two cells would be called `{cell.label}`; rename a value of its axes"
                )
    return list(cells.values())


def subset(names: Sequence[str], count: int, seed: int) -> list[str]:
    """The first `count` of the names in the order of the seed, sorted; of more tasks, the same ones and
    others."""
    if count > len(names):
        raise InputError(f"`tasks: {count}`: only {len(names)} tasks may be trained on")
    order = shuffled(len(names), "tasks of a study", seed)
    return sorted(sorted(names)[index] for index in order[:count])


def trainable(mixture: Mixture, submixture: str) -> list[str]:
    """The names of a submixture's tasks that may be trained on."""
    if submixture not in mixture.submixtures:
        raise InputError(
            f"`tasks_of: {submixture}` is no submixture of the "
            f"recipe{did_you_mean(submixture, mixture.submixtures)}"
        )
    section = mixture.submixtures[submixture]
    tasks = opened(submixture, section.data, section.tasks)
    return [
        name
        for name, task in tasks.items()
        if why_left_out(mixture, name, task.held_out, licence_of(task)) is None
    ]


def opened(submixture: str, data: Data, patterns: Sequence[str]) -> dict[str, Task]:
    """The tasks of a submixture that the patterns choose; each is opened once, as the cells of a study share
    them."""
    chosen = select(_found(submixture, data), patterns)
    return open_each({name: partial(_opened, submixture, data, name) for name in chosen}, patterns)[0]


@cache
def _found(submixture: str, data: Data) -> dict[str, Opener]:
    return find_submixture(submixture, data)


@cache
def _opened(submixture: str, data: Data, name: str) -> Task:
    return _found(submixture, data)[name]()


def _cell(
    study: Study,
    folder: Path,
    values: Mapping[str, str],
    control: str | None,
    seed: int,
    overrides: Sequence[str],
) -> Cell:
    settings = [
        study.set,
        *(study.axes[axis][value] for axis, value in values.items()),
        *([study.controls[control].set] if control else []),
    ]
    words = {key: value for setting in settings for key, value in setting.items() if key in WORDS}
    keys = [override for setting in settings for override in overrides_of(_keys(setting), folder)]
    named = str(words.get("recipe", study.recipe))
    path = folder / named
    recipe = load_recipe(path if path.is_file() else named, [*keys, *overrides, f"seed={seed}"])
    name = "-".join([*values.values(), *([control] if control else [])])
    count = words.get("tasks", "all")
    missing = _missing(recipe.model)
    if count == 0:
        if "pretrain" in words:
            raise InputError(
                f"{study.name}, cell {name}: `tasks: 0` is the base as it is; leave `pretrain` or `tasks` out"
            )
        return Cell(name, values, control, None, recipe, missing)
    recipe = recipe.model_copy(
        update={"name": f"{study.name}-{name}-seed{seed}".replace("%", "").replace("+", "-")}
    )
    if "submixtures" in words:
        recipe = recipe.model_copy(update={"mixture": _only(recipe.mixture, words["submixtures"])})
    if count != "all":
        recipe = _with_tasks(recipe, study.tasks_of, count, seed)
    if words.get("init") == "random" and missing is None:
        from openflan.models.load_model import random_init

        recipe = recipe.model_copy(update={"model": random_init(recipe.model)})
    elif words.get("init", "random") != "random":
        raise InputError(f"{study.name}: `init: {words['init']}`; expected `init: random`")
    return Cell(name, values, control, seed, recipe, missing, _pretraining(words, recipe, folder, seed))


def _pretraining(words: Mapping[str, Any], recipe: Recipe, folder: Path, seed: int) -> PretrainRecipe | None:
    """`pretrain: NAME` or `pretrain: {recipe: NAME, KEY: VALUE}`, from the model that the cell would begin
    with."""
    setting = words.get("pretrain")
    if setting is None:
        return None
    keys = dict(setting) if isinstance(setting, Mapping) else {"recipe": setting}
    named = keys.pop("recipe", None)
    if not isinstance(named, str):
        raise InputError(
            f"`pretrain: {setting}`: expected the name of a recipe of continued pretraining, or {{recipe: "
            f"NAME, KEY: VALUE}}"
        )
    path = folder / named
    pretraining = load_pretrain_recipe(
        path if path.is_file() else named, [*overrides_of(keys, folder), f"seed={seed}"]
    )
    return pretraining.model_copy(update={"model": recipe.model})


def _keys(setting: Setting) -> dict[str, Any]:
    return {key: value for key, value in setting.items() if key not in WORDS}


def _with_tasks(recipe: Recipe, submixture: str, count: Any, seed: int) -> Recipe:
    if type(count) is not int or count < 0:
        raise InputError(f"`tasks: {count}`: expected a number, or all")
    names = subset(trainable(recipe.mixture, submixture), count, seed)
    section = recipe.mixture.submixtures[submixture].model_copy(update={"tasks": names})
    mixture = recipe.mixture.model_copy(
        update={"submixtures": {**recipe.mixture.submixtures, submixture: section}}
    )
    return recipe.model_copy(update={"mixture": mixture})


def _only(mixture: Mixture, names: Any) -> Mixture:
    """The mixture with some of its submixtures, at its own rates relative to one another."""
    kept_names = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in kept_names if name not in mixture.submixtures]
    if unknown or not kept_names:
        raise InputError(f"`submixtures: {names}`: expected some of {', '.join(mixture.submixtures)}")
    rates = relative_rates(mixture)
    return mixture.model_copy(
        update={
            "submixtures": {
                name: section for name, section in mixture.submixtures.items() if name in kept_names
            },
            "rates": None
            if rates is None
            else {group: rate for group, rate in rates.items() if group.partition("/")[0] in kept_names},
        }
    )


def _missing(model: Model) -> str | None:
    """The files that a local base lacks; a base on the hub is checked when it is loaded."""
    try:
        if (
            model.base is not None
            and (local := bundled_model_folder(model.base) or Path(model.base)).exists()
        ):
            model_folder(local, tokenizer=model.tokenizer is None)
    except InputError as error:
        return str(error)
    return None
