"""The evaluations of a study: opened once, described in a file, and answers kept as one character a question.

Decision: a finished cell keeps which questions it got right, not only its scores, so that two cells are
compared question by question without their models. `evaluations.json` says which task a character belongs to.
Price: some thousand characters a cell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.decoding import Decoding
from openflan.evaluation.record import evaluate_into, generations_path
from openflan.evaluation.score_saved import judge_all, read_saved
from openflan.evaluation.selection import open_benchmark
from openflan.inference.protocol import InferenceEngine
from openflan.run_folder import Run
from openflan.studies.study_schema import Ask
from openflan.tasks.task import chosen

RIGHT, WRONG, ABSENT = "1", "0", "-"


@dataclass(frozen=True, slots=True)
class Layout:
    """The questions of an evaluation: tasks with their numbers of questions and chances, groups of tasks, and
    a hash of all prompts and targets."""

    benchmark: str
    sizes: Mapping[str, int]
    chances: Mapping[str, float]
    groups: Mapping[str, tuple[str, ...]]
    prompts: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def open_evaluation(ask: Ask, data: Path | None) -> tuple[Benchmark, list[str]]:
    """The benchmark and those of its tasks that are asked; by likelihood only tasks all of whose questions
    have options.

    Raises InputError as `open_benchmark` does, and if no task is left.
    """
    benchmark = open_benchmark(ask.benchmark, ask.mode, data, shots=ask.shots, limit=ask.limit)
    tasks = chosen(benchmark.tasks, ask.tasks)
    if ask.likelihood:
        tasks = [
            name
            for name in tasks
            if all(example.options for example in benchmark.examples(name)[: ask.limit])
        ]
    if not tasks:
        raise InputError(
            f"no task of {ask.benchmark} {ask.mode} is left to ask: "
            f"{', '.join(ask.tasks)}{' by likelihood' if ask.likelihood else ''}"
        )
    return benchmark, tasks


def layout_of(ask: Ask, data: Path | None) -> Layout:
    """Render every prompt once, so that missing data is found before any cell runs."""
    benchmark, tasks = open_evaluation(ask, data)
    digest, sizes = hashlib.sha256(), {}
    for name in tasks:
        examples = benchmark.examples(name)[: ask.limit]
        sizes[name] = 1 + max(example.index for example in examples)
        for example in examples:
            digest.update(
                repr((name, example.index, example.prompt, example.target, example.options)).encode()
            )
    groups = {
        group: tuple(name for name in over if name in sizes) for group, over in benchmark.averages.items()
    }
    chances = {name: benchmark.tasks[name].chance for name in tasks}
    return Layout(
        benchmark.name,
        sizes,
        chances,
        {group: over for group, over in groups.items() if over},
        digest.hexdigest()[:16],
    )


def ask_model(
    ask: Ask, engine: InferenceEngine, run: Run, label: str, data: Path | None
) -> str | list[float | None]:
    """Asks what is not yet answered in `run`; the answers as a character a question, or as numbers where a
    measure is graded."""
    benchmark, tasks = open_evaluation(ask, data)
    decoding = Decoding(likelihood=ask.likelihood)
    evaluate_into(
        run,
        label,
        benchmark,
        engine,
        limit=ask.limit,
        subset=tasks,
        max_tokens=ask.max_tokens,
        decoding=decoding,
    )
    saved = read_saved(generations_path(run, label, benchmark, decoding), benchmark)
    values_by_question = {question: one.value for question, (_, one) in judge_all(saved).items()}
    sizes = {
        name: 1 + max(example.index for example in benchmark.examples(name)[: ask.limit]) for name in tasks
    }
    values = [values_by_question.get((name, index)) for name, size in sizes.items() for index in range(size)]
    if any(value not in (None, 0.0, 1.0) for value in values):
        return [None if value is None else round(value, 4) for value in values]
    return "".join(ABSENT if value is None else RIGHT if value else WRONG for value in values)


def unpacked(answers: str | list[float | None]) -> list[float]:
    """Numbers in 0..1, a question each; not a number where none was asked."""
    if isinstance(answers, str):
        return [float("nan") if mark == ABSENT else float(mark) for mark in answers]
    return [float("nan") if value is None else value for value in answers]
