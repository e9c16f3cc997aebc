"""Makes a benchmark of tasks whose rows are available: prompts in the project's own wordings, answers scored
by each task's own measure.

Wordings and exemplars are drawn from a seed of evaluation, so that every model gets the same prompts. The
measure follows the task: options give accuracy, worked sums give numbers, free text gives ROUGE-L, and
Super-NaturalInstructions gives ROUGE-L throughout, as its own evaluation does; everything else gives exact
match. Exact match stands beside ROUGE-L as `accuracy`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.held_out import PROMPT_SEED, held_out_benchmark
from openflan.tasks.task import Task
from openflan.templates.render import Rendered, Renderer, TokenBudget
from openflan.templates.style import Style
from openflan.templates.wording import WordingSet, packaged_wordings, wordings_for

FREE_TEXT = frozenset(
    {
        "summarization",
        "translation",
        "question generation",
        "title generation",
        "structured data to text",
        "code generation",
        "context generation",
        "explanation generation",
        "dialog next turn prediction",
        "language modeling",
    }
)
"""Categories of the catalogue in which many answers are right and few are the reference."""

NUMBERS = frozenset({"grade school math word problems", "mathematical qa"})


def packaged_wordings_for(name: str, fields: frozenset[str]) -> WordingSet:
    """The packaged wordings of a task. Raises InputError as `wordings_for` does."""
    return wordings_for(name, fields, packaged_wordings())


def task_benchmark(
    tasks: Mapping[str, Task],
    mode: Literal["direct", "cot"] = "direct",
    *,
    shots: int = 0,
    limit: int | None = None,
    metrics: Mapping[str, str] | None = None,
    wordings: Callable[[str, frozenset[str]], WordingSet] = packaged_wordings_for,
) -> Benchmark:
    """The first `limit` rows of each task, zero-shot or with `shots` exemplars drawn from its other rows,
    fewer where it has too few others; none asks what the question asks, and each example counts its own.

    `metrics` (by task: accuracy, exact_match, rouge_l, numeric, squad) replaces the choice made by
    `metric_of`. `wordings(name, fields)` are those of a task with such fields, by default the packaged ones.
    Raises InputError for mode `cot` on a task without rationales, and as `held_out_benchmark` does.
    """
    if not tasks:
        raise InputError("no task to evaluate: name at least one")
    for name, task in tasks.items():
        if mode == "cot" and "rationale" not in task.fields:
            raise InputError(
                f"{name} has no rationales, so none can be shown or asked for: use `--mode direct`"
            )
    renderers = {name: Renderer(task, wordings(name, task.fields)) for name, task in tasks.items()}

    style = Style(few_shot=shots > 0, rationale=mode == "cot", options=True)

    def render(task: Task, index: int, room: TokenBudget | None = None) -> Rendered:
        return renderers[task.name].render(
            index, style, PROMPT_SEED, index, shots=shots or None, token_budget=room, unlike=True
        )

    def fewer(task: Task, index: int, count: int) -> str:
        rendered = render(task, index)
        while (
            len(rendered.exemplars) > count
        ):  # one character less costs the last exemplar, and nothing else of the prompt
            rendered = render(task, index, TokenBudget(len(rendered.inputs) - 1, len))
        return rendered.inputs

    chosen = {name: metric_of(task) for name, task in tasks.items()} | dict(metrics or {})
    name = next(iter(tasks)).replace("/", "-") if len(tasks) == 1 else "held-out"
    benchmark = held_out_benchmark(
        tasks, render, limit=limit, mode=mode, name=name, fewer=fewer if shots else None, metrics=chosen
    )
    return replace(benchmark, prompt_version=f"{name}-{mode}-{shots}-shot-1", shots=shots, usual_shots=0)


def metric_of(task: Task) -> str:
    """The measure of a task: the one it states, else by its rows and category."""
    if task.metric != "exact_match":
        return task.metric
    if "options" in task.fields:
        return "accuracy"
    if task.category in NUMBERS:
        return "numeric"
    return "rouge_l" if task.submixture == "niv2" or task.category in FREE_TEXT else "exact_match"
