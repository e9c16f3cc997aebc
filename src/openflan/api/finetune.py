"""Finetunes a model as a recipe describes it."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openflan.api.options import FinetuneOptions
from openflan.errors import InputError
from openflan.mixture.open_mixture import check_places
from openflan.models.folder import check_model_name, model_folder
from openflan.models.quiet import quiet_libraries
from openflan.recipe.load_recipe import recipe_from
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, remove_run
from openflan.tasks.cot_files import is_cot_file

_STATED = {"inputs": 1_024, "targets": 256}
"""Capacities in tokens of a recipe that is made from rows, of the side that is not stated where the other
is."""

_CAPACITIES = ("packing.inputs", "packing.targets")


def finetune(recipe: Recipe, run: Run | Path | str, options: FinetuneOptions | None = None) -> Run:
    """Finetunes the recipe's model in a run folder and returns the run; `run.model` is the finetuned model, a
    Hugging Face folder.

    The same call again continues where the last one stopped. Progress goes to the logger `openflan.training`
    at the level INFO. Under `torchrun` all processes train together and each returns the run.

    Raises InputError for bad data, a model that does not fit the recipe, or a run folder that belongs to
    another recipe or is in use; SetupError if files cannot be written.
    """
    return finetune_into(
        recipe, run if isinstance(run, Run) else Run(Path(run)), options or FinetuneOptions()
    )


def finetune_into(recipe: Recipe, run: Run, options: FinetuneOptions, *, label: str = "") -> Run:
    """Finetunes like `finetune`; with a `label`, progress lines that begin with it go to standard error."""
    check_places(recipe.mixture)
    is_main = os.environ.get("RANK", "0") == "0"
    if options.restart and is_main:
        # The other processes of torchrun read the folder only after they have met this one.
        remove_run(run)
    if is_main and recipe.model.base is not None:
        # The libraries take seconds to import: a wrong path or a missing network is reported before that.
        model_folder(recipe.model.base, tokenizer=False)
    quiet_libraries()
    from openflan.training.distributed import leave_distributed
    from openflan.training.finetune import finetune as train
    from openflan.training_evaluation import evaluator

    if options.fit is not None:
        recipe = _fitted(recipe, options.fit, is_main and bool(label))
    try:
        train(
            recipe,
            run,
            build=None if options.build is None else Path(options.build),
            strict=options.strict,
            allow_changes=options.allow_changes,
            evaluate=evaluator(recipe, run),
            label=label,
            device=options.device,
        )
    finally:
        leave_distributed()
    return run


def _fitted(recipe: Recipe, size: str, printed: bool) -> Recipe:
    """The recipe, changed to fit into a memory; `printed`: standard error says what was chosen and why."""
    from openflan.training.room import bytes_of, fit

    memory = bytes_of(size)
    fitted = fit(recipe, memory, int(os.environ.get("WORLD_SIZE", "1")))
    if printed:
        for line in fitted.lines(memory):
            print(f"fit: {line}", file=sys.stderr, flush=True)
    return fitted.recipe


def recipe_from_rows(
    data: Path | str,
    base: str,
    *,
    wordings: Path | str | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | str | None = None,
    overrides: tuple[str, ...] | list[str] = (),
    epochs: float | None = None,
) -> Recipe:
    """A recipe that finetunes `base` on the rows of a file or folder: 100 steps with 8 sequences each, or as
    many steps as read the rows `epochs` times.

    Inputs and targets get the capacities that hold 99.5 % of 2,000 examples, as multiples of 64 and at most
    the base's context; a base without a limit gets at most 4,096 each. If `overrides` state one of the two,
    nothing is measured: of the other then three quarters (inputs) or one quarter (targets) of the base's
    context, at most 1,024 and 256.

    `wordings` is a YAML file of wordings, for rows that are not finished inputs and targets; rows with a
    question and an answer need none. `format` names the format of the rows (`alpaca`, `messages`, ...);
    without it, it is recognised by their fields. `columns` gives columns other names: `{"inputs": "prompt"}`,
    where `inputs` is what the file calls `prompt`. `overrides` are `KEY=VALUE` texts as in `load_recipe`.
    Raises InputError for data, a base, or an override that is wrong, and for `epochs` beside
    `training.steps`.
    """
    data, where = Path(data), "the recipe made from --data and --base"
    check_epochs(epochs, overrides)
    submixture: dict[str, Any] = {"data": data.as_posix()}
    if format is not None:
        submixture["format"] = format
    if columns:
        submixture["columns"] = columns if isinstance(columns, str) else dict(columns)
    if wordings:
        submixture["wordings"] = str(Path(wordings).resolve())
    values = {
        "name": re.sub(r"[^A-Za-z0-9_.\-]+", "-", data.stem).strip("-.") or "own-data",
        "model": {"base": str(Path(base).resolve()) if Path(base).exists() else base},
        "mixture": {"submixtures": {_submixture_name(data): submixture}},
        "packing": dict(_STATED),
        "training": {"steps": 100, "batch_size": 8},
        "checkpoints": {"every": 50},
    }
    # Data, keys and base are checked before the libraries are imported that read the base's context.
    stated = recipe_from(values, where, overrides)
    check_places(stated.mixture)
    check_model_name(base)
    quiet_libraries()
    from openflan.models.load_model import context_length
    from openflan.training.own_recipe import fitted_to_rows

    names = {override.partition("=")[0] for override in overrides}
    is_stated = not names.isdisjoint({*_CAPACITIES, "packing"})
    context = context_length(base)
    if is_stated and context is not None:
        shares = {"inputs": context * 3 // 4, "targets": context // 4}
        values["packing"] = {side: min(_STATED[side], shares[side]) for side in _STATED}
        stated = recipe_from(values, where, overrides)
    if is_stated and epochs is None:
        return stated
    return fitted_to_rows(stated, capacities=not is_stated, epochs=epochs)


def recipe_with_epochs(recipe: Recipe, epochs: float | None, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe with the steps that read its mixture `epochs` times, in place of its `training.steps`; None
    leaves it as it is. `overrides` are those that the recipe was loaded with.

    Raises InputError for a number that is not above 0, and for overrides that state `training.steps` too.
    """
    check_epochs(epochs, overrides)
    if epochs is None:
        return recipe
    check_places(recipe.mixture)
    quiet_libraries()
    from openflan.training.own_recipe import fitted_to_rows

    return fitted_to_rows(recipe, capacities=False, epochs=epochs)


def check_epochs(epochs: float | None, overrides: Sequence[str]) -> None:
    """Raises InputError for a number that is not above 0, and for overrides that state the steps too."""
    if epochs is None:
        return
    if not 0 < epochs < math.inf:
        raise InputError(f"--epochs {epochs:g}: expected a number above 0, such as 3 or 0.5")
    if any(re.match(r"training(\.steps=|=.*\bsteps\b)", override) for override in overrides):
        raise InputError(
            "--epochs and training.steps both say how long to train; give one of them (--epochs computes "
            "the steps)"
        )


def _submixture_name(data: Path) -> str:
    """`cot` for chain-of-thought files of the public release, also in a folder named `cot`; `own` for all
    others."""
    folders = [data, data / "cot"] if data.is_dir() else []
    files = [file for folder in folders for file in folder.glob("*_train.tsv")] if folders else [data]
    return "cot" if any(map(is_cot_file, files)) else "own"
