"""Runs the steps of a chain in order and goes on where it stopped.

A step is a run of its own, in a folder of the chain's, and resumes as any run does. It is finished when its
model has been exported with the recipe that the chain contains. `chain.json` keeps a fingerprint of every
exported model and of the model that each step started from. A path alone would not show that weights were
trained again or edited.

The data of all unfinished steps is read before the first step is trained. The last step can then not fail
days later because of a wrong path. The price is that it is read again when its step starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from openflan.errors import InputError, SetupError
from openflan.models.folder import fingerprint
from openflan.recipe.chain_steps import Step
from openflan.recipe.load_recipe import load_any_recipe
from openflan.recipe.pretraining import PretrainRecipe
from openflan.recipe.recipe_changes import recipe_changes
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, read_json, write_json

Notice = Callable[[str], None]


def run_chain(
    steps: Sequence[Step], folder: Path, notice: Notice = lambda text: None, *, device: str | None = None
) -> Path:
    """Trains the steps that are not finished, in order; returns the folder of the last model. `notice` gets a
    line for each step. `device`: see `models.device`.

    Raises InputError if a finished step was made by another recipe, or began with another model than the step
    before it now has; else what the steps raise, such as Terminated on SIGTERM.
    """
    main = os.environ.get("RANK", "0") == "0"
    path = folder / "chain.json"
    records = _known(path)
    model = folder
    waiting = [
        (step_number, step)
        for step_number, step in enumerate(steps, 1)
        if not Run(folder / step.folder).model.is_dir()
    ]
    for step_number, step in waiting[1:]:
        try:
            _check_data(step)
        except (InputError, SetupError) as error:
            raise type(error)(
                f"step {step_number} of {len(steps)}, {step.verb} {step.recipe.name}: {error}"
            ) from None
    for step_number, step in enumerate(steps, 1):
        run = Run(folder / step.folder)
        title = f"step {step_number} of {len(steps)}, {step.verb} {step.recipe.name}"
        base = (
            fingerprint(Path(step.recipe.model.base))
            if step_number > 1 and step.recipe.model.base == str((model).absolute())
            else None
        )
        recorded = (
            records.get(step.folder, {}) if run.recipe.is_file() else {}
        )  # of a run that was removed nothing is left to protect
        if "base" in recorded and recorded["base"] != base:
            raise InputError(
                f"{run.folder}: began with another model than the step before it has now; start it anew "
                f"with --restart-from {step_number}"
            )
        if finished(step, run, step_number):
            notice(f"{title}: finished")
        else:
            notice(title)
            records[step.folder] = {"base": base}
            if main:
                write_json(path, records)
            _train(step, run, device)
        model = run.model
        if main and records.get(step.folder, {}).get("model") is None:
            records[step.folder] = {"base": base, "model": fingerprint(model)}
            write_json(path, records)
    return model


def finished(step: Step, run: Run, step_number: int) -> bool:
    """Return True if the step's model exists. Raises InputError if its run was made by another recipe."""
    if not run.recipe.is_file():
        return False
    changed = [
        str(change)
        for change in recipe_changes(load_any_recipe(run.recipe), step.recipe)
        if change.effect != "none"
    ]
    if changed:
        raise InputError(
            f"{run.folder}: made by another recipe ({'; '.join(changed[:5])}); start it anew with "
            f"--restart-from {step_number}, or give --run"
        )
    return run.model.is_dir()


def forget_from(steps: Sequence[Step], folder: Path, first: int) -> list[Run]:
    """The runs of step `first`, from 1, and those after it, which are no longer known; their folders are the
    caller's to remove.

    Raises InputError if there is no such step.
    """
    if not 1 <= first <= len(steps):
        raise InputError(f"--restart-from {first}: the chain has {len(steps)} steps; name one of them")
    path = folder / "chain.json"
    known = _known(path)
    remaining = {step.folder for step in steps[: first - 1]}
    if path.is_file():
        write_json(path, {name: value for name, value in known.items() if name in remaining})
    return [Run(folder / step.folder) for step in steps[first - 1 :]]


def _known(path: Path) -> dict[str, dict[str, Any]]:
    """What `chain.json` says of each step, by its folder. Raises InputError for a damaged one."""
    known = read_json(path, {})
    if not isinstance(known, dict) or not all(isinstance(value, dict) for value in known.values()):
        raise InputError(
            f"{path}: not what openflan writes; delete it, and the chain takes the models of its "
            "finished steps as they are"
        )
    return known


def _check_data(step: Step) -> None:
    """Raises InputError for rows, documents or benchmarks of a step that cannot be read, SetupError for a
    tracker that is not installed."""
    from openflan.mixture.open_mixture import open_mixture
    from openflan.tasks.texts import open_texts
    from openflan.tracking.trackers import check_trackers
    from openflan.training_evaluation import benchmarks_of

    check_trackers(step.recipe.track)
    if isinstance(step.recipe, PretrainRecipe):
        section = step.recipe.pretraining
        open_texts(section.data, section.field, section.documents, section.salient_field)
    elif isinstance(step.recipe, Recipe):
        open_mixture(step.recipe.mixture)
        benchmarks_of(step.recipe.evaluation)


def _train(step: Step, run: Run, device: str | None) -> None:
    from openflan.training.finetune import finetune
    from openflan.training.pretrain import pretrain
    from openflan.training_evaluation import evaluator

    if isinstance(step.recipe, PretrainRecipe):
        pretrain(step.recipe, run, device=device)
    elif isinstance(step.recipe, Recipe):
        finetune(step.recipe, run, evaluate=evaluator(step.recipe, run), device=device)
