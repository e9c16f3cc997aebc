"""A line about the examples that the capacities truncate or drop; printed before training, because a finished
model does not show it."""

from __future__ import annotations

from collections.abc import Mapping

from openflan.packing.capacity import sizes
from openflan.packing.encode import REASONS, Limits


def losses_line(counts: Mapping[str, int], longest: tuple[int, int], limits: Limits) -> str | None:
    """The shares of examples that are dropped and truncated, the longest ones, and the keys to raise; None if
    there are none.

    `counts` is the result of `ExampleWindow.counts`; `longest` are the most input and target tokens of an
    example, special tokens included and nothing truncated, but exemplars pruned.
    """
    examples = counts.get("examples", 0)
    targets, inputs = (counts.get(f"dropped: {reason.replace('-', ' ')}", 0) for reason in REASONS[1:])
    truncated = counts.get("truncated", 0)
    if not examples or not targets + inputs + truncated:
        return None
    parts = []
    if targets:
        share = _share(targets, examples)
        parts.append(
            f"{share} are dropped, as their targets exceed packing.targets={limits.targets} (the longest "
            f"have {longest[1]:,} tokens)"
        )
    for count, done in ((inputs, "are dropped, as"), (truncated, "lose the end of their inputs, as")):
        if count:
            parts.append(
                f"{_share(count, examples)} {done} {_exceeding(limits)} (the longest inputs have "
                f"{longest[0]:,} tokens)"
            )
    return (
        f"of {examples:,} examples looked at, {'; '.join(parts)}. To keep them whole, set "
        f"{remedy(longest, limits)}"
    )


def remedy(longest: tuple[int, int], limits: Limits) -> str:
    """The overrides under which the longest inputs and targets fit."""
    sides = (("inputs", longest[0], limits.inputs), ("targets", longest[1], limits.targets))
    return (
        " ".join(f"packing.{side}={sizes(needed)[-1]}" for side, needed, now in sides if needed > now)
        or f"packing.inputs={sizes(sum(longest))[-1]}"
    )


def _exceeding(limits: Limits) -> str:
    if limits.joint:
        return (
            f"inputs and targets exceed packing.inputs={limits.inputs} and "
            f"packing.targets={limits.targets} together"
        )
    return f"they exceed packing.inputs={limits.inputs}"


def _share(count: int, examples: int) -> str:
    share = 100 * count / examples
    return f"{share:.1f} %" if share >= 0.1 else f"{count:,}"
