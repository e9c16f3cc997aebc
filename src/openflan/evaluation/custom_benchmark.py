"""A benchmark of one's own, described by a YAML file: `openflan evaluate MODEL --benchmark capitals.yaml`.

    name: capitals
    data: capitals.jsonl              # .jsonl, or .csv with a header; or {europe: europe.csv, asia: asia.csv}
    instruction: Answer the question. # once, above the exemplars
    prompt: "Q: {question}\\nA:"       # {field} is a row's field, {options} the options as `(A) ...`
    target: answer                    # the field with the right answer, or with a list of right answers
    options: choices                  # the field with the options: a list, in CSV separated by `|`
    metric: exact_match               # exact_match, accuracy, letter, numeric, squad (with f1), rouge_l;
                                      # rouge_l_stemmed, translation (BLEU, chrF) with the extra `metrics`
    extraction: first_line            # how an answer is found: text, first_line (default), letter, number
    answer_phrases: [the answer is]   # with rationales the answer follows the last of these phrases
    exemplars: worked.jsonl           # rows like those of data, for few-shot prompts
    shots: 3                          # how many exemplars, the first ones; 0 if absent
    rationale: explanation            # the field of the exemplars' rationales, for `--mode cot`
    trigger: Let's think step by step.
    stop: ["\\nQ:"]
    max_tokens: 64
    chance: 25                        # percent; absent: from the options

Only `name`, `data`, `prompt` and `target` are needed. Paths are relative to the file. With metric `letter` a
target may be a letter, or the text of one of the options. Patterns are the project's own `{field}` and no
template language: a row's text is never read as a pattern. Price: no conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Literal

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example, number_of_shots
from openflan.evaluation.custom_rows import CustomRow, custom_rows
from openflan.evaluation.custom_schema import AnswerRule, CustomBenchmark, own_rule, read_custom_benchmark
from openflan.evaluation.extract import (
    after_last_phrase,
    concluded_letter,
    cut_at_next_question,
    first_line,
    first_sentence,
    labelled_letter,
    phrase_pattern,
    starts_with_number,
    without_leading_labels,
)
from openflan.evaluation.metrics import METRICS, Metric
from openflan.evaluation.numbers import canonical, number
from openflan.templates.pattern import Pattern

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_TOKENS = {"direct": 64, "cot": 512}


def custom_benchmark(
    path: Path, mode: Literal["direct", "cot"] = "direct", *, shots: int | None = None
) -> Benchmark:
    """The benchmark that the file describes; `shots` replaces the file's.

    Rows are read at once. Raises InputError for a key that is unknown, missing or of the wrong kind, and for
    an invalid pattern. It is also raised for a missing file, a row that lacks a field, fewer exemplars than
    shots, and missing rationales.
    """
    spec = read_custom_benchmark(path)
    tasks = {name: custom_rows(file, spec) for name, file in spec.files(path.parent).items()}
    exemplars = _exemplars(path, spec, mode, shots)
    pattern = Pattern.parse(spec.prompt)
    instruction = f"{spec.instruction.strip()}\n\n" if spec.instruction else ""
    blocks = [f"{_filled(pattern, row)} {_answered(row, spec, mode)}" for row in exemplars]

    def prompt(row: CustomRow, count: int) -> str:
        end = f" {spec.trigger}" if mode == "cot" and not count else ""
        return instruction + "\n\n".join([*blocks[:count], _filled(pattern, row) + end])

    def examples(task: str) -> Sequence[Example]:
        return [
            Example(
                task,
                index,
                prompt(row, len(blocks)),
                row.target,
                len(blocks),
                fewer=partial(prompt, row),
                options=_options(row, spec, mode),
            )
            for index, row in enumerate(tasks[task])
        ]

    metric = metric_of(spec.metric)
    metric.check_library()
    return Benchmark(
        name=spec.name,
        mode=mode,
        tasks={
            name: BenchmarkTask(len(rows), _chance(spec, rows), tuple(spec.stop), metric=metric.own)
            for name, rows in tasks.items()
        },
        examples=examples,
        extract=extraction_of(spec, mode),
        compare=metric.compare,
        averages={"average": tuple(tasks)},
        max_tokens=spec.max_tokens or MAX_TOKENS[mode],
        prompt_version=f"{spec.name}-{mode}-{len(blocks)}-shot-{spec.fingerprint}",
        shots=len(blocks),
        usual_shots=spec.shots,
        rules=dict.fromkeys(tasks, own_rule(spec)),
        metrics=metric.beside,
        corpus_metrics=metric.corpus,
        corpus_of=metric.own if metric.corpus else "",
    )


def is_custom_benchmark(name: str) -> bool:
    """True if the name of a benchmark is that of a YAML file."""
    return name.endswith((".yaml", ".yml"))


def _same_letter(answer: str, target: str) -> bool:
    return answer == target.strip(" ().").upper()


_LETTER = Metric(_same_letter)


def metric_of(name: str) -> Metric:
    """The measure that a benchmark's file names: one of METRICS, or `letter`."""
    return METRICS.get(name, _LETTER)


def extraction_of(spec: CustomBenchmark | AnswerRule, mode: str) -> Callable[[str, str], str | None]:
    """The function that finds the answer in a generation, given the task and the text."""
    return partial(_extract, spec, mode)


def _filled(pattern: Pattern, row: CustomRow) -> str:
    listed = (
        {
            "options": "\n".join(
                f"({letter}) {option}" for letter, option in zip(LETTERS, row.options, strict=False)
            )
        }
        if row.options
        else {}
    )
    try:
        return pattern.fill({**row.fields, **listed})
    except KeyError as error:
        raise InputError(
            f"{row.position}: lacks `{error.args[0]}`, which the prompt shows; it has {', '.join(row.fields)}"
        ) from None


def _options(row: CustomRow, spec: CustomBenchmark, mode: str) -> tuple[str, ...]:
    """The texts that may follow the prompt, as exemplars have them: letters where the metric is `letter`,
    otherwise the options. Empty in mode `cot`."""
    if mode == "cot":
        return ()
    return tuple(
        f" ({letter})" if spec.metric == "letter" else f" {option}"
        for letter, option in zip(LETTERS, row.options, strict=False)
    )


def _answered(row: CustomRow, spec: CustomBenchmark, mode: str) -> str:
    answer = row.target if isinstance(row.target, str) else row.target[0]
    if spec.metric == "letter":
        answer = f"({answer})"
    if mode == "direct":
        return answer
    rationale = row.fields.get(spec.rationale or "", "")
    if not rationale.strip():
        raise InputError(
            f"{row.position}: an exemplar without rationale: `--mode cot` needs the field `{spec.rationale}` "
            "in each of them, or `--shots 0`"
        )
    return f"{rationale.strip()} {spec.conclusion} {answer}."


def _exemplars(path: Path, spec: CustomBenchmark, mode: str, shots: int | None) -> list[CustomRow]:
    num_shots = spec.shots if shots is None else shots
    if not num_shots:
        return []
    if spec.exemplars is None:
        raise InputError(f"{path}: {num_shots} exemplars are asked for and `exemplars:` names no file")
    if mode == "cot" and spec.rationale is None:
        raise InputError(
            f"{path}: `--mode cot` with exemplars needs `rationale:`, the field that holds theirs; or "
            "ask without any, `--shots 0`"
        )
    file = path.parent / spec.exemplars
    rows = custom_rows(file, spec)
    if shots is None and len(rows) < num_shots:
        raise InputError(
            f"{file}: {len(rows)} exemplars, and `shots: {num_shots}` in {path.name}: add rows, or use fewer"
        )
    return rows[: number_of_shots(f"{spec.name} ({file})", num_shots, len(rows))]


def _chance(spec: CustomBenchmark, rows: Sequence[CustomRow]) -> float:
    """The chance in percent: the file's, else from the number of options of the rows."""
    if spec.chance is not None:
        return spec.chance
    return fmean(100 / len(row.options) if row.options else 0.0 for row in rows)


def _extract(spec: CustomBenchmark | AnswerRule, mode: str, task: str, generation: str) -> str | None:
    text = generation
    for mark in spec.stop:
        text = text.partition(mark)[0]
    if spec.question_labels:
        text = cut_at_next_question(text, spec.question_labels)
    phrases = tuple(phrase_pattern(phrase) for phrase in spec.answer_phrases)
    kind = "letter" if spec.metric == "letter" else "number" if spec.metric == "numeric" else spec.extraction
    if kind == "letter":
        return (
            concluded_letter(text, phrases, LETTERS)
            if mode == "cot"
            else labelled_letter(text, LETTERS, spec.answer_labels)
            or concluded_letter(text, phrases, LETTERS)
        )
    answer = after_last_phrase(text, phrases)
    if answer is None and mode == "direct":
        answer = without_leading_labels(text, spec.answer_labels)
    if answer is None or not answer.strip():
        return None
    if kind == "number":
        value = number(first_sentence(answer)) if starts_with_number(answer) else None
        return None if value is None else canonical(value)
    if mode == "cot":
        line = first_line(answer)
        return line.removesuffix(".").rstrip() or None if line else None
    return first_line(answer) if kind == "first_line" else answer.strip()
