"""From a recipe to what training reads: the stream, the encoder, the plan, and the parts that a build of them
depends on."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import openflan
from openflan.errors import InputError
from openflan.hashes import sha256_of_json
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.mixture.stream import Stream
from openflan.models.load_model import empty_model, is_seq2seq, load_tokenizer, pad_id, seq2seq_by_config
from openflan.packing.build_ahead import Make, differences
from openflan.packing.encode import Encoder, Limits
from openflan.packing.plan import Plan
from openflan.packing.special_tokens import Layout, SpecialTokens
from openflan.packing.store import LAYOUT, Parts, Store
from openflan.packing.text_ids import control_tokens
from openflan.packing.torch_data import PackedDataset
from openflan.recipe.schema import Recipe
from openflan.tasks.digest import rows_digest
from openflan.tasks.task import Task
from openflan.templates.choice import Named, wordings_files
from openflan.templates.render import TokenBudget

ROOM = 1_920 / 2_048
"""The share of a row's input tokens that a few-shot example may take (the collection's code: 1,920 of
2,048)."""


def prepare(recipe: Recipe, tasks: dict[str, Task], tokenizer: Any, *, joint: bool) -> tuple[Stream, Encoder]:
    """The stream and the encoder of a recipe."""
    packing = recipe.packing
    check_layout(recipe, joint=joint)
    encoder = Encoder(
        tokenizer, Limits(packing.inputs, packing.targets, joint), packing.on_overflow, packing.layout
    )
    return build_stream(recipe.mixture, tasks, recipe.seed, _room(recipe, encoder)), encoder


def check_layout(recipe: Recipe, *, joint: bool) -> None:
    """Raises InputError for a layout that an encoder-decoder does not have; `joint`: the model is causal."""
    if recipe.packing.layout != "paper" and not joint:
        raise InputError(
            f"packing.layout: {recipe.packing.layout} is for causal models; an encoder-decoder has "
            "`paper`, its two sequences"
        )


def opener(recipe: Recipe) -> Make:
    """What opens the recipe's stream and encoder in a process of its own."""
    return partial(_opened, recipe)


def stream_opener(recipe: Recipe) -> Callable[[], Stream]:
    """What opens the recipe's stream of rendered examples in a process of its own."""
    return partial(_opened_stream, recipe)


def packed_dataset(recipe: Recipe, rows: int | None = None, *, build: Path | None = None) -> PackedDataset:
    """The first `rows` packed rows of a recipe for a torch DataLoader; as many as its training reads if None.
    `build`: a folder made by `openflan build`."""
    model, tokenizer = empty_model(recipe.model), load_tokenizer(recipe.model)
    start = int(model.config.decoder_start_token_id or 0) if is_seq2seq(model) else None
    count = recipe.training.steps * recipe.training.batch_size if rows is None else rows
    return PackedDataset(
        partial(_opened_plan, recipe, build), count, pad_id=pad_id(model, tokenizer), start_id=start
    )


def parts_of(
    recipe: Recipe,
    tasks: Mapping[str, Task],
    encoder: Encoder,
    tokenizer: Any,
    data: Mapping[str, str] | None = None,
) -> Parts:
    """What the tokens of a recipe depend on, and what their packing depends on beside. `data`: what
    `fingerprints` said of the tasks, if it was asked."""
    mixture = recipe.mixture.model_dump(mode="json")
    for submixture in mixture["submixtures"].values():
        # Where rows lie does not matter; what they are is hashed below.
        del submixture["data"]
    rows = {f"data of {name}": digest for name, digest in (data or fingerprints(recipe, tasks)).items()}
    tokens = {
        "openflan": openflan.__version__,
        "seed": recipe.seed,
        "tokenizer": tokenizer_hash(tokenizer),
        **rows,
    }
    tokens |= {f"mixture.{name}": value for name, value in mixture.items()}
    tokens |= {
        "exemplars' room, set by packing.inputs": _room(recipe, encoder).tokens,
        "layout of blocks": [LAYOUT.window, LAYOUT.windows],
    }
    packing = {f"packing.{name}": value for name, value in recipe.packing.model_dump(mode="json").items()}
    if template := template_hash(tokenizer, recipe.packing.layout):
        packing["chat template"] = template
    return Parts(
        tokens,
        {
            **packing,
            "one sequence a row": encoder.limits.joint,
            "marks": marks_as_values(encoder.special_tokens),
        },
    )


def plan_of(
    stream: Stream, encoder: Encoder, parts: Parts, build: Path, rows_per_window: Sequence[int] = ()
) -> Plan:
    """The plan of a recipe, with the windows that were built ahead in `build`. Warns if a build is there for
    other settings, and so is not used."""
    changed = [name for names in differences(build, parts) for name in names]
    if changed:
        warnings.warn(
            f"{build}: not used, as it was built with other {', '.join(changed[:5])}; `openflan build` "
            "makes it anew",
            stacklevel=2,
        )
        return Plan(stream, encoder, rows_per_window)
    return Plan(stream, encoder, rows_per_window, built=Store(build, parts))


def marks_as_values(special_tokens: SpecialTokens) -> dict[str, list[int]]:
    """Marks as they are written to files."""
    return {name: list(ids) for name, ids in asdict(special_tokens).items()}


def template_hash(tokenizer: Any, layout: Layout) -> str | None:
    """Of the chat template; None for a layout that does not read it."""
    if layout != "chat":
        return None
    return sha256_of_json(tokenizer.chat_template)


def tokenizer_hash(tokenizer: Any) -> str:
    """Of all that a tokenizer does with texts: its vocabulary and its special tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    # How texts are padded and cut is set by every call, and touches no token here.
    settings = (
        json.loads(backend.to_str()) | {"padding": None, "truncation": None}
        if backend is not None
        else tokenizer.get_vocab()
    )
    roles = {role: str(token) for role, token in tokenizer.special_tokens_map.items()}
    return sha256_of_json([settings, roles, control_tokens(tokenizer)])


def fingerprints(recipe: Recipe, tasks: Mapping[str, Task]) -> dict[str, str]:
    """The fingerprint of every task of a recipe, by name."""
    return {
        name: fingerprint(task, recipe.mixture.submixtures[task.submixture].wordings)
        for name, task in tasks.items()
    }


def fingerprint(task: Task, wordings: Named | Path | None = None) -> str:
    """A hash of all of a task's rows, and of the files of its wordings if they are not the packaged ones."""
    files = [path.read_bytes() if path.is_file() else b"" for path in wordings_files(wordings, task.name)]
    return hashlib.sha256(
        b"".join([rows_digest(task.rows), *(hashlib.sha256(text).digest() for text in files)])
    ).hexdigest()


def _opened(recipe: Recipe) -> tuple[Stream, Encoder]:
    tokenizer = load_tokenizer(recipe.model)
    return prepare(recipe, open_tasks(recipe.mixture), tokenizer, joint=not seq2seq_by_config(recipe.model))


def _opened_stream(recipe: Recipe) -> Stream:
    return _opened(recipe)[0]


def _opened_plan(recipe: Recipe, build: Path | None) -> Plan:
    tasks, tokenizer = open_tasks(recipe.mixture), load_tokenizer(recipe.model)
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=not seq2seq_by_config(recipe.model))
    return (
        plan_of(stream, encoder, parts_of(recipe, tasks, encoder, tokenizer), build)
        if build
        else Plan(stream, encoder)
    )


def _room(recipe: Recipe, encoder: Encoder) -> TokenBudget:
    return TokenBudget(int(recipe.packing.inputs * ROOM), encoder.count)
