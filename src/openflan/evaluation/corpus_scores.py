"""Metrics over all answers of a task together (BLEU, chrF), and what computed a score's metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from openflan.evaluation.benchmark import Benchmark, Target
from openflan.evaluation.generations import Generation
from openflan.evaluation.library_metrics import SIGNATURES
from openflan.evaluation.votes import Vote


def references(target: Target) -> tuple[str, ...]:
    """The right answers, any one of which counts."""
    return (target,) if isinstance(target, str) else target


def corpus_metrics(
    benchmark: Benchmark,
    votes: Mapping[tuple[str, int], Vote],
    questions: Mapping[tuple[str, int], Sequence[Generation]],
) -> dict[str, dict[str, float]]:
    """The benchmark's corpus metrics by task, in percent; of the tasks whose own measure they belong to. A
    question without an answer counts with an empty one."""
    by_task: dict[str, tuple[list[str], list[tuple[str, ...]]]] = {}
    for key, vote in votes.items():
        if benchmark.corpus_metrics and benchmark.tasks[key[0]].metric == benchmark.corpus_of:
            answers, targets = by_task.setdefault(key[0], ([], []))
            answers.append(vote.answer or "")
            targets.append(references(questions[key][0].target))
    return {
        task: {name: metric(answers, targets) for name, metric in benchmark.corpus_metrics.items()}
        for task, (answers, targets) in by_task.items()
    }


def signatures(
    benchmark: Benchmark, questions: Mapping[tuple[str, int], Sequence[Generation]]
) -> dict[str, str]:
    """By metric, the library, version and settings that computed it; where tasks differ, each of theirs."""
    own = {task: benchmark.tasks[task].metric for task, _ in questions}
    signed: dict[str, str] = {}
    for name, signature in SIGNATURES.items():
        tasks = [
            task
            for task, metric in own.items()
            if name == metric or (name in benchmark.corpus_metrics and metric == benchmark.corpus_of)
        ]
        by_text: dict[str, list[str]] = {}
        for task in tasks:
            targets = [references(lines[0].target) for key, lines in questions.items() if key[0] == task]
            by_text.setdefault(signature(targets), []).append(task)
        if len(by_text) == 1:
            signed[name] = next(iter(by_text))
        elif by_text:
            signed[name] = "; ".join(f"{', '.join(names)}: {text}" for text, names in by_text.items())
    return signed
