"""The capacities and the number of steps of a recipe for a user's own rows, from the rows themselves.

Both are functions of the recipe and the data alone, so that the same command gives the same recipe again and
continues its run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.mixture.open_mixture import open_mixture, rows_of_one_epoch
from openflan.mixture.stream import Stream
from openflan.models.load_model import context_length, load_tokenizer, seq2seq_by_config
from openflan.packing.encode import Encoder
from openflan.packing.example_windows import packed_examples
from openflan.packing.tokens import tokens_at
from openflan.recipe.schema import Recipe
from openflan.tasks.task import Task
from openflan.templates.wording import READY_MADE
from openflan.training.prepare import layout_of, prepare

SAMPLE = 2_000
"""The rendered examples whose lengths set the capacities."""

SHARE = 0.995
"""The share of the sample's examples that each capacity holds whole."""

MULTIPLE = 64
"""Capacities are multiples of this number of tokens."""

LONGEST = 4_096
"""The largest capacity of a side, in tokens, for a model whose context has no limit."""

_PROVISIONAL = 1 << 20
"""Capacities in tokens that cut nothing, while lengths are measured."""


def fitted_to_rows(recipe: Recipe, *, capacities: bool, epochs: float | None = None) -> Recipe:
    """The recipe with what its data set: with `capacities`, `packing.inputs` and `packing.targets`; with
    `epochs`, the `training.steps` that read so many epochs of the rows.

    Raises InputError for data that cannot be read and for a base that cannot be found.
    """
    tasks = open_mixture(recipe.mixture).tasks
    tokenizer, base = load_tokenizer(recipe.model), recipe.model.base
    joint = not seq2seq_by_config(recipe.model)
    if capacities:
        wide = _with(recipe, "packing", {"inputs": _PROVISIONAL, "targets": _PROVISIONAL})
        stream, encoder = prepare(wide, tasks, tokenizer, joint=joint)
        context = context_length(base) if base is not None else None
        inputs, targets = proposed(sampled_lengths(stream, encoder), context if joint else None)
        recipe = _with(recipe, "packing", {"inputs": inputs, "targets": targets})
    if epochs is not None:
        stream, encoder = prepare(recipe, tasks, tokenizer, joint=joint)
        steps = steps_of_epochs(recipe, stream, encoder, epochs)
        warmup = min(recipe.training.warmup_steps, steps)
        recipe = _with(recipe, "training", {"steps": steps, "warmup_steps": warmup})
    return recipe


def sampled_lengths(stream: Stream, encoder: Encoder) -> NDArray[np.int64]:
    """Tokens of the inputs and targets, special tokens included, of the first examples of the stream (N, 2).

    The stream is a seeded permutation of the rows: N is 2,000, or one epoch of fewer rows where each of them
    has one form only.
    """
    tasks = [entry.task for entry in stream.entries]
    as_they_are = all(task.finished or task.fields >= READY_MADE.fields for task in tasks)
    rows = sum(len(task.rows) for task in tasks)
    tokens = tokens_at(stream, 0, min(SAMPLE, rows if as_they_are else SAMPLE), encoder.tokenize)[1]
    special = np.array([encoder.special_tokens.inputs, len(encoder.special_tokens.after)])
    lengths_N2: NDArray[np.int64] = tokens.lengths_N2 + special
    return lengths_N2


def proposed(lengths_N2: NDArray[np.int64], context: int | None) -> tuple[int, int]:
    """The capacities for inputs and targets: the 99.5th percentile of the lengths (N, 2), rounded up to 64.

    `context` is the number of tokens that both may have together, None for a model that reads the sides apart
    and has no limit. Where both do not fit, targets keep up to half of it, because an example whose targets
    do not fit is dropped, and inputs are only truncated.
    """
    inputs, targets = (_rounded(lengths_N2[:, side]) for side in (0, 1))
    if context is None:
        return min(inputs, LONGEST), min(targets, LONGEST)
    if inputs + targets <= context:
        return inputs, targets
    targets = max(1, min(targets, max(context // 2, context - inputs)))
    return max(1, min(inputs, context - targets)), targets


def steps_of_epochs(recipe: Recipe, stream: Stream, encoder: Encoder, epochs: float) -> int:
    """The steps that read `epochs` epochs, rounded up, by the examples of a sequence in the first window."""
    window = layout_of(stream).window
    sequences = len(packed_examples(stream, encoder, window=window).window(0))
    tasks: dict[str, Task] = {entry.task.name: entry.task for entry in stream.entries}
    examples = epochs * rows_of_one_epoch(recipe.mixture, tasks)
    steps = examples * sequences / window / recipe.training.batch_size
    return max(1, math.ceil(steps - 1e-9))


def _rounded(lengths_N: NDArray[np.int64]) -> int:
    length = int(np.quantile(lengths_N, SHARE, method="higher"))
    return max(1, -(-length // MULTIPLE)) * MULTIPLE


def _with(recipe: Recipe, section: str, changed: Mapping[str, Any]) -> Recipe:
    values = recipe.model_dump()
    values[section] |= changed
    return Recipe.model_validate(values)
