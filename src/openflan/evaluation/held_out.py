"""Tasks that were kept out of training, as a benchmark.

What is sent comes from a callable. Answers are compared after white space at the ends, one final period and
case are dropped: a rendered prompt asks for an option's text, not for a label in one exact spelling. A task's
`metric` may ask for another measure: ROUGE-L stands beside that accuracy and is the task's own score; numbers
and spans (`squad`) are compared by rules of their own, so such tasks form a benchmark of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Literal, Protocol

from openflan.errors import InputError, did_you_mean
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example
from openflan.evaluation.extract import after_last_phrase
from openflan.evaluation.metrics import METRICS, Metric
from openflan.tasks.task import Row, Task
from openflan.templates.formats import OptionStyle

ANSWER_PHRASES = (r"\banswer\s+is\b:?",)
MAX_TOKENS = {"direct": 64, "cot": 256}

PROMPT_SEED = 2_210_11416
"""The seed of the wordings and exemplars of evaluation prompts: not a run's own, so that every model gets
equal prompts."""


class Prompted(Protocol):
    """A row as it is sent: the prompt and the answer wanted. `exemplars`, where there are any, are counted;
    an `option_style` says how options are answered."""

    @property
    def inputs(self) -> str: ...

    @property
    def answer(self) -> str: ...


def held_out_benchmark(
    tasks: Mapping[str, Task],
    render: Callable[[Task, int], Prompted],
    *,
    limit: int | None = None,
    mode: Literal["direct", "cot"] = "direct",
    name: str = "held-out",
    fewer: Callable[[Task, int, int], str] | None = None,
    metrics: Mapping[str, str] | None = None,
    with_chance: bool = True,
) -> Benchmark:
    """The first `limit` rows of each task (all of them if None), prompted by `render(task, index)`.

    A task's chance is the mean over those rows of 100 / number of `options`, 0 for a row without. Where a row
    has `references`, each of them counts as right beside the rendered answer. In mode `cot` the answer is
    what follows the last "answer is". `fewer(task, index, count)` is the prompt with the first `count`
    exemplars. `metrics` names measures by task, in place of the tasks' own. `with_chance=False` reads no row
    for chance, which then is 0. Raises InputError for an unknown measure, and for tasks whose answers are not
    compared by one rule.
    """
    own = {key: _metric((metrics or {}).get(key, task.metric), key) for key, task in tasks.items()}
    rules = {metric.compare for metric in own.values()} or {METRICS["exact_match"].compare}
    if len(rules) > 1:
        raise InputError(
            f"the tasks of {name} are compared by {len(rules)} rules: evaluate those with numbers or "
            "spans as answers by themselves"
        )
    sizes = {
        key: len(task.rows) if limit is None else min(limit, len(task.rows)) for key, task in tasks.items()
    }
    return Benchmark(
        name=name,
        mode=mode,
        tasks={
            key: BenchmarkTask(
                sizes[key], _chance(task, sizes[key]) if with_chance else 0.0, metric=own[key].own
            )
            for key, task in tasks.items()
        },
        examples=partial(_examples, tasks, sizes, render, fewer, mode == "direct"),
        extract=extraction_of(mode),
        compare=rules.pop(),
        averages={"average": tuple(tasks)},
        max_tokens=MAX_TOKENS[mode],
        prompt_version=f"{name}-{mode}-1",
        metrics={beside: measure for metric in own.values() for beside, measure in metric.beside.items()},
        corpus_metrics={name: measure for metric in own.values() for name, measure in metric.corpus.items()},
        corpus_of=next((metric.own for metric in own.values() if metric.corpus), ""),
        rules={key: {"metric": (metrics or {}).get(key, task.metric)} for key, task in tasks.items()},
    )


def extraction_of(mode: Literal["direct", "cot"]) -> Callable[[str, str], str | None]:
    """The function that finds the answer in a generation: in mode `cot` the text after the last "answer is",
    else all of it."""
    return _extract_rationale if mode == "cot" else _extract_direct


def _metric(name: str, task: str) -> Metric:
    if name not in METRICS:
        raise InputError(
            f"{task}: there is no metric "
            f"`{name}`{did_you_mean(name, METRICS) or '; there are ' + ', '.join(METRICS)}"
        )
    METRICS[name].check_library()
    return METRICS[name]


def _chance(task: Task, rows: int) -> float:
    return fmean(_row_chance(task.rows[index]) for index in range(rows)) if rows else 0.0


def _row_chance(row: Row) -> float:
    options = row.get("options")
    return 100 / len(options) if options and not isinstance(options, str) else 0.0


def _examples(
    tasks: Mapping[str, Task],
    sizes: Mapping[str, int],
    render: Callable[[Task, int], Prompted],
    fewer: Callable[[Task, int, int], str] | None,
    direct: bool,
    key: str,
) -> Sequence[Example]:
    task = tasks[key]
    return [
        _example(
            task, key, index, render(task, index), partial(fewer, task, index) if fewer else None, direct
        )
        for index in range(sizes[key])
    ]


def _example(
    task: Task, key: str, index: int, prompted: Prompted, fewer: Callable[[int], str] | None, direct: bool
) -> Example:
    references = task.rows[index].get("references", ())
    other_answers = (
        tuple(reference for reference in references if reference != prompted.answer)
        if not isinstance(references, str)
        else (references,)
    )
    target = (prompted.answer, *other_answers) if other_answers else prompted.answer
    options = task.rows[index].get("options", ()) if direct else ()
    between = "" if prompted.inputs[-1:].isspace() else " "
    listed = (
        ()
        if isinstance(options, str)
        else tuple(
            f"{between}{answer}" for answer in _answers(options, getattr(prompted, "option_style", None))
        )
    )
    return Example(
        key,
        index,
        prompted.inputs,
        target,
        len(getattr(prompted, "exemplars", ())),
        fewer=fewer,
        options=listed,
        conversation=getattr(prompted, "conversation", None),
    )


def _answers(options: Sequence[str], style: OptionStyle | None) -> list[str]:
    """The answer for each option: its marker if the prompt marks options and the right answer is a marker,
    else its text."""
    return [style.answer(options, option) for option in options] if style else list(options)


def _extract_rationale(task: str, generation: str) -> str | None:
    return after_last_phrase(generation, ANSWER_PHRASES)


def _extract_direct(task: str, generation: str) -> str | None:
    return generation.strip() or None
