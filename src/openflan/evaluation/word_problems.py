"""Grade-school word problems as Wei et al. 2022 prompt them: the shared part of GSM8K and SVAMP.

Prompts are `Q:` and `A:` blocks with a blank line between them. Rationales end in "The answer is N."; the
direct form has only that sentence. Zero-shot prompts with rationales have the trigger phrase. Score: numeric
equality of the number after the last answer phrase; a direct answer may also be the number that the text
starts with. The last number of the text does not count without a phrase: anything written after the answer
would win.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example
from openflan.evaluation.extract import (
    after_last_phrase,
    cut_at_next_question,
    first_sentence,
    starts_with_number,
    without_leading_labels,
)
from openflan.evaluation.gsm8k_exemplars import gsm8k_exemplars
from openflan.evaluation.metrics import same_number
from openflan.evaluation.mgsm_languages import ENGLISH
from openflan.evaluation.numbers import canonical, number

NUM_EXEMPLARS = 8
TRIGGER = "Let's think step by step."
STOP = ("\nQ:",)
ANSWER_PHRASES = (*ENGLISH, "####")
"""The last is the mark of GSM8K's own answers: a model trained on it writes it."""

LABELS = ("A:", "Answer:")
"""The end of the prompt, which models repeat before a direct answer."""

MAX_TOKENS = {"direct": 32, "cot": 512}
"""The longest worked answer of GSM8K's test split has 314 tokens under T5's vocabulary."""

_QUESTION_LABELS = ("Q:", "Question:")
_CONCLUSION = re.compile(r"\bThe answer is ", re.IGNORECASE)


def word_problems(
    name: str,
    mode: Literal["direct", "cot"],
    problems: Callable[[], Sequence[tuple[str, str]]],
    exemplar_folder: Callable[[], Path],
    *,
    num_questions: int,
    shots: int,
) -> Benchmark:
    """The benchmark `name`, one task of the same name.

    `problems()` reads questions and answers, `exemplar_folder()` is the folder that may hold the exemplars;
    both are called when prompts are made. `shots` is between 0 and NUM_EXEMPLARS.
    """
    return Benchmark(
        name=name,
        mode=mode,
        tasks={name: BenchmarkTask(num_questions, 0.0, STOP)},
        examples=partial(_examples, problems, exemplar_folder, mode, shots),
        extract=_extract_rationale if mode == "cot" else _extract_direct,
        compare=same_number,
        averages={"average": (name,)},
        max_tokens=MAX_TOKENS[mode],
        prompt_version=f"{name}-{mode}-{shots}-shot-1",
        shots=shots,
        usual_shots=NUM_EXEMPLARS,
    )


def _examples(
    problems: Callable[[], Sequence[tuple[str, str]]],
    exemplar_folder: Callable[[], Path],
    mode: str,
    shots: int,
    task: str,
) -> Sequence[Example]:
    questions = problems()
    blocks = _blocks(task, exemplar_folder(), mode, shots) if shots else []

    def prompt(question: str, num_exemplars: int) -> str:
        end = f"A: {TRIGGER}" if mode == "cot" and not num_exemplars else "A:"
        return "\n\n".join([*blocks[:num_exemplars], f"Q: {question}\n{end}"])

    return [
        Example(task, index, prompt(question, shots), answer, shots, fewer=partial(prompt, question))
        for index, (question, answer) in enumerate(questions)
    ]


def _blocks(name: str, folder: Path, mode: str, shots: int) -> list[str]:
    exemplars = gsm8k_exemplars(folder, name)
    if len(exemplars) < shots:
        raise InputError(
            f"{folder}: found {len(exemplars)} exemplars for {name}, expected {shots}: complete their "
            "file, or use fewer with `--shots`"
        )
    return [
        f"Q: {question}\nA: {answer if mode == 'cot' else _conclusion(name, answer)}"
        for question, answer in exemplars[:shots]
    ]


def _conclusion(name: str, answer: str) -> str:
    """The last sentence of a worked answer, which states its result."""
    *_, last = [None, *_CONCLUSION.finditer(answer)]
    if last is None:
        raise InputError(
            f'an exemplar of {name} does not conclude with "The answer is ...": {answer[-60:]!r}'
        )
    return answer[last.start() :]


def _extract_rationale(task: str, generation: str) -> str | None:
    conclusion = after_last_phrase(cut_at_next_question(generation, _QUESTION_LABELS), ANSWER_PHRASES)
    return None if conclusion is None else _number(conclusion)


def _extract_direct(task: str, generation: str) -> str | None:
    text = cut_at_next_question(generation, _QUESTION_LABELS)
    conclusion = after_last_phrase(text, ANSWER_PHRASES)
    if conclusion is None:
        text = without_leading_labels(text, LABELS)
        conclusion = text if starts_with_number(text) else None
    return None if conclusion is None else _number(conclusion)


def _number(text: str) -> str | None:
    value = number(first_sentence(text))
    return None if value is None else canonical(value)
