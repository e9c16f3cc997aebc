"""GSM8K: 1,319 grade-school problems, eight exemplars with rationales (Wei et al. 2022) or with the answers
alone.

The train split is part of the paper's mixture, so this is no held-out task there (83.9 with
self-consistency). Prompts are `Q:` and `A:` blocks with a blank line between, rationales ending in "The
answer is N."; the direct form has only that sentence, as in the same paper. Zero-shot prompts with rationales
have the trigger phrase. Score: numeric equality of the number after the last answer phrase; in the direct
form an answer may also be what the text starts with. "The last number in the text" is no rule of ours:
whatever is written after the answer would win.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example, number_of_shots
from openflan.evaluation.extract import (
    after_last_phrase,
    cut_at_next_question,
    first_sentence,
    starts_with_number,
    without_leading_labels,
)
from openflan.evaluation.gsm8k_exemplars import gsm8k_exemplars
from openflan.evaluation.local_files import locate
from openflan.evaluation.metrics import same_number
from openflan.evaluation.mgsm_languages import ENGLISH
from openflan.evaluation.numbers import canonical, number
from openflan.json_files import parse_json
from openflan.tasks.lines import Lines

SHOTS = 8
QUESTIONS = 1319
TRIGGER = "Let's think step by step."
STOP = ("\nQ:",)
ANSWER_PHRASES = (*ENGLISH, "####")
"""The last is how the data itself marks an answer: a model trained on it writes it."""

LABELS = ("A:", "Answer:")
"""What the prompt ends with, and models write again before a direct answer."""

MAX_TOKENS = {"direct": 32, "cot": 512}
"""The longest worked answer of the test split has 314 tokens under T5's vocabulary."""

_CONCLUSION = re.compile(r"\bThe answer is ", re.IGNORECASE)


def gsm8k_benchmark(
    mode: Literal["direct", "cot"] = "cot", data: Path | None = None, *, shots: int | None = None
) -> Benchmark:
    """The benchmark; `data` is the folder with test.jsonl or the parent of `gsm8k/`, and may be left out for
    scoring.

    `shots` uses the first exemplars only; 0 needs none, and adds the trigger phrase in mode `cot`.
    """
    count = number_of_shots("gsm8k", shots, SHOTS)
    return Benchmark(
        name="gsm8k",
        mode=mode,
        tasks={"gsm8k": BenchmarkTask(QUESTIONS, 0.0, STOP)},
        examples=partial(_examples, data, mode, count),
        extract=_extract_rationale if mode == "cot" else _extract_direct,
        compare=same_number,
        averages={"average": ("gsm8k",)},
        max_tokens=MAX_TOKENS[mode],
        prompt_version=f"gsm8k-{mode}-{count}-shot-1",
        shots=count,
        usual_shots=SHOTS,
    )


def _examples(data: Path | None, mode: str, shots: int, task: str) -> Sequence[Example]:
    if data is None:
        raise InputError("the prompts of gsm8k need its files: give their folder with `--data`")
    folder = locate(data, "gsm8k")
    blocks = _blocks(folder, mode, shots) if shots else []

    def prompt(question: str, count: int) -> str:
        end = f"A: {TRIGGER}" if mode == "cot" and not count else "A:"
        return "\n\n".join([*blocks[:count], f"Q: {question}\n{end}"])

    return [
        Example(task, index, prompt(question, shots), answer, shots, fewer=partial(prompt, question))
        for index, (question, answer) in enumerate(_rows(folder / "test.jsonl"))
    ]


def _blocks(folder: Path, mode: str, shots: int) -> list[str]:
    exemplars = gsm8k_exemplars(folder)
    if len(exemplars) < shots:
        raise InputError(
            f"{folder}: found {len(exemplars)} exemplars for gsm8k, expected {shots}: complete their "
            "file, or ask for fewer with `--shots`"
        )
    return [
        f"Q: {question}\nA: {answer if mode == 'cot' else _conclusion(answer)}"
        for question, answer in exemplars[:shots]
    ]


def _conclusion(answer: str) -> str:
    """The last sentence of a worked answer, which states its result."""
    *_, last = [None, *_CONCLUSION.finditer(answer)]
    if last is None:
        raise InputError(f'an exemplar of gsm8k does not conclude with "The answer is ...": {answer[-60:]!r}')
    return answer[last.start() :]


def _rows(path: Path) -> list[tuple[str, str]]:
    """Question and final answer by line."""
    rows = []
    for place, line in enumerate(Lines(path), 1):
        row = parse_json(line, f"{path}:{place}")
        if not isinstance(row, dict) or not all(
            isinstance(row.get(key), str) for key in ("question", "answer")
        ):
            raise InputError(
                f'{path}:{place} is no problem of GSM8K: expected {{"question", "answer"}}, both texts'
            )
        _, mark, answer = row["answer"].rpartition("#### ")
        question = row["question"].strip()
        if not mark:
            raise InputError(f"{path}:{place}: the answer has no `#### N` at its end: fetch the file again")
        rows.append((question, answer.strip()))
    return rows


def _extract_rationale(task: str, generation: str) -> str | None:
    found = after_last_phrase(cut_at_next_question(generation, ("Q:", "Question:")), ANSWER_PHRASES)
    return None if found is None else _number(found)


def _extract_direct(task: str, generation: str) -> str | None:
    text = cut_at_next_question(generation, ("Q:", "Question:"))
    found = after_last_phrase(text, ANSWER_PHRASES)
    if found is None:
        text = without_leading_labels(text, LABELS)
        found = text if starts_with_number(text) else None
    return None if found is None else _number(found)


def _number(text: str) -> str | None:
    value = number(first_sentence(text))
    return None if value is None else canonical(value)
