"""What may differ when a run is continued: nothing that shapes it, unless that is allowed.

A run is the recipe, the rows, the wordings, the tokenizer and the special tokens that it began with.
Continued with others, it gives a model that no recipe describes. So a difference is refused, and the message
names it. If it is allowed, the run continues from its newest checkpoint with what is new, and
`provenance.json` lists what changed after which step. Trade-off: such a run cannot be repeated by its recipe
alone.

What a difference means is declared by the recipe's fields (`recipe.effects`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from openflan.errors import InputError
from openflan.recipe.load_recipe import load_any_recipe
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.recipe_changes import Change, recipe_changes
from openflan.run_folder import Run, read_json
from openflan.training import checkpoints

FORMAT = 2
"""The version of what a run folder holds for continuing, as `provenance.json` states it; openflan 0.1 stated
none."""

_BATCH_SIZE = "training.batch_size"
"""The sequences keep their positions if it changes, but a step reads others."""


def changed_keys(recipe: AnyRecipe, run: Run, allowed: bool) -> list[Change]:
    """The differences between the recipe that the run began with and `recipe`, except those without effect.

    Raises InputError if there are any, unless they are `allowed` and the checkpoints still fit; also if the
    run has a checkpoint beyond the last step of `recipe`.
    """
    if not run.recipe.is_file():
        return []
    _provenance(run)
    changes = [
        change for change in recipe_changes(load_any_recipe(run.recipe), recipe) if change.effect != "none"
    ]
    if changes and not allowed:
        raise InputError(
            f"{run.folder}: holds a run of another recipe ({_listed(changes)}); name another "
            "folder with --run, start anew with --restart, "
            "or go on under the new recipe with --allow-changes of `openflan finetune` or `pretrain`"
        )
    newest = max(checkpoints.steps(run.checkpoints), default=0)
    if newest > recipe.training.steps:
        raise InputError(
            f"{run.folder}: has a checkpoint of step {newest:,} already, but training.steps is "
            f"{recipe.training.steps:,}; raise it"
        )
    misfits = [change for change in changes if change.effect == "weights"]
    if misfits and newest:
        raise InputError(
            f"{run.folder}: its checkpoints do not fit {_listed(misfits)}; name another folder with "
            "--run, or start anew with --restart"
        )
    return changes


def changed_data(provenance: Mapping[str, Any], run: Run, allowed: bool) -> list[Change]:
    """The differences between the provenance that the run began with and `provenance`.

    Raises InputError for other rows, wordings or another tokenizer, unless `allowed`; another version of the
    code only warns.
    """
    before = _provenance(run)
    if not before:
        return []
    names = sorted(before["data"].keys() | provenance["data"].keys())
    changed = [
        f"the rows or wordings of {name}"
        for name in names
        if before["data"].get(name) != provenance["data"].get(name)
    ]
    changed += ["the tokenizer"] if before["tokenizer"] != provenance["tokenizer"] else []
    template, special_tokens = (
        name in before and before[name] != provenance.get(name)
        for name in ("chat_template", "special_tokens")
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
        f"{name} {before.get(name)} -> {provenance[name]}"
        for name in ("openflan", "python", "torch", "transformers")
        if before.get(name) != provenance[name]
    ]
    if versions:
        warnings.warn(
            f"{run.folder}: goes on under other versions ({', '.join(versions)}); the numbers may differ "
            "from those of an unbroken run",
            stacklevel=3,
        )
    return [Change(text, "plan") for text in changed] + [Change(text, "none") for text in versions]


def history_of(run: Run, changes: Sequence[Change]) -> list[dict[str, Any]]:
    """An item for every time that the run was continued with changes, the last one for `changes`.

    An item holds `step`, the texts of what `changed`, and whether the sequences were `replanned`. Warns of
    `changes` that shape the weights.
    """
    history: list[dict[str, Any]] = list((_provenance(run) or {}).get("changes", ()))
    step = max(checkpoints.steps(run.checkpoints), default=0)
    latest = {"step": step, "changed": [str(change) for change in changes], "replanned": replans(changes)}
    if changes and latest not in history:
        history.append(latest)
    shaping = [change for change in changes if change.effect != "none"]
    if shaping:
        moved = step and (replans(shaping) or any(change.key == _BATCH_SIZE for change in shaping))
        sequences = " Steps see other sequences than before: some may come twice or not at all."
        warnings.warn(
            f"{run.folder}: goes on after step {step:,} with changes: {_listed(shaping)}."
            f"{sequences if moved else ''}",
            stacklevel=3,
        )
    return history


def replans(changes: Sequence[Change]) -> bool:
    """Whether other sequences are packed after these changes, so that an index of the former ones is of no
    use."""
    return any(change.effect in ("plan", "weights") for change in changes)


def last_replanned(history: Sequence[Mapping[str, Any]]) -> int:
    """The last step after which other sequences were packed, by `history_of`; -1 if there is none."""
    return max((item["step"] for item in history if item["replanned"]), default=-1)


def _listed(changes: Sequence[Change]) -> str:
    return "; ".join(map(str, changes[:5]))


def _provenance(run: Run) -> dict[str, Any] | None:
    """The content of `provenance.json`, None if there is none. Raises InputError for a damaged one, and for a
    run of openflan 0.1."""
    content = read_json(run.provenance)
    if content is None:
        return None
    if isinstance(content, dict) and "format" not in content and "openflan" in content:
        raise InputError(
            f"{run.folder}: was trained by openflan {content['openflan']!s:.20}, whose runs this version "
            "does not train further; evaluate, compare, generate "
            "and report take it as before. Name another folder with --run, or start anew with --restart"
        )
    if not isinstance(content, dict) or not _is_sound(content):
        raise InputError(
            f"{run.provenance}: not what openflan writes; restore it, name another folder with --run, or "
            "start anew with --restart"
        )
    return content


def _is_sound(content: Mapping[str, Any]) -> bool:
    data, changes = content.get("data"), content.get("changes", [])
    return (
        content.get("format") == FORMAT
        and isinstance(data, dict)
        and all(isinstance(value, str) for value in (content.get("tokenizer"), *data.values()))
        and isinstance(changes, list)
        and all(
            isinstance(item, dict)
            and isinstance(item.get("step"), int)
            and isinstance(item.get("changed"), list)
            and isinstance(item.get("replanned"), bool)
            for item in changes
        )
        and all(isinstance(text, str) for item in changes for text in item["changed"])
    )
