"""A few generations to read, taken evenly over tasks and items so that nobody chose them.

Whether one is right is decided by the benchmark's own extraction and comparison; of a benchmark that openflan
does not know, nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.embedded_benchmarks import open_embedded_benchmark
from openflan.evaluation.generations import Generation, read_generations
from openflan.evaluation.held_out import Prompted, held_out_benchmark
from openflan.evaluation.known_benchmarks import BENCHMARKS, find_benchmark
from openflan.tasks.task import Task

T = TypeVar("T")

HELD_OUT = "held-out"
"""A benchmark out of tasks of the data, all of which are judged by one rule."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A generation with the references of which any one counts; `right` is None where no rule is known."""

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
    """At most `count` generations of the most trained model that has any; raises InputError for a damaged
    file.

    If there are more tasks than `count`, evenly spaced ones are shown.
    """
    model, written = most_trained(folder)
    return tuple(_sample(model, one) for one in spread(written, count))


def unanswered_generations(folder: Path, count: int) -> tuple[Sample, ...]:
    """The same of those in which no answer was found though something was generated; benchmarks without a
    known rule have none."""
    model, written = most_trained(folder)
    return tuple(
        _sample(model, one) for one in spread([one for one in written if answered(one) is False], count)
    )


def most_trained(folder: Path) -> tuple[str, list[Generation]]:
    """The most trained model that has generations, and the first sample of each of its questions; no model
    and nothing if there is none.

    Files are `MODEL-BENCHMARK-MODE.jsonl`. What was answered with another number of exemplars, by samples or
    by likelihood stands in files with more behind the mode, and is taken only of a model that has no other.
    """
    usual: dict[str, list[Generation]] = {}
    others: dict[str, list[Generation]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for _, one in read_generations(path):
            if one.sample == 0:
                model, variant = _model(path.stem, one)
                (others if variant else usual).setdefault(model, []).append(one)
    model = max([*usual, *others], key=_trained, default="")
    return model, usual.get(model) or others.get(model, [])


def spread(generations: Sequence[Generation], count: int) -> list[Generation]:
    """At most `count`, from as many tasks as possible and evenly spaced within each, in the order of
    benchmark, mode, task and index."""
    tasks: dict[tuple[str, str, str], list[Generation]] = {}
    for one in sorted(
        generations, key=lambda one: (one.benchmark or "", one.mode or "", one.task, one.index)
    ):
        tasks.setdefault((one.benchmark or "", one.mode or "", one.task), []).append(one)
    groups = _evenly(list(tasks.values()), count)
    wanted = [0] * len(groups)
    # One more from each task in turn, as long as it has any: short tasks leave their places to the others.
    while sum(wanted) < min(count, sum(map(len, groups))):
        for place, group in enumerate(groups):
            if wanted[place] < len(group) and sum(wanted) < count:
                wanted[place] += 1
    return [one for group, number in zip(groups, wanted, strict=True) for one in _evenly(group, number)]


def judge(one: Generation) -> bool | None:
    """Right or wrong by the rule of its benchmark; None if there is none for it."""
    benchmark = _rule(one.benchmark, one.mode)
    if benchmark is None or (one.benchmark in BENCHMARKS and one.task not in benchmark.tasks):
        return None
    return one.finish != "too-long" and benchmark.correct(one.task, one.generation, one.target)


def answered(one: Generation) -> bool | None:
    """Whether an answer was found in it; None if there is no rule for its benchmark, or nothing was
    generated."""
    benchmark = _rule(one.benchmark, one.mode)
    if (
        benchmark is None
        or one.finish == "too-long"
        or (one.benchmark in BENCHMARKS and one.task not in benchmark.tasks)
    ):
        return None
    return benchmark.extract(one.task, one.generation) is not None


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


def _sample(model: str, one: Generation) -> Sample:
    targets = (one.target,) if isinstance(one.target, str) else one.target
    return Sample(
        model, one.benchmark, one.mode, one.task, one.index, one.generation, targets, one.finish, judge(one)
    )


def _model(stem: str, one: Generation) -> tuple[str, str]:
    """The model that a file's name begins with, and what stands behind the mode."""
    model, named, variant = stem.rpartition(f"-{one.benchmark}-{one.mode}")
    return (model, variant) if named else (stem, "")


def _trained(model: str) -> tuple[int, int]:
    """Orders models by how far they are trained: the final one, then steps, then any other, then untrained
    ones."""
    step = model.removeprefix("step-")
    if model == "final":
        return (3, 0)
    if step != model and step.isdigit():
        return (2, int(step))
    return (0 if model in ("base", "random-init") else 1, int(model == "base"))


def _evenly(items: Sequence[T], count: int) -> list[T]:
    """`count` of the items, or all of them: each from the middle of an equal stretch."""
    count = min(count, len(items))
    return [items[(2 * place + 1) * len(items) // (2 * count)] for place in range(count)]
