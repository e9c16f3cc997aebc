"""BIG-Bench Hard: 27 files, answered directly or with rationales, three exemplars.

The published prompt of a file is sent byte for byte, then the question. The direct prompt has the same
exemplars with their rationales left out, as in the outputs the benchmark's authors released. Zero-shot
prompts keep the description; their layout in the paper is not known and this is our choice. Answers: after
the last "the answer is" with rationales, the stripped generation without; compared as strings, case included.
Four rows are broken upstream; they stay and can hardly be answered, so that scores run over the same 6,511
questions as everybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from openflan.benchmark_data.bbh import BBH_TASKS, bbh_part, bbh_rows
from openflan.benchmark_data.files import locate, text_of
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example, exactly, number_of_shots
from openflan.evaluation.extract import after_last_phrase, cut_at_next_question, plain, without_leading_labels

TRIGGER = "Let's think step by step."
SHOTS = 3
ANSWER_PHRASES = (r"\bthe\s+answer\s+is\b:?",)
STOP = ("\nQ:",)

LABELS = ("A:", "Answer:")
"""Ends of the prompt, which models repeat before a direct answer."""

MAX_TOKENS = {"direct": 128, "cot": 512}
"""In T5 tokens the longest target has 70 (word_sorting) and all but two of the 81 exemplar rationales stay
under 512."""

_QUESTION = "\n\nQ: "
_RULER = "\n-----\n"
_CONCLUSION = "So the answer is "


def bbh_benchmark(
    mode: Literal["direct", "cot"] = "cot", data: Path | None = None, *, shots: int | None = None
) -> Benchmark:
    """The benchmark; `data` is the folder with its files or the parent of `bbh/`, and may be left out for
    scoring.

    `shots` uses the first exemplars only; 0 sends the description and the question.
    """
    count = number_of_shots("bbh", shots, SHOTS)
    return Benchmark(
        name="bbh",
        mode=mode,
        tasks={name: BenchmarkTask(task.size, task.chance, STOP) for name, task in BBH_TASKS.items()},
        examples=partial(_examples, data, mode, count),
        extract=_extract_rationale if mode == "cot" else _extract_direct,
        compare=exactly,
        averages={
            "average": tuple(BBH_TASKS),
            "nlp": bbh_part("nlp"),
            "algorithmic": bbh_part("algorithmic"),
        },
        max_tokens=MAX_TOKENS[mode],
        prompt_version=f"bbh-{mode}-{count}-shot-1",
        shots=count,
        usual_shots=SHOTS,
    )


def _examples(data: Path | None, mode: str, shots: int, task: str) -> Sequence[Example]:
    if data is None:
        raise InputError("the prompts of bbh need its files: give their folder with `--data`")
    folder = locate(data, "bbh")
    headers = _headers(folder / "cot-prompts" / f"{task}.txt", mode)
    end = f"\nA: {TRIGGER}" if mode == "cot" else "\nA:"

    def prompt(question: str, count: int) -> str:
        return f"{headers[count]}{_QUESTION}{question}{end}"

    return [
        Example(task, index, prompt(question, shots), target, shots, fewer=partial(prompt, question))
        for index, (question, target) in enumerate(bbh_rows(folder / f"{task}.json"))
    ]


def _headers(path: Path, mode: str) -> list[str]:
    """The text before the question, by number of exemplars: the description and the first of them. It begins
    after the line of dashes that closes the canary notice."""
    _, ruler, prompt = text_of(path).partition(_RULER)
    description, *exemplars = prompt.split(_QUESTION)
    if not ruler or len(exemplars) != SHOTS:
        raise InputError(
            f"{path}: found {len(exemplars)} exemplars after a line of dashes, expected {SHOTS}: fetch "
            "the file again"
        )
    blocks = exemplars if mode == "cot" else [_without_rationale(exemplar, path) for exemplar in exemplars]
    return [_QUESTION.join([description, *blocks[:count]]) for count in range(SHOTS + 1)]


def _without_rationale(exemplar: str, path: Path) -> str:
    question, answer_mark, rationale = exemplar.partition(f"\nA: {TRIGGER}")
    _, phrase, answer = rationale.rpartition(_CONCLUSION)
    if not answer_mark or not phrase:
        raise InputError(
            f'{path}: an exemplar has no "A: {TRIGGER}" or no "{_CONCLUSION.strip()}": fetch the file again'
        )
    return f"{question}\nA: {answer.strip().removesuffix('.')}"


def _extract_rationale(task: str, generation: str) -> str | None:
    conclusion = after_last_phrase(cut_at_next_question(generation), ANSWER_PHRASES)
    return None if conclusion is None else plain(conclusion)


def _extract_direct(task: str, generation: str) -> str | None:
    return without_leading_labels(cut_at_next_question(generation), LABELS).strip() or None
