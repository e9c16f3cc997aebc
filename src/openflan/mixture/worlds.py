"""Which embedded worlds a recipe trains on, and which ones its base model was trained on. Facts of another
world are new to the base."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from openflan.recipe.paths import EMBEDDED
from openflan.recipe.schema import Mixture
from openflan.tasks.microflan.names import SHIPPED, WORLD, named, world_place
from openflan.tasks.sources import embedded_seed
from openflan.yaml_files import read_yaml


def worlds_of(mixture: Mixture) -> set[int]:
    """Return the seeds of the worlds that a mixture's rows are about."""
    seeds = (embedded_seed(name, one.data) for name, one in mixture.submixtures.items())
    return {seed for seed in seeds if seed is not None}


def known_worlds(model: str | Path | None) -> set[int]:
    """Return the seeds of the worlds that a model, or a base before it, was trained on; empty if unknown.

    `model` is a bundled model, a run folder, or a folder in one, such as its `model/`. Recipes state the
    worlds."""
    seeds: set[int] = set()
    seen: set[str] = set()
    while model is not None and str(model) not in seen:
        seen.add(str(model))
        if str(model).startswith(EMBEDDED):
            return seeds | {SHIPPED}
        values = _recipe_of(Path(model))
        seeds |= set(_seeds_in(values))
        base = values.get("model")
        model = base.get("base") if isinstance(base, dict) else None
    return seeds


def warn_of_other_worlds(model: str | Path | None, worlds: Iterable[int]) -> None:
    """Warn if a model that was trained on a world is about to be trained on another one."""
    known = known_worlds(model)
    if known and (others := sorted(set(worlds) - known)):
        other_names = ", ".join(named("microflan", seed) for seed in others)
        known_names = ", ".join(named("microflan", seed) for seed in sorted(known))
        warnings.warn(
            f"the base was trained on another world: {model} on {known_names}, and this is about "
            f"{other_names}, in which other things are true; "
            f"pretrain a base on its plain text first, such as `pretraining.data={WORLD}@{others[0]}`",
            stacklevel=3,
        )


def _recipe_of(model: Path) -> Mapping[str, Any]:
    """Return the values of the recipe that a model was trained with, if it still lies in its run folder."""
    for path in (
        [folder / "recipe.yaml" for folder in (model, *model.resolve().parents[:2])] if model.is_dir() else ()
    ):
        if path.is_file():
            values = read_yaml(path)
            return values if isinstance(values, dict) else {}
    return {}


def _seeds_in(values: Mapping[str, Any]) -> Iterator[int]:
    pretraining, mixture = values.get("pretraining") or {}, values.get("mixture") or {}
    sources = pretraining.get("data") or []
    yield from (
        world.seed
        for source in ([sources] if isinstance(sources, str) else sources)
        if (world := world_place(str(source)))
    )
    for name, section in (mixture.get("submixtures") or {}).items():
        data = (section or {}).get("data")
        if (seed := embedded_seed(name, None if data is None else Path(data))) is not None:
            yield seed
