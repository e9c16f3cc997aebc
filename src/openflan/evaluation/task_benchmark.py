"""Makes a benchmark of tasks whose rows are available: prompts in the project's own wordings, answers scored
by each task's own measure.

Wordings and exemplars are drawn from a seed of evaluation, so that every model gets the same prompts. The
measure follows the task: options give accuracy, worked sums give numbers, translation gives BLEU and chrF,
other free text gives ROUGE-L; everything else gives exact match. Exact match stands beside ROUGE-L as
`accuracy`.

Tasks of Super-NaturalInstructions are scored as its own script scores them: ROUGE-L with stemming where all
is English, the best reference of each question, and beside the means by task one mean for each category, in
which every question weighs the same. Its other tasks, for which the script takes a tokenizer of GPT-2, have
our ROUGE-L without a stemmer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.held_out import PROMPT_SEED, held_out_benchmark
from openflan.tasks.task import Task, name_of
from openflan.templates.render import Rendered, Renderer, TokenBudget
from openflan.templates.style import Style
from openflan.templates.wording import WordingSet, packaged_wordings, wordings_for

FREE_TEXT = frozenset(
    {
        "summarization",
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
    all_wordings: bool = False,
) -> Benchmark:
    """The first `limit` rows of each task, zero-shot or with `shots` exemplars drawn from its other rows,
    fewer where it has too few others; none asks what the question asks, and each example counts its own.

    `metrics` (by task, one of METRICS) replaces the choice made by `metric_of`. `wordings(name, fields)` are
    those of a task with such fields, by default the packaged ones. With `all_wordings` every question is
    asked once with each wording that suits the mode and the number of exemplars; each wording is a task of
    its own, `TASK.WORDING`, with the same exemplars. Raises InputError for mode `cot` on a task without
    rationales, for `all_wordings` where no task has two wordings, and as `held_out_benchmark` does.
    """
    if not tasks:
        raise InputError("no task to evaluate: name at least one")
    for name, task in tasks.items():
        if mode == "cot" and "rationale" not in task.fields:
            raise InputError(
                f"{name} has no rationales, so none can be shown or asked for: use `--mode direct`"
            )
    style = Style(few_shot=shots > 0, rationale=mode == "cot", options=True)
    sets = {name: wordings(name, task.fields) for name, task in tasks.items()}
    renderers = {name: Renderer(task, sets[name]) for name, task in tasks.items()}
    asked, parts = dict(tasks), dict[str, tuple[str, str]]()
    if all_wordings:
        asked, renderers, parts = _by_wording(tasks, sets, style, shots)

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

    by_task = {name: metric_of(task) for name, task in tasks.items()} | dict(metrics or {})
    chosen = {key: by_task[parts[key][0] if key in parts else key] for key in asked}
    name = next(iter(tasks)).replace("/", "-") if len(tasks) == 1 else "held-out"
    if all_wordings:
        name = f"{name}-all-wordings"
    benchmark = held_out_benchmark(
        asked, render, limit=limit, mode=mode, name=name, fewer=fewer if shots else None, metrics=chosen
    )
    benchmark = replace(benchmark, prompt_version=f"{name}-{mode}-{shots}-shot-1", shots=shots, usual_shots=0)
    if not all_wordings:
        return replace(benchmark, question_averages=_categories(tasks))
    return replace(
        benchmark,
        wordings=parts,
        # One question in several wordings is no independent evidence.
        cluster=lambda key, index: f"{parts[key][0]}/{index}",
        rules={key: {**rule, "question_of": parts[key][0]} for key, rule in benchmark.rules.items()},
    )


def _by_wording(
    tasks: Mapping[str, Task], sets: Mapping[str, WordingSet], style: Style, shots: int
) -> tuple[dict[str, Task], dict[str, Renderer], dict[str, tuple[str, str]]]:
    """Tasks and renderers by task with its wording, and the two parts of each name."""
    asked, renderers, wordings = dict[str, Task](), dict[str, Renderer](), dict[str, tuple[str, str]]()
    for name, task in tasks.items():
        for wording in Renderer(task, sets[name]).wordings(style, inside=style.few_shot and not shots):
            key = name_of(task.submixture, f"{name.partition('/')[2]}.{wording.id}")
            asked[key] = replace(task, name=key)
            renderers[key] = Renderer(task, replace(sets[name], wordings=(wording,)))
            wordings[key] = (name, wording.id)
    if len(wordings) == len(tasks):
        raise InputError(
            f"{', '.join(tasks)}: one wording in this mode, so that there is no other one to compare it "
            "with: leave `--wordings all` out"
        )
    return asked, renderers, wordings


def metric_of(task: Task) -> str:
    """The measure of a task: the one it states, else by its rows and category."""
    if task.metric != "exact_match":
        return task.metric
    if "options" in task.fields:
        return "accuracy"
    if task.category in NUMBERS:
        return "numeric"
    if task.submixture == "niv2":
        return "rouge_l_stemmed" if set(task.languages) == {"English"} else "rouge_l"
    if task.category == "translation":
        return "translation"
    return "rouge_l" if task.category in FREE_TEXT else "exact_match"


def _categories(tasks: Mapping[str, Task]) -> dict[str, tuple[str, ...]]:
    """The tasks of Super-NaturalInstructions by category, as its script names them, and all of them; nothing
    for one task alone."""
    own = [name for name, task in tasks.items() if task.submixture == "niv2"]
    if len(own) < 2:
        return {}
    by_category: dict[str, list[str]] = {}
    for name in own:
        by_category.setdefault("_".join(tasks[name].category.split()), []).append(name)
    return {f"category {category}": tuple(names) for category, names in sorted(by_category.items())} | {
        "all questions": tuple(own)
    }
