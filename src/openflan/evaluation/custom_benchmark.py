"""A benchmark of one's own, described by a YAML file: `openflan evaluate MODEL --benchmark capitals.yaml`.

    name: capitals
    data: capitals.jsonl              # .jsonl, or .csv with a header; several tasks: {europe: europe.csv,
    asia: asia.csv}
    instruction: Answer the question. # stands once, above the exemplars
    prompt: "Q: {question}\\nA:"       # {field} is a row's field, {options} the options as `(A) ...`; ends
    where the answer begins
    target: answer                    # the field with the right answer, or with a list of which any one
    counts
    options: choices                  # the field with the options: a list, in CSV separated by `|`; sets
    chance as well
    metric: exact_match               # exact_match, accuracy, letter, numeric, squad (with f1), rouge_l
    extraction: first_line            # what of a direct answer counts: text, first_line (default), letter,
    number
    answer_phrases: [the answer is]   # with rationales the answer follows the last of these
    exemplars: worked.jsonl           # rows as in data, for few-shot prompts
    shots: 3                          # how many of them, the first ones; 0 if absent
    rationale: explanation            # the field of the exemplars' rationales, for `--mode cot`
    trigger: Let's think step by step.
    stop: ["\\nQ:"]
    max_tokens: 64
    chance: 25

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

    Rows are read at once. Raises InputError for a key that is unknown, missing or of the wrong kind, a
    pattern that is none, a file that is not there, a row that lacks a field, fewer exemplars than shots, and
    rationales that are asked for where exemplars have none.
    """
    own = read_custom_benchmark(path)
    tasks = {name: custom_rows(file, own) for name, file in own.files(path.parent).items()}
    exemplars = _exemplars(path, own, mode, shots)
    pattern = Pattern.parse(own.prompt)
    instruction = f"{own.instruction.strip()}\n\n" if own.instruction else ""
    blocks = [f"{_filled(pattern, row)} {_answered(row, own, mode)}" for row in exemplars]

    def prompt(row: CustomRow, count: int) -> str:
        end = f" {own.trigger}" if mode == "cot" and not count else ""
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
                options=_options(row, own, mode),
            )
            for index, row in enumerate(tasks[task])
        ]

    metric = metric_of(own.metric)
    return Benchmark(
        name=own.name,
        mode=mode,
        tasks={
            name: BenchmarkTask(len(rows), _chance(own, rows), tuple(own.stop), metric=metric.own)
            for name, rows in tasks.items()
        },
        examples=examples,
        extract=extraction_of(own, mode),
        compare=metric.compare,
        averages={"average": tuple(tasks)},
        max_tokens=own.max_tokens or MAX_TOKENS[mode],
        prompt_version=f"{own.name}-{mode}-{len(blocks)}-shot-{own.fingerprint}",
        shots=len(blocks),
        usual_shots=own.shots,
        rules=dict.fromkeys(tasks, own_rule(own)),
        metrics=metric.beside,
    )


def is_custom_benchmark(name: str) -> bool:
    """Whether a benchmark is named by a file."""
    return name.endswith((".yaml", ".yml"))


def _same_letter(answer: str, target: str) -> bool:
    return answer == target.strip(" ().").upper()


_LETTER = Metric(_same_letter)


def metric_of(name: str) -> Metric:
    """The measure that a benchmark's file names: one of METRICS, or `letter`."""
    return METRICS.get(name, _LETTER)


def extraction_of(own: CustomBenchmark | AnswerRule, mode: str) -> Callable[[str, str], str | None]:
    """What of a generation is the answer, given the task and the text."""
    return partial(_extract, own, mode)


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
            f"{row.place}: lacks `{error.args[0]}`, which the prompt shows; it has {', '.join(row.fields)}"
        ) from None


def _options(row: CustomRow, own: CustomBenchmark, mode: str) -> tuple[str, ...]:
    """What may follow the prompt, as exemplars have it: letters where they are asked for, otherwise the
    options' texts; nothing with rationales."""
    if mode == "cot":
        return ()
    return tuple(
        f" ({letter})" if own.metric == "letter" else f" {option}"
        for letter, option in zip(LETTERS, row.options, strict=False)
    )


def _answered(row: CustomRow, own: CustomBenchmark, mode: str) -> str:
    answer = row.target if isinstance(row.target, str) else row.target[0]
    if own.metric == "letter":
        answer = f"({answer})"
    if mode == "direct":
        return answer
    rationale = row.fields.get(own.rationale or "", "")
    if not rationale.strip():
        raise InputError(
            f"{row.place}: an exemplar without rationale: `--mode cot` needs the field `{own.rationale}` "
            "in each of them, or `--shots 0`"
        )
    return f"{rationale.strip()} {own.conclusion} {answer}."


def _exemplars(path: Path, own: CustomBenchmark, mode: str, shots: int | None) -> list[CustomRow]:
    wanted = own.shots if shots is None else shots
    if not wanted:
        return []
    if own.exemplars is None:
        raise InputError(f"{path}: {wanted} exemplars are asked for and `exemplars:` names no file")
    if mode == "cot" and own.rationale is None:
        raise InputError(
            f"{path}: `--mode cot` with exemplars needs `rationale:`, the field that holds theirs; or "
            "ask without any, `--shots 0`"
        )
    file = path.parent / own.exemplars
    rows = custom_rows(file, own)
    if shots is None and len(rows) < wanted:
        raise InputError(
            f"{file}: {len(rows)} exemplars, and `shots: {wanted}` in {path.name}: add rows, or ask for fewer"
        )
    return rows[: number_of_shots(f"{own.name} ({file})", wanted, len(rows))]


def _chance(own: CustomBenchmark, rows: Sequence[CustomRow]) -> float:
    """What the file says, else from the options of the rows."""
    if own.chance is not None:
        return own.chance
    return fmean(100 / len(row.options) if row.options else 0.0 for row in rows)


def _extract(own: CustomBenchmark | AnswerRule, mode: str, task: str, generation: str) -> str | None:
    text = generation
    for mark in own.stop:
        text = text.partition(mark)[0]
    if own.question_labels:
        text = cut_at_next_question(text, own.question_labels)
    phrases = tuple(phrase_pattern(phrase) for phrase in own.answer_phrases)
    kind = "letter" if own.metric == "letter" else "number" if own.metric == "numeric" else own.extraction
    if kind == "letter":
        return (
            concluded_letter(text, phrases, LETTERS)
            if mode == "cot"
            else labelled_letter(text, LETTERS, own.answer_labels) or concluded_letter(text, phrases, LETTERS)
        )
    found = after_last_phrase(text, phrases)
    if found is None and mode == "direct":
        found = without_leading_labels(text, own.answer_labels)
    if found is None or not found.strip():
        return None
    if kind == "number":
        value = number(first_sentence(found)) if starts_with_number(found) else None
        return None if value is None else canonical(value)
    if mode == "cot":
        line = first_line(found)
        return line.removesuffix(".").rstrip() or None if line else None
    return first_line(found) if kind == "first_line" else found.strip()
