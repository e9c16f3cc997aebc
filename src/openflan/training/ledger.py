"""The ledger: what a recipe will train on and what it needs, before the first step.

Shares come from the mixture, lengths and fill from the first windows of the stream that training reads,
capacities from those lengths, and cost from the model's configuration. Each part is a pure function in
another module; this one joins them. Keys are only added, never removed: reports read them from ledger.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.mixture.stream import Stream
from openflan.mixture.task_shares import by_category, by_submixture, formats, shares_table
from openflan.models.estimate import ASSUMPTIONS, BF16_PEAK, Hardware, Shape
from openflan.packing.capacity import needs, propose, sizes
from openflan.packing.encode import Encoder, Limits
from openflan.packing.example_windows import ExampleStream, ExampleWindow
from openflan.packing.losses import losses_line
from openflan.packing.measure import Measured, Tally, lengths, measure, summed
from openflan.packing.tokens import join, tokens_of
from openflan.packing.unknown import unknown_line, unknown_targets
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.schema import Recipe
from openflan.tasks.task import Task
from openflan.training.conversations import conversation_lines, conversations_of
from openflan.training.epochs import epochs_lines
from openflan.training.flops import device_hours, training_flops
from openflan.training.memory_of_recipe import memory_of_recipe, sequences_at_a_time
from openflan.training.prepare import INPUTS_SHARE


def ledger(
    recipe: Recipe,
    tasks: Mapping[str, Task],
    stream: Stream,
    encoder: Encoder,
    packed_stream: ExampleStream,
    shape: Shape,
    *,
    windows: int = 1,
    hardware: Hardware | None = None,
) -> dict[str, Any]:
    """The ledger of a recipe, measured on the first `windows` windows of its packed stream, as JSON
    values."""
    seen = [packed_stream.window(number) for number in range(windows)]
    measured = _measured(seen, packed_stream.limits)
    examples = round(recipe.training.steps * recipe.training.batch_size * measured.examples_per_sequence)
    table = shares_table(recipe.mixture, tasks, stream, examples)
    unpruned_N2, few_shot_N = _unpruned(seen, stream, encoder)
    needs_N2 = needs(unpruned_N2, few_shot_N, INPUTS_SHARE)
    return {
        "examples": examples,
        "unit": recipe.mixture.unit,
        "submixtures": _with(by_submixture(table, examples), "submixture", table, measured),
        "categories": _with(by_category(table, examples), "category", table, measured),
        "tasks": [row | measured.tasks.get(row["task"], Tally()).values() for row in table],
        "measured": measured.values()
        | {
            "windows": windows,
            "longest_inputs": max(window.longest()[0] for window in seen),
            "longest_targets": max(window.longest()[1] for window in seen),
            "unknown_targets": _unknown(seen, encoder),
            "formats": formats(example for window in seen for example in window.examples),
            "lengths": {
                side: lengths(unpruned_N2[:, n], sizes(int(unpruned_N2[:, n].max()))).values()
                for n, side in enumerate(("inputs", "targets"))
            },
        },
        "conversations": conversations_of(stream, encoder),
        "capacities": [
            proposal.values() for proposal in propose(unpruned_N2, needs_N2, joint=packed_stream.limits.joint)
        ],
        "estimates": estimates(recipe, shape, measured, hardware or Hardware()),
    }


def notices(ledger: Mapping[str, Any], limits: Limits) -> list[str]:
    """Lines by a ledger about what a user should know before training: examples that the capacities drop or
    truncate, targets that the vocabulary cannot write, what a chat template makes of conversations, and own
    rows that are read very often."""
    measured = ledger.get("measured", {})
    lines = []
    if "longest_inputs" in measured:
        # Else an earlier version began the run.
        longest = (measured["longest_inputs"], measured["longest_targets"])
        lines.append(losses_line(measured["counts"], longest, limits))
    if unknown := measured.get("unknown_targets"):
        lines.append(unknown_line(unknown))
    lines += conversation_lines(ledger.get("conversations", {}))
    lines += epochs_lines(ledger)
    return [line for line in lines if line]


def estimates(recipe: AnyRecipe, shape: Shape, measured: Measured, hardware: Hardware) -> dict[str, Any]:
    """Memory on one device and time on all, as JSON values, by the formulas of `assumptions` and
    `models.estimate`. `seconds` is None without a device. Frozen parameters have no gradients and no
    statistics."""
    settings, packing, device = recipe.training, recipe.packing, hardware.device
    sequences = settings.steps * settings.batch_size
    tokens = round(sequences * measured.tokens_per_sequence)
    flops = training_flops(shape.parameters, tokens, encoder_decoder=shape.seq2seq)
    full = sequences * (packing.inputs + packing.targets)
    return {
        "parameters": shape.parameters,
        "trained_parameters": shape.trained_parameters,
        "tokens": tokens,
        "flops": flops,
        "full_row_tokens": full,
        "full_row_flops": training_flops(shape.parameters, full, encoder_decoder=shape.seq2seq),
        "rows_at_a_time": sequences_at_a_time(recipe, hardware.devices),
        "precision": settings.precision,
        "weights": settings.weights,
        "memory": memory_of_recipe(recipe, shape, hardware.devices).values(),
        "device": None if device is None else device.name,
        "device_tflops": None if device is None else device.tflops,
        "device_memory": None if device is None else device.memory,
        "devices": hardware.devices,
        "mfu": hardware.mfu,
        "seconds": None
        if device is None
        else 3600 * device_hours(flops, device.tflops * 1e12, hardware.mfu) / hardware.devices,
        "assumptions": [
            *ASSUMPTIONS,
            *([BF16_PEAK] if device is not None and settings.precision != "bf16" else []),
        ],
    }


def _measured(windows: Sequence[ExampleWindow], limits: Limits) -> Measured:
    starts = np.cumsum([0, *(len(window.examples) for window in windows)])
    sequences = [
        [int(start) + number for number in sequence]
        for start, window in zip(starts, windows, strict=False)
        for sequence in window.packed.sequences()
    ]
    return measure(
        [example for window in windows for example in window.examples],
        [ids for window in windows for ids in window.encoded],
        sequences,
        limits,
    )


def _unknown(windows: Sequence[ExampleWindow], encoder: Encoder) -> dict[str, Any] | None:
    """The targets of all windows that the vocabulary cannot write."""
    tokens = join([window.tokens for window in windows])
    unknown = unknown_targets(
        tokens, [example for window in windows for example in window.examples], encoder.tokenize
    )
    return None if unknown is None else unknown.values()


def _with(
    groups: list[dict[str, Any]], key: str, table: list[dict[str, Any]], measured: Measured
) -> list[dict[str, Any]]:
    """Groups of tasks, each with the sums of what was measured of its tasks."""
    return [
        group
        | summed(measured.tasks.get(row["task"], Tally()) for row in table if row[key] == group[key]).values()
        for group in groups
    ]


def _unpruned(
    windows: Sequence[ExampleWindow], stream: Stream, encoder: Encoder
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Tokens of every example without pruning and truncation (N, 2), special tokens included, and whether it
    has exemplars (N,).

    Only those that were pruned are rendered and tokenised again.
    """
    raw_N2 = np.concatenate([window.tokens.lengths_N2 for window in windows])
    examples = [example for window in windows for example in window.examples]
    few_shot_N = np.array([example.style.few_shot for example in examples])
    positions = [window.first + number for window in windows for number in range(len(window.examples))]
    pruned = [number for number, example in enumerate(examples) if example.pruned]
    few_shot_N[pruned] = True
    if pruned:
        raw_N2[pruned] = tokens_of(
            [stream.unpruned(positions[number]) for number in pruned], encoder.tokenize
        ).lengths_N2
    return raw_N2 + np.array([encoder.special_tokens.inputs, len(encoder.special_tokens.after)]), few_shot_N
