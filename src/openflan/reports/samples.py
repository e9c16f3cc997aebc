"""A few generations to read, taken evenly over tasks and items so that nobody selected them.

The benchmark's own extraction and comparison decide whether a generation is right; for benchmarks that
openflan does not know, this stays open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.corpus_scores import references
from openflan.evaluation.embedded_benchmarks import open_embedded_benchmark
from openflan.evaluation.generations import Generation, read_generations
from openflan.evaluation.held_out import Prompted, held_out_benchmark
from openflan.evaluation.known_benchmarks import BENCHMARKS, find_benchmark
from openflan.evaluation.saved_answers import answer_of
from openflan.tasks.task import Task

T = TypeVar("T")

HELD_OUT = "held-out"
"""A benchmark out of tasks of the data, all of which are judged by one rule."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A generation with its targets, any of which counts; `right` is None where no rule is known."""

    model: str
    benchmark: str | None
    mode: str | None
    task: str
    index: int
    generation: str
    targets: tuple[str, ...]
    finish: str
    right: bool | None


def sample_generations(folder: Path, count: int) -> tuple[Sample, ...]:
    """Return at most `count` generations of the most trained model that has any; raises InputError for a
    damaged file.

    If there are more tasks than `count`, evenly spaced ones are shown.
    """
    model, written = most_trained(folder)
    return tuple(_sample(model, one) for one in spread(written, count))


def unanswered_generations(folder: Path, count: int) -> tuple[Sample, ...]:
    """Return at most `count` generations of the most trained model in which no answer was found.

    Benchmarks without a known rule are left out.
    """
    model, written = most_trained(folder)
    return tuple(
        _sample(model, generation)
        for generation in spread([one for one in written if answered(one) is False], count)
    )


def most_trained(folder: Path) -> tuple[str, list[Generation]]:
    """Return the most trained model that has generations, and the first sample of each of its questions; an
    empty name and an empty list if there is none.

    Files are `MODEL-BENCHMARK-MODE.jsonl`. Answers with another number of exemplars, by samples or by
    likelihood are in files with a longer name. They are read only of a model that has no other files.
    """
    usual: dict[str, list[Generation]] = {}
    variants: dict[str, list[Generation]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for _, generation in read_generations(path):
            if generation.sample == 0:
                model, variant = _model(path.stem, generation)
                (variants if variant else usual).setdefault(model, []).append(generation)
    model = max([*usual, *variants], key=_trained, default="")
    return model, usual.get(model) or variants.get(model, [])


def spread(generations: Sequence[Generation], count: int) -> list[Generation]:
    """Return at most `count` generations, from as many tasks as possible and evenly spaced within each, in
    the order of benchmark, mode, task and index."""
    tasks: dict[tuple[str, str, str], list[Generation]] = {}
    for generation in sorted(
        generations,
        key=lambda generation: (
            generation.benchmark or "",
            generation.mode or "",
            generation.task,
            generation.index,
        ),
    ):
        tasks.setdefault((generation.benchmark or "", generation.mode or "", generation.task), []).append(
            generation
        )
    groups = _evenly(list(tasks.values()), count)
    num_chosen = [0] * len(groups)
    # One more from each task in turn, as long as it has any: short tasks leave their places to the others.
    while sum(num_chosen) < min(count, sum(map(len, groups))):
        for group_index, group in enumerate(groups):
            if num_chosen[group_index] < len(group) and sum(num_chosen) < count:
                num_chosen[group_index] += 1
    return [
        generation
        for group, count_of_group in zip(groups, num_chosen, strict=True)
        for generation in _evenly(group, count_of_group)
    ]


def judge(generation: Generation) -> bool | None:
    """Return whether a generation is right by the rule of its benchmark; None without a rule."""
    benchmark = _rule(generation.benchmark, generation.mode)
    if benchmark is None or (generation.benchmark in BENCHMARKS and generation.task not in benchmark.tasks):
        return None
    answer = answer_of(benchmark, generation)
    return answer is not None and any(
        benchmark.compare(answer, reference) for reference in references(generation.target)
    )


def answered(generation: Generation) -> bool | None:
    """Return whether an answer was found in a generation; None without a rule for its benchmark, or if
    nothing was generated."""
    benchmark = _rule(generation.benchmark, generation.mode)
    if (
        benchmark is None
        or generation.finish == "too-long"
        or (generation.benchmark in BENCHMARKS and generation.task not in benchmark.tasks)
    ):
        return None
    return answer_of(benchmark, generation) is not None


@cache
def _rule(benchmark: str | None, its_mode: str | None) -> Benchmark | None:
    mode: Literal["direct", "cot"] = "cot" if its_mode == "cot" else "direct"
    if benchmark == HELD_OUT:
        return held_out_benchmark({}, _no_prompt, mode=mode)
    if benchmark is not None and (embedded := open_embedded_benchmark(benchmark, mode, with_chance=False)):
        return embedded
    if benchmark is None or benchmark not in BENCHMARKS:
        return None
    try:
        return find_benchmark(benchmark, mode)
    except InputError:  # a mode that the benchmark does not have
        return None


def _no_prompt(task: Task, index: int) -> Prompted:
    raise AssertionError("judging sends no prompt")


def _sample(model: str, generation: Generation) -> Sample:
    targets = (generation.target,) if isinstance(generation.target, str) else generation.target
    return Sample(
        model,
        generation.benchmark,
        generation.mode,
        generation.task,
        generation.index,
        generation.generation,
        targets,
        generation.finish,
        judge(generation),
    )


def _model(stem: str, generation: Generation) -> tuple[str, str]:
    """Return the model at the start of a file's name, and the part after the mode."""
    model, separator, variant = stem.rpartition(f"-{generation.benchmark}-{generation.mode}")
    return (model, variant) if separator else (stem, "")


def _trained(model: str) -> tuple[int, int]:
    """Return a sort key for models by how long they were trained: final, then steps, then others, then
    untrained ones."""
    step = model.removeprefix("step-")
    if model == "final":
        return (3, 0)
    if step != model and step.isdigit():
        return (2, int(step))
    return (0 if model in ("base", "random-init") else 1, int(model == "base"))


def _evenly(items: Sequence[T], count: int) -> list[T]:
    """Return `count` of the items (at most all of them), each from the middle of an equal part."""
    count = min(count, len(items))
    return [items[(2 * index + 1) * len(items) // (2 * count)] for index in range(count)]
