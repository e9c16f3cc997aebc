"""What may differ when a run goes on: nothing that shapes it, unless that is allowed.

A run is the recipe, the rows, the wordings, the tokenizer and the marks that it began with; going on with
others gives a model that no recipe describes. So a difference is refused, with its keys. Where it is allowed,
the run goes on from its newest checkpoint under what is new, and `provenance.json` keeps a list of what
changed after which step: the price is that the run can no longer be repeated by its recipe alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from openflan.errors import InputError
from openflan.recipe.load_recipe import differences, load_any_recipe
from openflan.recipe.pretraining import AnyRecipe
from openflan.run_folder import Run, read_json
from openflan.training import checkpoints

FREE = ("checkpoints.",)
"""Beginnings of keys that change nothing in what is trained."""

FIXED = ("model.base", "model.config", "model.tokenizer", "training.optimizer", "training.momentum")
"""Beginnings of keys whose change leaves a checkpoint without a meaning: other weights, or other
statistics."""

FORMAT = 2
"""Of what a run folder holds for going on, as `provenance.json` states it; openflan 0.1 stated none."""

_SAME_PLAN = (
    "training.",
    "evaluation",
    "validation.every",
    "model.dropout",
    "name",
    "openflan",
    "python",
    "torch",
    "transformers",
)
"""Beginnings of changes under which the rows of every step stay where they are."""


def changed_keys(recipe: AnyRecipe, run: Run, allowed: bool) -> list[str]:
    """`key: old -> new` of what the run was begun with and is now asked for. Raises InputError for any,
    unless `allowed` and possible."""
    if not run.recipe.is_file():
        return []
    _provenance(run)
    changed = [
        change for change in differences(load_any_recipe(run.recipe), recipe) if not change.startswith(FREE)
    ]
    if changed and not allowed:
        raise InputError(
            f"{run.folder}: holds a run of another recipe ({'; '.join(changed[:5])}); name another "
            "folder with --run, start anew with --restart, "
            "or go on under the new recipe with --allow-changes of `openflan finetune` or `pretrain`"
        )
    done = max(checkpoints.steps(run.checkpoints), default=0)
    if done > recipe.training.steps:
        raise InputError(
            f"{run.folder}: has a checkpoint of step {done:,} already, but training.steps is "
            f"{recipe.training.steps:,}; raise it"
        )
    fixed = [change for change in changed if change.startswith(FIXED)]
    if fixed and done:
        raise InputError(
            f"{run.folder}: its checkpoints do not fit {'; '.join(fixed[:5])}; name another folder with "
            "--run, or start anew with --restart"
        )
    return changed


def changed_data(found: Mapping[str, Any], run: Run, allowed: bool) -> list[str]:
    """What differs from the provenance that the run began with.

    Raises InputError for other rows, wordings or another tokenizer, unless `allowed`; another version of the
    code only warns.
    """
    before = _provenance(run)
    if not before:
        return []
    names = sorted(before["data"].keys() | found["data"].keys())
    changed = [
        f"the rows or wordings of {name}"
        for name in names
        if before["data"].get(name) != found["data"].get(name)
    ]
    changed += ["the tokenizer"] if before["tokenizer"] != found["tokenizer"] else []
    template, special_tokens = (
        name in before and before[name] != found.get(name) for name in ("chat_template", "marks")
    )
    changed += ["the chat template"] if template else []
    if special_tokens and not changed:
        changed.append("what the chat template writes around a text (today's date?)")
    if changed and not allowed:
        raise InputError(
            f"{run.folder}: changed since the run began: {', '.join(changed[:5])}; restore what was "
            "there, start anew with --restart, "
            "or go on with what is there with --allow-changes"
        )
    versions = [
        f"{name} {before.get(name)} -> {found[name]}"
        for name in ("openflan", "python", "torch", "transformers")
        if before.get(name) != found[name]
    ]
    if versions:
        warnings.warn(
            f"{run.folder}: goes on under other versions ({', '.join(versions)}); the numbers may differ "
            "from those of an unbroken run",
            stacklevel=3,
        )
    return changed + versions


def history_of(run: Run, changes: Sequence[str]) -> list[dict[str, Any]]:
    """`{step, changed}` of every time the run went on with something else, the last being `changes`, of which
    a warning tells."""
    history: list[dict[str, Any]] = list((_provenance(run) or {}).get("changes", ()))
    step = max(checkpoints.steps(run.checkpoints), default=0)
    latest = {"step": step, "changed": list(changes)}
    if changes and latest not in history:
        history.append(latest)
    shaping = [change for change in changes if not change.startswith(_SAME_PLAN[4:])]
    if shaping:
        rows = (
            " Steps see other rows than before: some may come twice or not at all." if _moves(shaping) else ""
        )
        warnings.warn(
            f"{run.folder}: goes on after step {step:,} with changes: {'; '.join(shaping[:5])}.{rows}",
            stacklevel=3,
        )
    return history


def _provenance(run: Run) -> dict[str, Any] | None:
    """What `provenance.json` says, None if there is none. Raises InputError for a damaged one, and for a run
    of openflan 0.1."""
    found = read_json(run.provenance)
    if found is None:
        return None
    if isinstance(found, dict) and "format" not in found and "openflan" in found:
        raise InputError(
            f"{run.folder}: was trained by openflan {found['openflan']!s:.20}, whose runs this version "
            "does not train further; evaluate, compare, generate "
            "and report take it as before. Name another folder with --run, or start anew with --restart"
        )
    if not isinstance(found, dict) or not _is_sound(found):
        raise InputError(
            f"{run.provenance}: not what openflan writes; restore it, name another folder with --run, or "
            "start anew with --restart"
        )
    return found


def _is_sound(found: Mapping[str, Any]) -> bool:
    data, changes = found.get("data"), found.get("changes", [])
    return (
        found.get("format") == FORMAT
        and isinstance(data, dict)
        and all(isinstance(value, str) for value in (found.get("tokenizer"), *data.values()))
        and isinstance(changes, list)
        and all(
            isinstance(change, dict)
            and isinstance(change.get("step"), int)
            and isinstance(change.get("changed"), list)
            for change in changes
        )
        and all(isinstance(text, str) for change in changes for text in change["changed"])
    )


def replans(changes: Sequence[str]) -> bool:
    """Whether rows are packed otherwise after these changes, so that an index of the former ones is of no
    use."""
    return any(not change.startswith(_SAME_PLAN) for change in changes)


def _moves(changes: Sequence[str]) -> bool:
    return replans(changes) or any(change.startswith("training.batch_size") for change in changes)
