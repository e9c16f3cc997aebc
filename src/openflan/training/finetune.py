"""A recipe becomes a run: data opened, model loaded, ledger written, trained, exported.

Everything that can be wrong with the input is found before the first step.
"""

from __future__ import annotations

import hashlib
import json
import platform
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

import openflan
from openflan.errors import InputError
from openflan.mixture.build import build_stream, open_tasks
from openflan.mixture.ledger import by_submixture, formats, shares_table
from openflan.mixture.stream import Stream
from openflan.models.load import is_seq2seq, load_model, load_tokenizer, pad_id, save_pretrained, seq2seq_by_config
from openflan.models.packed import check_packing
from openflan.packing.encode import Encoder, Limits
from openflan.packing.plan import Plan
from openflan.recipe.load import differences, dump_recipe, load_recipe
from openflan.recipe.schema import Recipe
from openflan.run import Run, read_json, replacing, write_json
from openflan.tasks.task import Task
from openflan.templates.choice import Named, wordings_files
from openflan.templates.render import Room
from openflan.training.loop import train

ROOM = 1_920 / 2_048
"""The share of a row's input tokens that a few-shot example may take (the collection's code: 1,920 of 2,048)."""


def finetune(recipe: Recipe, run: Run, *, label: str = "finetune") -> None:
    """Trains the recipe in its run folder and exports `model/`; goes on where an earlier call stopped.

    Raises InputError for bad data, a model that does not fit, or a run folder that holds another recipe.
    """
    _same_recipe(recipe, run)
    tasks = open_tasks(recipe.mixture)
    tokenizer = load_tokenizer(recipe.model)
    provenance = _provenance(recipe, tasks, tokenizer)
    _same_data(provenance, run)
    model = load_model(recipe.model, tokenizer, recipe.seed).to("cuda" if torch.cuda.is_available() else "cpu")
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=not is_seq2seq(model))
    _check_context(recipe, model)
    check_packing(model)
    _describe(model, tokenizer, recipe)
    write_text(run.recipe, dump_recipe(recipe))
    tokenizer.save_pretrained(run.tokenizer)
    write_json(run.provenance, provenance)
    first = Plan(stream, encoder)
    if not run.ledger.is_file():
        write_json(run.ledger, ledger(recipe, tasks, stream, first))

    def plan_from(rows_per_window: Sequence[int]) -> Plan:
        return Plan(stream, encoder, rows_per_window) if rows_per_window else first

    train(recipe, run, model, tokenizer, plan_from, label=label)
    export(model, tokenizer, run.model, recipe)


def survey(recipe: Recipe) -> dict[str, Any]:
    """The ledger of a recipe, without its model's weights."""
    tasks = open_tasks(recipe.mixture)
    tokenizer = load_tokenizer(recipe.model)
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=not seq2seq_by_config(recipe.model))
    return ledger(recipe, tasks, stream, Plan(stream, encoder))


def prepare(recipe: Recipe, tasks: dict[str, Task], tokenizer: Any, *, joint: bool) -> tuple[Stream, Encoder]:
    """The stream and the encoder of a recipe."""
    packing = recipe.packing
    encoder = Encoder(tokenizer, Limits(packing.inputs, packing.targets, joint), packing.on_overflow)
    return build_stream(recipe.mixture, tasks, recipe.seed, Room(int(packing.inputs * ROOM), encoder.count)), encoder


def ledger(recipe: Recipe, tasks: Mapping[str, Task], stream: Stream, plan: Plan) -> dict[str, Any]:
    """Shares a task, and what the first window measured: fill, formats, truncation."""
    window = plan.window(0)
    kept = [example for example in window.encoded if example.keeps]
    rows, packing = len(window.rows), recipe.packing
    input_tokens, target_tokens = sum(len(example.input_ids) for example in kept), sum(len(example.target_ids) for example in kept)
    examples = round(recipe.training.steps * recipe.training.batch_size * len(kept) / rows)
    table = shares_table(recipe.mixture, tasks, stream, examples)
    return {
        "examples": examples,
        "submixtures": by_submixture(table),
        "tasks": table,
        "measured": {
            "examples": len(window.examples),
            "rows": rows,
            "examples_per_row": len(kept) / rows,
            "input_tokens": input_tokens,
            "target_tokens": target_tokens,
            # In a causal model's row the two share one room.
            "fill_inputs": None if plan.limits.joint else input_tokens / (rows * packing.inputs),
            "fill_targets": None if plan.limits.joint else target_tokens / (rows * packing.targets),
            "fill": (input_tokens + target_tokens) / (rows * (packing.inputs + packing.targets)),
            "counts": dict(window.counts()),
            "formats": formats(window.examples),
        },
    }


def export(model: Any, tokenizer: Any, folder: Path, recipe: Recipe) -> None:
    """A plain Hugging Face folder: transformers loads it without openflan."""
    _describe(model, tokenizer, recipe)
    with replacing(folder) as partial:
        save_pretrained(model, partial)
        tokenizer.save_pretrained(partial)


def _describe(model: Any, tokenizer: Any, recipe: Recipe) -> None:
    """Says in the configuration how the model is finetuned; checkpoints carry it as well as the exported model."""
    if is_seq2seq(model):
        # T5's relative positions have no limit, but other tools take this number for one.
        model.config.n_positions = recipe.packing.inputs
    else:
        model.generation_config.openflan_layout = "paper"
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = pad_id(model, tokenizer)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _same_recipe(recipe: Recipe, run: Run) -> None:
    if not run.recipe.is_file():
        return
    # How often a run is saved changes nothing in it.
    changed = [change for change in differences(load_recipe(run.recipe), recipe) if not change.startswith("checkpoints.")]
    if changed:
        raise InputError(
            f"{run.folder}: holds a run of another recipe ({'; '.join(changed[:5])}); name another folder with --run, or start anew with --restart"
        )


def _check_context(recipe: Recipe, model: Any) -> None:
    """A causal row is as long as its examples allow, but no example may be longer than the positions a model knows."""
    most = getattr(model.config, "max_position_embeddings", None)
    joint = recipe.packing.inputs + recipe.packing.targets
    if not is_seq2seq(model) and isinstance(most, int) and joint > most:
        raise InputError(
            f"packing.inputs + packing.targets is {joint:,}, but the model knows {most:,} positions; "
            f"set for instance packing.inputs={most * 3 // 4} packing.targets={most // 4}"
        )


def _provenance(recipe: Recipe, tasks: Mapping[str, Task], tokenizer: Any) -> dict[str, Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return {
        "openflan": openflan.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "data": {name: fingerprint(task, recipe.mixture.submixtures[task.submixture].wordings) for name, task in tasks.items()},
        "tokenizer": hashlib.sha256(text.encode()).hexdigest(),
    }


def _same_data(found: Mapping[str, Any], run: Run) -> None:
    """Raises InputError if rows, wordings or tokenizer are not those the run began with; another version of the code only warns."""
    before = read_json(run.provenance)
    if not before:
        return
    names = sorted(before["data"].keys() | found["data"].keys())
    changed = [f"the rows or wordings of {name}" for name in names if before["data"].get(name) != found["data"].get(name)]
    changed += ["the tokenizer"] if before["tokenizer"] != found["tokenizer"] else []
    if changed:
        raise InputError(f"{run.folder}: changed since the run began: {', '.join(changed[:5])}; restore what was there, or start anew with --restart")
    versions = [f"{name} {before[name]} -> {found[name]}" for name in ("openflan", "python", "torch", "transformers") if before[name] != found[name]]
    if versions:
        warnings.warn(f"{run.folder}: goes on under other versions ({', '.join(versions)}); the numbers may differ from those of an unbroken run", stacklevel=3)


def fingerprint(task: Task, wordings: Named | Path | None = None) -> str:
    """A hash of a task's number of rows, up to a thousand of them, evenly spaced, and the files of its wordings if they are not the packaged ones."""
    count = len(task.rows)
    digest = hashlib.sha256(str(count).encode())
    for path in wordings_files(wordings, task.name):
        digest.update(path.read_bytes() if path.is_file() else b"")
    for index in range(0, count, -(-count // 1_000)):
        digest.update(repr(sorted(task.rows[index].items())).encode())
    return digest.hexdigest()
