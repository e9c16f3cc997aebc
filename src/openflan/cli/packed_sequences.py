"""`openflan mixture --show`: packed sequences with their examples, or examples before they are packed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from openflan.cli.output import print_example, print_json
from openflan.mixture.export import record
from openflan.mixture.stream import Stream
from openflan.packing.encode import Encoded, Encoder, Limits
from openflan.packing.example_windows import packed_examples
from openflan.templates.render import Rendered


def show_rows(stream: Stream, encoder: Encoder, count: int, *, as_json: bool) -> None:
    """Prints the first `number` packed rows of training, each example with its segment, its place in the row
    and where it came from.

    Raises InputError if the first window keeps no example.
    """
    from openflan.training.prepare import layout_of

    packed_stream = packed_examples(stream, encoder, window=layout_of(stream).window)
    located = packed_stream.locate(0, count)
    positions = [window.positions(within) for window, within in located]
    sources = [window.origins(within) for window, within in located]
    encoded_sequences = packed_stream.sequences(0, count)
    sequences = [
        described(row, *parts, packed_stream.limits, encoder.as_sent)
        for row, parts in enumerate(zip(positions, sources, encoded_sequences, strict=True))
    ]
    if as_json:
        print_json(sequences)
        return
    for sequence, examples in zip(sequences, sources, strict=True):
        typer.secho(f"sequence {sequence['row']}: {_summary(sequence, packed_stream.limits)}", bold=True)
        typer.echo()
        for segment, example in zip(sequence["examples"], examples, strict=True):
            title = (
                f"sequence {sequence['row']}, segment {segment['segment']} of {len(examples)}: position "
                f"{segment['position']}, {_places(segment, packed_stream.limits.joint)}"
            )
            sent = {name: segment.get(name) for name in ("as_sent", "learned")}
            print_example(example, title, {"truncated": segment["cut"] or None, **sent})


def show_examples(stream: Stream, encoder: Encoder | None, count: int, *, as_json: bool) -> None:
    """Prints the first `number` examples of the stream, with an encoder also what becomes of their tokens,
    those that are dropped included."""
    examples = [stream[position] for position in range(count)]
    encoded = [None] * count if encoder is None else encoder.encode(examples)
    if as_json:
        print_json(
            [
                record(position, example) | _tokens(ids)
                for position, (example, ids) in enumerate(zip(examples, encoded, strict=True))
            ]
        )
        return
    for position, (example, ids) in enumerate(zip(examples, encoded, strict=True)):
        print_example(example, f"position {position}", _tokens(ids))


def described(
    row: int,
    positions: list[int],
    sources: list[Rendered],
    encoded: list[Encoded],
    limits: Limits,
    as_sent: Callable[[Encoded], dict[str, Any]] = lambda ids: {},
) -> dict[str, Any]:
    """A packed row as plain values: its tokens and fill, and its examples in their order.

    `inputs_at` and `targets_at` are the first token of an example's inputs and targets and the one behind its
    last (`as_sent` adds what is learned of a conversation); in a causal row they count along the one
    sequence, in the other kind each along its own."""
    examples, at = [], [0, 0]
    for segment, (position, source, ids) in enumerate(zip(positions, sources, encoded, strict=True), 1):
        wide, long = len(ids.input_ids), len(ids.target_ids)
        begin = at[0] + wide if limits.joint else at[1]
        ranges = {"inputs_at": [at[0], at[0] + wide], "targets_at": [begin, begin + long]}
        examples.append(
            {"segment": segment, **record(position, source), **_tokens(ids), **ranges, **as_sent(ids)}
        )
        at = [begin + long] * 2 if limits.joint else [at[0] + wide, begin + long]
    inputs, targets = sum(ids.num_context for ids in encoded), sum(ids.num_learned for ids in encoded)
    return {
        "row": row,
        "input_tokens": inputs,
        "target_tokens": targets,
        "fill": (inputs + targets) / (limits.inputs + limits.targets),
        "fill_inputs": None if limits.joint else inputs / limits.inputs,
        "fill_targets": None if limits.joint else targets / limits.targets,
        "examples": examples,
    }


def _tokens(ids: Encoded | None) -> dict[str, object]:
    """What became of an example's tokens: how many stay, how many input tokens are cut, or why it is dropped;
    nothing without a tokenizer."""
    if ids is None:
        return {}
    return (
        {"dropped": ids.dropped}
        if ids.dropped
        else {"input_tokens": ids.num_context, "target_tokens": ids.num_learned, "cut": ids.truncated}
    )


def _summary(row: dict[str, Any], limits: Limits) -> str:
    num_examples = len(row["examples"])
    start = f"{num_examples} example{'' if num_examples == 1 else 's'}, "
    if limits.joint:
        both = row["input_tokens"] + row["target_tokens"]
        return (
            f"{start}{both:,} of {limits.sequence:,} tokens ({row['fill']:.1%}), {row['target_tokens']:,} of "
            "them targets"
        )
    return (
        f"{start}{row['input_tokens']:,} of {limits.inputs:,} input tokens ({row['fill_inputs']:.1%}), "
        f"{row['target_tokens']:,} of {limits.targets:,} target tokens ({row['fill_targets']:.1%})"
    )


def _places(segment: dict[str, Any], joint: bool) -> str:
    (first, end), (target, target_end) = segment["inputs_at"], segment["targets_at"]
    suffix = " of one sequence" if joint else ""
    return f"input tokens {first:,} to {end - 1:,} and target tokens {target:,} to {target_end - 1:,}{suffix}"
