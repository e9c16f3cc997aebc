"""How saved answers are judged if their benchmark is not known by name: answers to rows and files of the
user.

Each line of such a file has its rule: the metric, and for a benchmark described by a file also the
extraction. So answers are judged and compared anywhere, without the rows of their questions. Lines without a
rule, of version 0.1 or of other programs, are compared as texts. Trade-off: about two hundred bytes a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example
from openflan.evaluation.custom_benchmark import extraction_of as own_extraction_of
from openflan.evaluation.custom_benchmark import metric_of
from openflan.evaluation.custom_schema import AnswerRule
from openflan.evaluation.generations import Generation
from openflan.evaluation.held_out import extraction_of
from openflan.evaluation.metrics import METRICS

TEXT_RULE: Mapping[str, Any] = {"metric": "exact_match"}
"""White space at the ends, one final period and case do not count."""


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """The content of such a file: the number of questions of each task (largest index plus one), and its rule
    if its lines have one."""

    sizes: Mapping[str, int]
    rules: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, generations: Iterable[Generation]) -> AnswerRules:
        sizes: dict[str, int] = {}
        rules: dict[str, Mapping[str, Any]] = {}
        for generation in generations:
            sizes[generation.task] = max(sizes.get(generation.task, 0), generation.index + 1)
            if generation.rule is not None:
                rules.setdefault(generation.task, generation.rule)
        return cls(sizes, rules)


def have_same_rules(files: Sequence[AnswerRules]) -> bool:
    """True if no task has one rule in one file and another rule in another file."""
    tasks = {task for file in files for task in file.rules}
    return all(
        len({repr(sorted(file.rules[task].items())) for file in files if task in file.rules}) == 1
        for task in tasks
    )


def benchmark_of_rules(
    name: str, mode: Literal["direct", "cot"], files: Sequence[AnswerRules], split: str = ""
) -> Benchmark:
    """A benchmark that judges the answers of these files; it has no questions.

    Raises InputError for an unknown rule, and for tasks whose answers no single rule can compare.
    """
    sizes: dict[str, int] = {}
    rules: dict[str, Mapping[str, Any]] = {}
    for file in files:
        rules |= {task: rule for task, rule in file.rules.items() if task not in rules}
        for task, size in file.sizes.items():
            sizes[task] = max(sizes.get(task, 0), size)
    checked = {task: _checked(name, task, rules.get(task, TEXT_RULE)) for task in sizes}
    metrics = {task: metric_of(rule.metric) for task, rule in checked.items()}
    if len({metric.compare for metric in metrics.values()}) > 1:
        raise InputError(
            f"the tasks of {name} are judged by different rules: compare them in files of their own"
        )
    extracts = {
        task: own_extraction_of(rule, mode) if rule.extraction is not None else extraction_of(mode)
        for task, rule in checked.items()
    }
    return Benchmark(
        name=name,
        mode=mode,
        tasks={task: BenchmarkTask(size, metric=metrics[task].own) for task, size in sizes.items()},
        examples=_no_examples,
        extract=partial(_extract, extracts),
        compare=next(iter(metrics.values())).compare,
        averages={"average": tuple(sizes)},
        max_tokens=1,
        prompt_version="",
        metrics={beside: measure for metric in metrics.values() for beside, measure in metric.beside.items()},
        corpus_metrics={name: one for metric in metrics.values() for name, one in metric.corpus.items()},
        corpus_of=next((metric.own for metric in metrics.values() if metric.corpus), ""),
        split=split,
        cluster=partial(_cluster, {task: rule.question_of or task for task, rule in checked.items()})
        if any(rule.question_of for rule in checked.values())
        else None,
        rules={task: asdict(rule) for task, rule in checked.items()},
    )


def _checked(name: str, task: str, value: Mapping[str, Any]) -> AnswerRule:
    try:
        rule = _RULE.validate_python(dict(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{name}, {task}: the `rule` of its answers is not understood: `{key}`: {first['msg']}"
        ) from None
    if rule.extraction is None and rule.metric not in METRICS:
        raise InputError(
            f"{name}, {task}: the `rule` of its answers names the metric `{rule.metric}`; there are "
            f"{', '.join(METRICS)}"
        )
    return rule


def _extract(extracts: Mapping[str, Any], task: str, generation: str) -> str | None:
    answer: str | None = extracts[task](task, generation)
    return answer


def _cluster(question_of: Mapping[str, str], task: str, index: int) -> str:
    return f"{question_of[task]}/{index}"


def _no_examples(task: str) -> Sequence[Example]:
    raise InputError(f"{task}: the questions are not at hand, only the answers to them")


_RULE: TypeAdapter[AnswerRule] = TypeAdapter(AnswerRule)
