"""From a recipe to what training reads: the stream of examples, the encoder, the packed sequences, and what a
build of them depends on."""

from __future__ import annotations

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
from openflan.mixture.fingerprints import fingerprints
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.mixture.stream import Stream
from openflan.models.decoder_start import decoder_start
from openflan.models.load_model import empty_model, is_seq2seq, load_tokenizer, pad_id, seq2seq_by_config
from openflan.packing.build_ahead import Make, differences
from openflan.packing.chat_examples import in_examples
from openflan.packing.encode import Encoder, Limits
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.packing.special_tokens import Layout
from openflan.packing.store import LAYOUT, Parts, Store
from openflan.packing.store import Layout as BlockLayout
from openflan.packing.text_ids import control_tokens
from openflan.packing.torch_data import PackedDataset
from openflan.recipe.mixture_section import FEW_SHOT
from openflan.recipe.presets import INVERTED
from openflan.recipe.schema import Recipe
from openflan.tasks.file_notes import trusting_stamps
from openflan.tasks.task import Task
from openflan.templates.render import TokenBudget
from openflan.training.token_shares import mean_tokens

SMALLEST_WINDOW, LARGEST_WINDOW = 256, 1_024
"""The examples of a window where all tasks are a user's own rows."""

INPUTS_SHARE = 1_920 / 2_048
"""The share of `packing.inputs` that the inputs of a few-shot example may take (the collection's code: 1,920
of 2,048)."""


def prepare(recipe: Recipe, tasks: dict[str, Task], tokenizer: Any, *, joint: bool) -> tuple[Stream, Encoder]:
    """The stream of examples and the encoder of a recipe. In the layout `chat`, the stream's tasks have a row
    for each example of their conversations. Raises InputError for a layout that the model does not have, and
    for a conversation that the chat template refuses."""
    packing = recipe.packing
    check_layout(recipe, joint=joint)
    encoder = Encoder(
        tokenizer,
        Limits(packing.inputs, packing.targets, joint),
        packing.on_overflow,
        packing.layout,
        learn=packing.learn,
        added_tokens=packing.added_tokens,
    )
    if encoder.tokenize.chat is not None:
        tasks = in_examples(tasks, encoder.tokenize.chat)
    stream = build_stream(
        recipe.mixture,
        tasks,
        recipe.seed,
        _token_budget(recipe, encoder),
        mean_tokens=lambda unweighed: mean_tokens(unweighed, encoder),
    )
    return stream, encoder


def layout_of(stream: Stream) -> BlockLayout:
    """How many examples a window of the stream has. Those of a user's own rows are smaller, because a window
    is rendered and tokenised before the first step: the next power of two above the number of rows, from 256
    to 1,024. It depends on nothing but the tasks, so a resumed run has the same windows."""
    tasks = [entry.task for entry in stream.entries]
    if any(task.form is None for task in tasks):
        return LAYOUT
    rows = sum(len(task.rows) for task in tasks)
    window = max(SMALLEST_WINDOW, 1 << (rows - 1).bit_length())
    return BlockLayout(min(window, LARGEST_WINDOW), LAYOUT.windows)


def check_layout(recipe: Recipe, *, joint: bool) -> None:
    """Raises InputError for a layout that an encoder-decoder does not have; `joint`: the model is causal."""
    if recipe.packing.layout != "paper" and not joint:
        raise InputError(
            f"packing.layout: {recipe.packing.layout} is for causal models; an encoder-decoder has "
            "only `paper`"
        )


def opener(recipe: Recipe) -> Make:
    """A function that opens the recipe's stream and encoder in another process; it can be pickled."""
    return partial(_open, recipe)


def stream_opener(recipe: Recipe) -> Callable[[], Stream]:
    """A function that opens the recipe's stream of examples in another process; it can be pickled."""
    return partial(_open_stream, recipe)


def packed_dataset(
    recipe: Recipe, num_sequences: int | None = None, *, build: Path | None = None
) -> PackedDataset:
    """The first `num_sequences` packed sequences of a recipe for a torch DataLoader; None: as many as its
    training reads. `build`: a folder made by `openflan build`."""
    model, tokenizer = empty_model(recipe.model), load_tokenizer(recipe.model)
    start = decoder_start(model.config) if is_seq2seq(model) else None
    count = recipe.training.steps * recipe.training.batch_size if num_sequences is None else num_sequences
    return PackedDataset(
        partial(_open_packed_stream, recipe, build), count, pad_id=pad_id(model, tokenizer), start_id=start
    )


def parts_of(
    recipe: Recipe,
    tasks: Mapping[str, Task],
    encoder: Encoder,
    tokenizer: Any,
    data: Mapping[str, str] | None = None,
    layout: BlockLayout = LAYOUT,
) -> Parts:
    """What the tokens of a recipe depend on, and what their packing depends on in addition. `data` is the
    result of `fingerprints`, if it is known, and `layout` that of `layout_of`."""
    mixture = recipe.mixture.model_dump(mode="json")
    own = {task.submixture for task in tasks.values() if task.form is not None}
    for name, submixture in mixture["submixtures"].items():
        # The path of the rows does not matter; their content is hashed below.
        del submixture["data"]
        if name not in own:
            # A share that is not stated is the default, and the same tokens as that.
            submixture["styles"] = _stated_styles(submixture["styles"])
    rows = {f"data of {name}": digest for name, digest in (data or fingerprints(recipe, tasks)).items()}
    tokens = {
        "openflan": openflan.__version__,
        "seed": recipe.seed,
        "tokenizer": tokenizer_hash(tokenizer),
        **rows,
    }
    tokens |= {f"mixture.{name}": value for name, value in mixture.items()}
    tokens |= {
        "token budget of exemplars, set by packing.inputs": _token_budget(recipe, encoder).tokens,
        "layout of blocks": [layout.window, layout.windows],
    }
    packing = {f"packing.{name}": value for name, value in recipe.packing.model_dump(mode="json").items()}
    learn, added_tokens = packing.pop("packing.learn"), packing.pop("packing.added_tokens")
    if added_tokens != "ids":
        tokens["packing.added_tokens"] = added_tokens
    special_tokens = special_tokens_as_json(encoder)
    if template := template_hash(tokenizer, recipe.packing.layout):
        # The template writes into the tokens; in the other layouts special tokens are added to them.
        tokens |= {
            "packing.layout": packing.pop("packing.layout"),
            "packing.learn": learn,
            "chat template": template,
            "what the chat template writes around a text": special_tokens,
        }
    else:
        packing["special tokens"] = special_tokens
    return Parts(tokens, packing | {"inputs and targets in one sequence": encoder.limits.joint})


def packed_stream_of(
    stream: Stream, encoder: Encoder, parts: Parts, build: Path, sequences_per_window: Sequence[int] = ()
) -> ExampleStream:
    """The packed sequences of a recipe, with the windows that were built ahead in `build`. Warns if the build
    has other settings and so is not used."""
    layout = layout_of(stream)
    changed = [name for names in differences(build, parts) for name in names]
    if changed:
        warnings.warn(
            f"{build}: not used, as it was built with other {', '.join(changed[:5])}; `openflan build` "
            "makes it anew",
            stacklevel=2,
        )
        return packed_examples(stream, encoder, sequences_per_window, layout.window)
    return packed_examples(
        stream, encoder, sequences_per_window, layout.window, built=Store(build, parts, layout)
    )


def special_tokens_as_json(encoder: Encoder) -> dict[str, list[int]]:
    """The special tokens of an encoder's layout as they are written to files; of a chat template that writes
    others around other texts, the ids of some samples."""
    chat = encoder.tokenize.chat
    special_tokens = encoder.special_tokens if chat is None else chat.around
    if special_tokens is None and chat is not None:
        return {f"sample {number}": ids for number, ids in enumerate(chat.samples, 1)}
    return {name: list(ids) for name, ids in asdict(special_tokens or encoder.special_tokens).items()}


def template_hash(tokenizer: Any, layout: Layout) -> str | None:
    """The hash of the chat template; None for a layout that does not read it."""
    if layout != "chat":
        return None
    return sha256_of_json(tokenizer.chat_template)


def tokenizer_hash(tokenizer: Any) -> str:
    """A hash of all that a tokenizer does with texts: its vocabulary and its special tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    # Padding and truncation are set by every call and change no token here.
    settings = (
        json.loads(backend.to_str()) | {"padding": None, "truncation": None}
        if backend is not None
        else tokenizer.get_vocab()
    )
    roles = {role: str(token) for role, token in tokenizer.special_tokens_map.items()}
    return sha256_of_json([settings, roles, control_tokens(tokenizer)])


def _stated_styles(styles: Mapping[str, Any]) -> dict[str, Any]:
    """The styles of a submixture of public data, with the shares that stand for what is not stated."""
    defaults = {"few_shot": FEW_SHOT, "inverted": INVERTED}
    return {name: defaults.get(name) if value is None else value for name, value in styles.items()}


@trusting_stamps()  # the process that started this one has read the files
def _open(recipe: Recipe) -> tuple[Stream, Encoder]:
    tokenizer = load_tokenizer(recipe.model)
    return prepare(recipe, open_tasks(recipe.mixture), tokenizer, joint=not seq2seq_by_config(recipe.model))


def _open_stream(recipe: Recipe) -> Stream:
    return _open(recipe)[0]


def _open_packed_stream(recipe: Recipe, build: Path | None) -> ExampleStream:
    tasks, tokenizer = open_tasks(recipe.mixture), load_tokenizer(recipe.model)
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=not seq2seq_by_config(recipe.model))
    layout = layout_of(stream)
    if build is None:
        return packed_examples(stream, encoder, window=layout.window)
    parts = parts_of(recipe, tasks, encoder, tokenizer, layout=layout)
    return packed_stream_of(stream, encoder, parts, build)


def _token_budget(recipe: Recipe, encoder: Encoder) -> TokenBudget:
    return TokenBudget(int(recipe.packing.inputs * INPUTS_SHARE), encoder.count)
