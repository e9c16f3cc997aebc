"""The rule by which a stated direction is decided, and its application.

A direction says that a difference exceeds a margin. It *held* if both 95 % intervals of the difference, that
over seeds and that over items, lie above the margin; it *did not hold* if both lie below; anything else
*cannot be told at this scale*. Fewer than two seeds tell nothing, except where neither side was trained: then
questions alone decide. Decision: both intervals are asked for, as either alone is too sure. Price: with three
seeds and their wide t only large differences are told. Each direction is decided by itself: among many, some
hold by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openflan.studies.cell_scores import Scores
from openflan.studies.statistics import Column, Interval, mean, over_items, over_seeds, score, weighted
from openflan.studies.study_schema import Direction, Study

HELD, FAILED, UNCLEAR, NOT_RUN = "held", "did not hold", "cannot be told at this scale", "not run yet"


def verdict(seeds: Interval | None, items: Interval | None, margin: float, *, trained: bool = True) -> str:
    """What the rule says of intervals over seeds and over items; `trained`: whether any training is in the
    difference."""
    intervals = [seeds, items] if trained else [items]
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(intervals):
        return UNCLEAR
    if all(low > margin for low, _ in known):
        return HELD
    return FAILED if all(high < margin for _, high in known) else UNCLEAR


def decide(study: Study, scores: Scores, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Every direction and group: the difference in normalized points, by seed, with both intervals and the
    verdict."""
    differences = {
        (direction_index, group): {
            seed: difference
            for seed in seeds
            if (difference := _difference(direction, group, scores, seed)) is not None
        }
        for direction_index, direction in enumerate(study.directions)
        for group in direction.groups
    }
    items = over_items(
        {
            f"{direction_index} {group}": mean(list(by_seed.values()))
            for (direction_index, group), by_seed in differences.items()
            if by_seed
        }
    )
    return [
        _decided(
            study.directions[direction_index],
            group,
            by_seed,
            items.get(f"{direction_index} {group}"),
            _trained(study.directions[direction_index], scores),
        )
        for (direction_index, group), by_seed in differences.items()
    ]


def _decided(
    direction: Direction, group: str, by_seed: dict[int, Column], items: Interval | None, trained: bool
) -> dict[str, Any]:
    values = {seed: score(one) for seed, one in by_seed.items()}
    seeds = over_seeds(list(values.values())) if trained else None
    return {
        "says": direction.says,
        "evaluation": direction.evaluation,
        "group": group,
        "by": direction.by,
        "difference": sum(values.values()) / len(values) if values else None,
        "seeds": {str(seed): value for seed, value in values.items()},
        "ci95_seeds": seeds,
        "ci95_items": items,
        "verdict": verdict(seeds, items, direction.by, trained=trained) if values else NOT_RUN,
    }


def _difference(direction: Direction, group: str, scores: Scores, seed: int) -> Column | None:
    """None if a cell that it needs has not run under the seed."""
    terms = []
    for weight, selector in direction.terms:
        cells = scores.chosen(selector.where, selector.control)
        columns = [
            scores.column(cell, seed, selector.evaluation or direction.evaluation, group) for cell in cells
        ]
        known_columns = [one for one in columns if one is not None]
        if not known_columns or len(known_columns) < len(columns):
            return None
        terms.append((weight, mean(known_columns)))
    return weighted(terms)


def _trained(direction: Direction, scores: Scores) -> bool:
    return any(
        scores.trained(cell)
        for _, selector in direction.terms
        for cell in scores.chosen(selector.where, selector.control)
    )
