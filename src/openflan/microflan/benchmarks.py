"""The benchmarks of the embedded source `microflan`; two of them are its held-out tasks, grouped by the kind
of generalisation that they test.

`microflan` is the test set, evaluated once for a reported run; `microflan-dev` is for every choice that is
made before that. `microflan-probes` is in `probes.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from openflan.embedded import MICROFLAN, EmbeddedBenchmark
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.held_out import PROMPT_SEED, held_out_benchmark
from openflan.microflan.probes import NAME as PROBES
from openflan.microflan.probes import microflan_probes
from openflan.microflan.world import microflan_tasks
from openflan.tasks.task import Task
from openflan.templates.render import Rendered, Renderer
from openflan.templates.style import Style
from openflan.templates.wording import packaged_wordings, wordings_for

SPLITS: Mapping[str, Literal["test", "dev"]] = {"microflan": "test", "microflan-dev": "dev"}
"""The split of the held-out tasks that each benchmark evaluates."""


def benchmark(
    name: str, seed: int, mode: Literal["direct", "cot"], *, shots: int, limit: int | None, with_chance: bool
) -> Benchmark:
    """The benchmark of that name about the world of a seed; the probes have one mode and no exemplars.

    `limit` is the most rows of a task. `with_chance=False` leaves all chances 0, which judging saved
    generations does not need.
    """
    if name == PROBES:
        return microflan_probes(limit, seed)
    return microflan_benchmark(mode, name=name, world=seed, shots=shots, limit=limit, with_chance=with_chance)


def microflan_benchmark(
    mode: Literal["direct", "cot"],
    *,
    name: str = "microflan",
    world: int = MICROFLAN.seed,
    shots: int = 0,
    limit: int | None = None,
    with_chance: bool = True,
) -> Benchmark:
    """Held-out tasks of the world of a seed, the first `limit` rows of each; mode `cot` keeps the tasks with
    rationales.

    `averages` has one mean for each kind of generalisation beside the overall one. `with_chance=False` leaves
    all chances 0: chance needs every row to be made, and judging saved generations does not need it.
    """
    tasks = {
        key: task
        for key, task in microflan_tasks(world).items()
        if task.held_out and task.split == SPLITS[name] and (mode == "direct" or "rationale" in task.fields)
    }
    style = Style(few_shot=shots > 0, rationale=mode == "cot", options=True)
    renderers = {
        key: Renderer(task, wordings_for(key, task.fields, packaged_wordings()))
        for key, task in tasks.items()
    }

    def render(task: Task, index: int) -> Rendered:
        return renderers[task.name].render(index, style, PROMPT_SEED, index, shots=shots or None, unlike=True)

    plain = held_out_benchmark(
        tasks,
        render,
        limit=limit,
        mode=mode,
        name=EmbeddedBenchmark(MICROFLAN, name, world).label,
        with_chance=with_chance,
    )
    kinds = dict.fromkeys(str(task.held_out) for task in tasks.values())
    groups = {kind: tuple(key for key, task in tasks.items() if task.held_out == kind) for kind in kinds}
    # Without exemplars the version stays that of the first release, so that its scores stay comparable.
    version = f"{plain.name}-{mode}-{shots}-shot-1" if shots else plain.prompt_version
    return replace(
        plain,
        averages={"average": tuple(tasks), **groups},
        prompt_version=version,
        shots=shots,
        usual_shots=0,
        rules={},
    )
