"""The held-out tasks of an embedded world as two benchmarks, grouped by the kind of generalisation they test.

`microflan` is the test set, looked at once a reported run; `microflan-dev` is for every choice that is made
on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.held_out import held_out_benchmark
from openflan.tasks.microflan import microflan_tasks
from openflan.tasks.microflan.names import SHIPPED, named
from openflan.tasks.task import Task
from openflan.templates.render import Rendered, Renderer
from openflan.templates.style import Style
from openflan.templates.wording import packaged_wordings, wordings_for

SEED = 2_210_11416
"""Evaluation prompts are drawn from a seed of their own, so that every model is asked the same."""


NAMES: Mapping[str, Literal["test", "dev"]] = {"microflan": "test", "microflan-dev": "dev"}
"""The benchmarks by name, and the set that each asks."""


def microflan_benchmark(
    mode: Literal["direct", "cot"],
    *,
    name: str = "microflan",
    world: int = SHIPPED,
    shots: int = 0,
    limit: int | None = None,
    with_chance: bool = True,
) -> Benchmark:
    """Held-out tasks of the world of a seed, the first `limit` rows of each; `cot` keeps those with
    rationales. `averages` has one mean a kind beside the overall one. `with_chance=False` is for judging
    alone: chance needs every row to be made."""
    wanted = {
        key: task
        for key, task in microflan_tasks(world).items()
        if task.held_out and task.split == NAMES[name]
    }
    tasks = {key: task for key, task in wanted.items() if mode == "direct" or "rationale" in task.fields}
    style = Style(few_shot=shots > 0, rationale=mode == "cot", options=True)
    renderers = {
        key: Renderer(task, wordings_for(key, task.fields, packaged_wordings()))
        for key, task in tasks.items()
    }

    def render(task: Task, index: int) -> Rendered:
        return renderers[task.name].render(index, style, SEED, index, shots=shots or None, unlike=True)

    plain = held_out_benchmark(
        tasks, render, limit=limit, mode=mode, name=named(name, world), with_chance=with_chance
    )
    kinds = dict.fromkeys(str(task.held_out) for task in tasks.values())
    groups = {kind: tuple(key for key, task in tasks.items() if task.held_out == kind) for kind in kinds}
    # Without exemplars the version is that of the first release, so that its scores stay comparable.
    version = f"{plain.name}-{mode}-{shots}-shot-1" if shots else plain.prompt_version
    return replace(
        plain,
        averages={"average": tuple(tasks), **groups},
        prompt_version=version,
        shots=shots,
        usual_shots=0,
        rules={},
    )
