"""Probes of what a base model has learned of the world before any instruction: sentences of its plain text,
which end before the value.

Each skill is a task; the averages are the means of each category and of all. All facts are probed, each in
another sentence; operations on drawn items (lists, passages) are drawn from a seed of their own, so that
almost none was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from openflan.embedded import MICROFLAN, EmbeddedBenchmark
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example, exactly
from openflan.microflan.world import Skill, skills, world
from openflan.microflan.world.text import SAID, state
from openflan.randomness import Draws

NAME = "microflan-probes"
ITEMS = 64
"""Sentences of a skill whose items are drawn, and the most of any other."""

_SEED = 2_210_11417


def microflan_probes(limit: int | None = None, seed: int = MICROFLAN.seed) -> Benchmark:
    """The probes of every skill in the world of a seed, the first `limit` of each."""
    known = {skill.name: skill for skill in skills(world(seed))}
    max_items = ITEMS if limit is None else min(limit, ITEMS)
    sizes = {name: min(max_items, skill.size) for name, skill in known.items()}
    categories = dict.fromkeys(skill.category for skill in known.values())
    by_category = {
        category: tuple(name for name, skill in known.items() if skill.category == category)
        for category in categories
    }
    return Benchmark(
        name=EmbeddedBenchmark(MICROFLAN, NAME, seed).label,
        mode="direct",
        tasks={name: BenchmarkTask(size) for name, size in sizes.items()},
        examples=partial(_examples, known, sizes),
        extract=_value,
        compare=exactly,
        averages={"average": tuple(known), **by_category},
        max_tokens=16,
        prompt_version=f"{NAME}-1",
        shots=0,
        usual_shots=0,
    )


def _examples(known: dict[str, Skill], sizes: dict[str, int], name: str) -> Sequence[Example]:
    return [_example(known[name], index) for index in range(sizes[name])]


def _example(skill: Skill, index: int) -> Example:
    draws = Draws(_SEED, skill.name, index)
    # A prime stride, so that the items asked of a large table lie all over it.
    item_index = index * 7_919 % skill.size if skill.enumerated else index
    sentence = state(skill.item(item_index, draws), draws, SAID[index % len(SAID)])
    return Example(
        skill.name,
        index,
        sentence.text[: sentence.begin].rstrip(),
        sentence.text[sentence.begin : sentence.end],
        0,
    )


def _value(task: str, generation: str) -> str | None:
    """The text before the first full stop; None if it is empty."""
    return generation.partition(".")[0].strip() or None
