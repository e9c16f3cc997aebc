"""The quickstart: finetunes the bundled base on the embedded world, offline, and evaluates it on held-out
tasks before and after.

The base was trained on plain text of the world and on no instruction. It is finetuned on instructions, with a
part of that text replayed. A model with random weights is finetuned alike and shows what the instructions
alone teach. All three answer the same held-out questions: without exemplars, with a few, and, where a task
has rationales, with a chain of thought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.groups import gain, group_scores, right_items
from openflan.evaluation.record import evaluate_into, generations_path
from openflan.microflan.benchmarks import microflan_benchmark
from openflan.microflan.world import microflan_tasks
from openflan.models.folder import model_folder
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, write_json

BASE = "embedded:microflan-base"
ITEMS = 8
"""Held-out questions of each task."""

SHOTS = 3

FORMS = {
    "qa": "question",
    "mc": "multiple choice",
    "verify": "yes or no",
    "fill": "completion",
    "state": "whole sentence",
    "correct": "correction",
    "echo": "echo question",
    "reworded": "question",
    "steps": "two-hop question",
}


def quickstart(folder: Path, say: Callable[[str], None], seed: int = 0) -> dict[str, Any]:
    """Runs everything into `folder` and returns what `summary.json` holds; goes on where an earlier call
    stopped. `say` receives a line about each of the four steps. `seed` is that of both finetuning runs; the
    questions stay the same.

    Raises InputError for a folder that holds another seed's run.
    """
    from openflan.models.load_model import random_init
    from openflan.models.quiet import one_thread
    from openflan.training.changes import changed_keys

    run, control = Run(folder), Run(folder / "random-init")
    recipe = load_recipe("microflan", [f"name={folder.name}", f"seed={seed}", f"model.base={BASE}"])
    from_random_weights = recipe.model_copy(
        update={"name": "random-init", "model": random_init(recipe.model)}
    )
    for arm, run_folder in ((recipe, run), (from_random_weights, control)):
        changed_keys(arm, run_folder, allowed=False)
    say("1/4  the bundled base answers held-out questions, before any instruction")
    # The control has the other core all the while. Spawned, as a forked process would share the libraries'
    # threads.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=one_thread) as other_core:
        one_thread()
        from_random = other_core.submit(_finetune, from_random_weights, control, "")
        benchmarks = held_out_benchmarks()
        right = {"base": _ask(run, "base", model_folder(BASE), benchmarks)}
        say("2/4  finetuning on instructions")
        _finetune(recipe, run, "finetune")
        say("3/4  the same questions after finetuning, and for the control with random weights")
        right["final"] = _ask(run, "final", run.model, benchmarks)
        from_random.result()
    right["random-init"] = _ask(run, "random-init", control.model, benchmarks)
    merged, groups = _merged(benchmarks), held_out_groups(benchmarks)
    summary = {
        "before": group_scores(right["base"], merged, groups),
        "after": group_scores(right["final"], merged, groups),
        "random_init": group_scores(right["random-init"], merged, groups),
        "gain": gain(right["base"], right["final"], merged, groups),
    }
    write_json(folder / "summary.json", summary)
    say("4/4  the report")
    return summary


def held_out_benchmarks() -> dict[str, tuple[Benchmark, list[str]]]:
    """The three ways of asking, each with the tasks that are asked so: all of them directly, questions with
    exemplars, steps with a chain of thought."""
    plain, steps = microflan_benchmark("direct", limit=ITEMS), microflan_benchmark("cot", limit=ITEMS)
    few_shot = microflan_benchmark("direct", shots=SHOTS, limit=ITEMS)
    questions = [name for name in few_shot.averages["skill"] if name.endswith("-qa")]
    return {
        "": (plain, list(plain.tasks)),
        "few-shot": (few_shot, questions),
        "chain of thought": (steps, list(steps.tasks)),
    }


def held_out_groups(benchmarks: Mapping[str, tuple[Benchmark, list[str]]]) -> dict[str, list[str]]:
    """Held-out tasks by kind of generalisation, form of the question and way of asking: `skill: completion`
    and so on."""
    tasks = microflan_tasks()
    groups: dict[str, list[str]] = {}
    for way, (_, names) in benchmarks.items():
        for name in names:
            group = f"{tasks[name].held_out}: {FORMS[name.rpartition('-')[2]]}{f', {way}' if way else ''}"
            groups.setdefault(group, []).append(_key(way, name))
    return groups


def _key(way: str, task: str) -> str:
    return f"{way}/{task}" if way else task


def _merged(benchmarks: Mapping[str, tuple[Benchmark, list[str]]]) -> Benchmark:
    """One benchmark with the tasks of all, each named after the way in which it was asked."""
    first = benchmarks[""][0]
    return replace(
        first,
        tasks={
            _key(way, name): benchmark.tasks[name]
            for way, (benchmark, names) in benchmarks.items()
            for name in names
        },
    )


def _finetune(recipe: Recipe, run: Run, label: str) -> None:
    from openflan.training.finetune import finetune

    if not run.model.is_dir():
        finetune(recipe, run, label=label)


def _ask(
    run: Run, label: str, model: Path, benchmarks: Mapping[str, tuple[Benchmark, list[str]]]
) -> dict[tuple[str, int], bool]:
    from openflan.inference.huggingface import HuggingFaceEngine

    engine = HuggingFaceEngine.load(model)
    right: dict[tuple[str, int], bool] = {}
    for way, (benchmark, names) in benchmarks.items():
        evaluate_into(run, label, benchmark, engine, limit=ITEMS, subset=names)
        answered = right_items(generations_path(run, label, benchmark), benchmark)
        right |= {(_key(way, task), index): good for (task, index), good in answered.items()}
    return right
