"""A recipe becomes a run: data opened, model loaded, ledger written, trained, exported.

Everything that can be wrong with the input is found before the first step.
"""

from __future__ import annotations

import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

import openflan
from openflan.errors import InputError
from openflan.mixture.embedded_seeds import data_of_mixture, warn_of_other_data
from openflan.mixture.open_mixture import open_mixture
from openflan.models.estimate import Hardware, shape_of_model
from openflan.models.load_model import (
    check_vocabulary,
    empty_model,
    is_seq2seq,
    load_model,
    load_tokenizer,
    pad_id,
    seq2seq_by_config,
)
from openflan.models.packed import Packing
from openflan.models.packing_check import check_packing, chosen_packing
from openflan.models.prefix import attention_of_model
from openflan.models.staged import Attending, attending_on
from openflan.packing.plan import Plan
from openflan.packing.special_tokens import chat_template_of, special_tokens_of
from openflan.recipe.load_recipe import dump_recipe
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.schema import Model, Recipe
from openflan.run_folder import Run, read_json, replacing, write_json
from openflan.tasks.slices import files_closed
from openflan.tasks.task import Task
from openflan.training.changes import FORMAT, changed_data, changed_keys, history_of, replans
from openflan.training.checkpoints import save_model
from openflan.training.distributed import DistributedContext, join_distributed
from openflan.training.ledger import ledger, losses
from openflan.training.load_sharded import load_on_main
from openflan.training.loop import Evaluate, Watch, train
from openflan.training.prepare import (
    check_layout,
    fingerprints,
    marks_as_values,
    parts_of,
    plan_of,
    prepare,
    template_hash,
    tokenizer_hash,
)
from openflan.training.sharded_files import save_tokenizer


@files_closed()
def finetune(
    recipe: Recipe,
    run: Run,
    *,
    build: Path | None = None,
    strict: bool = False,
    allow_changes: bool = False,
    evaluate: Evaluate | None = None,
    label: str = "finetune",
) -> None:
    """Trains the recipe in its run folder and exports `model/`; goes on where an earlier call stopped. Under
    `torchrun` all its processes train together.

    `build`: a folder of windows made ahead; absent, the run's own if there is one. `strict`: refuses a model
    that cannot be packed, which is otherwise trained on padded examples of like length. `allow_changes`: goes
    on under another recipe or other data than the run began with, and records it. `evaluate` scores the model
    where `recipe.evaluation` asks for it.

    Raises InputError for bad data, a model that does not fit, or a run folder that holds another recipe or is
    being trained.
    """
    distributed = join_distributed()
    # Before the run folder is looked at: data that cannot be read is what has to be mended first.
    opened = open_mixture(recipe.mixture)
    changes = changed_keys(recipe, run, allow_changes)
    if distributed.main:
        warn_of_other_data(recipe.model.base, data_of_mixture(recipe.mixture))
    if distributed.main and opened.warning:
        warnings.warn(opened.warning, stacklevel=2)
    tasks = opened.tasks
    tokenizer = load_tokenizer(recipe.model)
    layout = recipe.packing.layout
    check_layout(recipe, joint=not seq2seq_by_config(recipe.model))
    found = provenance(fingerprints(recipe, tasks), tokenizer_hash(tokenizer))
    found |= {
        "chat_template": template_hash(tokenizer, layout),
        "marks": marks_as_values(special_tokens_of(tokenizer, layout)),
    }
    changes += changed_data(found, run, allow_changes)
    model = load_on_main(lambda: load_model(recipe.model, tokenizer, recipe.seed), distributed)
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=not is_seq2seq(model))
    check_context(recipe, model)
    packing = distributed.run_on_main(
        lambda: packing_for(model, recipe.model, strict, attending_on(distributed.device))
    )
    if is_seq2seq(model) and recipe.training.loss_on == "full_sequence":
        raise InputError(
            "training.loss_on: full_sequence is for causal models; an encoder-decoder learns its targets only"
        )
    if (
        recipe.training.loss_on == "full_sequence"
        and attention_of_model(model, recipe.model.attention) == "prefix"
    ):
        raise InputError(
            "training.loss_on: full_sequence does not go with prefix attention, in which an input sees what "
            "it would have to predict; take targets"
        )
    _describe(model, tokenizer, recipe)
    parts = parts_of(recipe, tasks, encoder, tokenizer, found["data"])
    build = _build_folder(run, build)
    first = plan_of(stream, encoder, parts, build)

    def plan_from(rows_per_window: Sequence[int]) -> Plan:
        return plan_of(stream, encoder, parts, build, rows_per_window) if rows_per_window else first

    def ledger_of_run() -> dict[str, Any]:
        return ledger(recipe, tasks, stream, encoder, first, shape_of_model(model)) | opened.described

    watch = _watch(recipe, opened.validation, tokenizer, model, evaluate)
    with recorded(recipe, run, tokenizer, found, changes, ledger_of_run, distributed) as begun:
        if distributed.main and label and (line := losses(read_json(run.ledger) or {}, encoder.limits)):
            print(f"{label}: {line}", file=sys.stderr, flush=True)
        train(
            recipe,
            run,
            model,
            tokenizer,
            plan_from,
            packing=packing,
            distributed=distributed,
            watch=watch,
            label=label,
            replanned=begun.replanned,
            check=begun.check,
        )
        _describe(model, tokenizer, recipe)
        save_model(run.model, model, tokenizer, distributed)
        distributed.barrier()


@dataclass(frozen=True, slots=True)
class Begun:
    """A training that is at work in its run folder: the last step whose checkpoint knew another plan, -1 if
    none did, and the main rank's check of whether the folder is still this training's own, which raises
    SetupError if not.
    """

    replanned: int
    check: Callable[[], None]


@contextmanager
def recorded(
    recipe: AnyRecipe,
    run: Run,
    tokenizer: Any,
    found: Mapping[str, Any],
    changes: Sequence[str],
    ledger_of_run: Callable[[], Any],
    distributed: DistributedContext,
) -> Iterator[Begun]:
    """Trains alone in a run folder, which says what is trained there: `found` is its provenance, `changes`
    what differs from what it said before.

    Raises InputError, on all processes, where another training is at work.
    """
    distributed.barrier()
    with distributed.alone_in(run) as check:
        history = history_of(run, changes)
        distributed.barrier()
        if distributed.main:
            # The recipe last: stopped in between, the same command finds the same changes.
            write_json(run.provenance, dict(found) | ({"changes": history} if history else {}))
            with replacing(run.tokenizer) as partial:
                save_tokenizer(tokenizer, partial)
            write_text(run.recipe, dump_recipe(recipe))
            if not run.ledger.is_file() or replans(changes):
                write_json(run.ledger, ledger_of_run())
        yield Begun(
            max((change["step"] for change in history if replans(change["changed"])), default=-1), check
        )


def survey(recipe: Recipe, *, windows: int = 1, hardware: Hardware | None = None) -> dict[str, Any]:
    """The ledger of a recipe, measured on its first `windows` windows, without its model's weights."""
    opened = open_mixture(recipe.mixture)
    tokenizer = load_tokenizer(recipe.model)
    model = empty_model(recipe.model)
    check_vocabulary(tokenizer, model)
    check_context(recipe, model)
    stream, encoder = prepare(recipe, opened.tasks, tokenizer, joint=not is_seq2seq(model))
    plan, shape = Plan(stream, encoder), shape_of_model(model)
    return (
        ledger(recipe, opened.tasks, stream, encoder, plan, shape, windows=windows, hardware=hardware)
        | opened.described
    )


def packing_for(model: Any, section: Model, strict: bool, attending: Attending) -> Packing:
    """The fastest exact layout, for attention as it will train; warns of one that pads.

    Raises InputError for such a model if `strict`, or if its inputs cannot see one another but should.
    """
    if section.attention == "prefix" or (
        not is_seq2seq(model) and attention_of_model(model, section.attention) == "prefix"
    ):
        check_packing(model, "flat", prefix=True, attending=attending)
        return "flat"
    chosen = chosen_packing(model, attending)
    if chosen.packing == "none":
        if strict:
            raise InputError(
                f"{chosen.reasons[-1]} (--strict); leave --strict out to train on padded examples, or "
                "use T5 or another causal model"
            )
        warnings.warn(
            f"{chosen.reasons[-1]}. Every example is a sequence of its own, padded to the longest of its "
            "batch",
            stacklevel=3,
        )
    return chosen.packing


def _watch(
    recipe: Recipe, validation: dict[str, Task], tokenizer: Any, model: Any, evaluate: Evaluate | None
) -> Watch | None:
    wanted = recipe.evaluation
    if wanted is None:
        return None
    if not validation:
        return Watch(wanted.every, evaluate=evaluate, select=wanted.select or "mean")
    stream, encoder = prepare(recipe, validation, tokenizer, joint=not is_seq2seq(model))
    plan = Plan(stream, encoder, window=wanted.validation_examples)
    return Watch(wanted.every, plan, len(plan.window(0)), evaluate, wanted.select or "mean")


def _build_folder(run: Run, stated: Path | None) -> Path:
    """Raises InputError if a folder that was named holds no build."""
    if stated is not None and not (stated / "build.json").is_file():
        raise InputError(
            f"{stated}: no build there (no build.json); name the folder that `openflan build` printed"
        )
    return stated or run.build


def _describe(model: Any, tokenizer: Any, recipe: Recipe) -> None:
    """Says in the configuration how the model is finetuned; checkpoints carry it as well as the exported
    model."""
    if is_seq2seq(model):
        # T5's relative positions have no limit, but other tools take this number for one.
        model.config.n_positions = recipe.packing.inputs
    else:
        model.generation_config.openflan_layout = recipe.packing.layout
        # Other tools then send the prompt that the model was finetuned with.
        tokenizer.chat_template = (
            chat_template_of(tokenizer, recipe.packing.layout) or tokenizer.chat_template
        )
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = pad_id(model, tokenizer)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_context(recipe: AnyRecipe, model: Any) -> None:
    """A causal row is as long as its examples allow, but no example may be longer than the positions a model
    knows."""
    most = getattr(model.config, "max_position_embeddings", None)
    joint = recipe.packing.inputs + recipe.packing.targets
    if not is_seq2seq(model) and isinstance(most, int) and joint > most:
        raise InputError(
            f"packing.inputs + packing.targets is {joint:,}, but the model knows {most:,} positions; "
            f"set for instance packing.inputs={most * 3 // 4} packing.targets={most // 4}"
        )


def provenance(data: Mapping[str, str], tokenizer: str) -> dict[str, Any]:
    """What made a run: versions, and hashes of its data by name and of its tokenizer."""
    return {
        "format": FORMAT,
        "openflan": openflan.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "data": dict(data),
        "tokenizer": tokenizer,
    }
