"""Prompts with the same beginning (the same exemplars before every question), which is computed once for all
of them.

Decision: prompts are sorted by their ids, and neighbours form a family while that saves tokens. Price: of
nested beginnings (a header, then exemplars by subject) one level is shared, the one that saves the most.
"""

from __future__ import annotations

from collections.abc import Sequence

from openflan.inference.batching import Prompt

LEAST = 16
"""The fewest tokens of a shared beginning: a shorter one costs more than it saves, as it is one more part
in every attention layer."""


def share_prefixes(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Sets `shared` of each prompt; the prompts of a family are neighbours, the longest first. At least
    one token of a prompt is not shared."""
    ordered = sorted(prompts, key=lambda prompt: prompt.ids)
    families: list[tuple[list[Prompt], int]] = []
    for prompt in ordered:
        if families:
            family, length = families[-1]
            common = min(
                _common(family[-1].ids, prompt.ids), len(prompt.ids) - 1, len(family[-1].ids) - 1, length
            )
            # One more member must not cost the others more than it saves.
            if common >= LEAST and common * len(family) >= (
                length * (len(family) - 1) if len(family) > 1 else 0
            ):
                family.append(prompt)
                families[-1] = family, common
                continue
        families.append(([prompt], len(prompt.ids)))
    for family, length in families:
        for prompt in family:
            prompt.shared = length if len(family) > 1 else 0
    families.sort(key=lambda item: -max(len(prompt.ids) for prompt in item[0]))
    alone = [prompt for family, _ in families if len(family) == 1 for prompt in family]
    together = [
        prompt
        for family, _ in families
        if len(family) > 1
        for prompt in sorted(family, key=lambda prompt: -len(prompt.ids))
    ]
    return [*together, *sorted(alone, key=lambda prompt: -len(prompt.ids))]


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids at the start are equal."""
    return next(
        (place for place, (one, other) in enumerate(zip(first, second, strict=False)) if one != other),
        min(len(first), len(second)),
    )
