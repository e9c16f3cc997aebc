"""Chains: a YAML list of recipes, each of which starts from the model of the step before.

    - pretrain: lm-adapt-t5
      set: { pretraining.data: texts/, training.steps: 2_000 }
    - finetune: flan-t5-small

A step names a recipe (a file in the chain's folder or a packaged recipe) and may set its keys. Every step but
the first has `model.base: previous` by default; a step that sets another base starts from that one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from openflan.errors import InputError, did_you_mean
from openflan.recipe.load_recipe import load_pretrain_recipe, load_recipe
from openflan.recipe.packaged import file_or_packaged, packaged
from openflan.recipe.paths import resolve_paths
from openflan.recipe.pretraining import AnyRecipe
from openflan.yaml_files import read_yaml

Verb: TypeAlias = Literal["pretrain", "finetune"]
VERBS: tuple[Verb, ...] = get_args(Verb)
_FROM_PREVIOUS = ("model.base=previous", 'model.base="previous"')


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain: verb, recipe, and the run's folder within the folder of the chain."""

    verb: Verb
    recipe: AnyRecipe
    folder: str


@dataclass(frozen=True, slots=True)
class _Stated:
    verb: Verb
    recipe: str
    overrides: tuple[str, ...]


def packaged_chains() -> dict[str, Path]:
    """Return the chains that come with openflan, by name."""
    return packaged("chains")


def chain_path(name: str) -> Path:
    """Return the path of a chain: a file, or a packaged chain by name. Raises InputError if there is
    neither."""
    return file_or_packaged(name, packaged_chains(), "chain")


def load_chain(path: Path, folder: Path, overrides: Sequence[str] = ()) -> tuple[Step, ...]:
    """Return the steps of a chain that runs in `folder`. Overrides begin with the number of their step, from
    1: `2.training.steps=100`.

    Every recipe is read and checked. Raises InputError for a file that is not such a list, an entry that is
    not a step, and for everything that `load_recipe` refuses.
    """
    entries = [_step(entry, step_number, path) for step_number, entry in enumerate(_entries(path), 1)]
    chosen = _by_step(overrides, len(entries))
    steps: list[Step] = []
    for step_number, entry in enumerate(entries, 1):
        keys = [*entry.overrides, *chosen[step_number - 1]]
        if not steps and any(override in _FROM_PREVIOUS for override in keys):
            raise InputError(f"{path}: step 1: there is no previous model; name one")
        before = _from_model(folder / steps[-1].folder / "model") if steps else []
        load = load_pretrain_recipe if entry.verb == "pretrain" else load_recipe
        recipe = load(
            entry.recipe, [*before, *(override for override in keys if override not in _FROM_PREVIOUS)]
        )
        steps.append(Step(entry.verb, recipe, f"{step_number}-{recipe.name}"))
    return tuple(steps)


def _by_step(overrides: Sequence[str], steps: int) -> list[list[str]]:
    overrides_by_step: list[list[str]] = [[] for _ in range(steps)]
    for override in overrides:
        step_number, _, rest = override.partition(".")
        if not step_number.isdecimal() or not 1 <= int(step_number) <= steps or "=" not in rest:
            raise InputError(
                f"`{override}`: write N.key=value, N being a step's number from 1 to {steps}, such as "
                "1.training.steps=100"
            )
        overrides_by_step[int(step_number) - 1].append(rest)
    return overrides_by_step


def _from_model(model: Path) -> list[str]:
    return [
        f"model.base={json.dumps(str(model.absolute()), ensure_ascii=False)}",
        "model.config=null",
        "model.tokenizer=null",
    ]


def _entries(path: Path) -> list[Any]:
    entries = read_yaml(path)
    if not isinstance(entries, list) or not entries:
        raise InputError(
            f"{path}: not a chain; expected a list of steps such as `- pretrain: lm-adapt-t5` and `- "
            "finetune: flan-t5-small`"
        )
    return entries


def _step(entry: Any, step_number: int, path: Path) -> _Stated:
    place = f"{path}: step {step_number}"
    if not isinstance(entry, dict):
        raise InputError(f"{place}: expected a mapping such as `- finetune: flan-t5-small`")
    verbs = [verb for verb in VERBS if verb in entry]
    if unknown := next((str(key) for key in entry if key not in (*VERBS, "set")), None):
        raise InputError(
            f"{place}: `{unknown}` is not a key of a "
            f"step{did_you_mean(unknown, (*VERBS, 'set')) or '; keys: pretrain, finetune, set'}"
        )
    if len(verbs) != 1 or not isinstance(entry[verbs[0]], str):
        raise InputError(f"{place}: expected one of `pretrain:` and `finetune:`, with a recipe")
    sets = entry.get("set", {})
    if not isinstance(sets, dict):
        raise InputError(f"{place}: `set:` holds keys of the recipe, such as {{training.steps: 100}}")
    beside = path.parent / entry[verbs[0]]
    return _Stated(
        verbs[0],
        str(beside.resolve()) if beside.is_file() else entry[verbs[0]],
        overrides_of(sets, path.parent),
    )


def overrides_of(sets: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """Overrides of a recipe from keys with dots, in their order; relative paths start at `folder`.

    `model.config: {...}` is a model's whole configuration, `model.config.d_model: 64` one key of it.
    """
    return tuple(override for key, value in sets.items() for override in _overrides(str(key), value, folder))


def _overrides(key: str, value: Any, folder: Path) -> list[str]:
    *above, last = key.split(".")
    within: dict[str, Any] = {last: value}
    tree = within
    for name in reversed(above):
        tree = {name: tree}
    resolve_paths(tree, folder)
    return _flat(within, "".join(f"{name}." for name in above))


def _flat(tree: Mapping[str, Any], above: str = "") -> list[str]:
    """`key=value` of every key; a model's configuration stays whole."""
    overrides = []
    for name, value in tree.items():
        if isinstance(value, dict) and value and name != "config":
            overrides += _flat(value, f"{above}{name}.")
        else:
            overrides.append(f"{above}{name}={json.dumps(value, default=str, ensure_ascii=False)}")
    return overrides
