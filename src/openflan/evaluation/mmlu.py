"""MMLU: 57 subjects, four options, answered directly or with rationales, five exemplars.

The prompts with rationales are the paper's own, byte for byte, from its public JSON. Two start with an empty
line, and three subjects have four exemplars. One text is damaged, and one rationale ends in an option that
does not exist. All stay as published. The paper does not print its direct prompt. Ours has the layout of the
other, with the exemplars of `dev` in their order. The answer is `A: (X)`, which is the form in the direct
prompts of BIG-Bench Hard; `ending="period"` writes `A: (X).` instead. Questions and options lose outer white
space, as they do in the published exemplars.

Answers are option letters. With rationales only what follows "answer is" counts: a model that does not
conclude is wrong, which is why base T5 scores far below chance (Table 5). The paper reports `validation`, and
`test` in Tables 1 and 4. Its average is the mean over subjects; lm-eval's `acc` is the mean over questions,
which stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from openflan.benchmark_data.files import locate
from openflan.benchmark_data.mmlu import (
    CHANCE,
    GROUPS,
    LETTERS,
    SPLIT_FOLDERS,
    SUBJECTS,
    mmlu_files,
    mmlu_rows,
    subjects_of,
)
from openflan.errors import InputError, did_you_mean
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example, number_of_shots
from openflan.evaluation.extract import concluded_letter, cut_at_next_question, labelled_letter
from openflan.json_files import read_json_file

SHOTS = 5
STOP = ("\nQ:",)
TRIGGER = "Let's think step by step."
ANSWER_PHRASES = (r"\banswer\s+is\b\s*:?",)

MARKERS = ("Q:", "Question:")
LABELS = ("A:", "The answer:", "The correct answer:", "Correct answer:", "The final answer:", "Final answer:")
"""Labels that models repeat before a direct answer; `Answer:` is understood anywhere before a letter."""

MAX_TOKENS = {"direct": 16, "cot": 512}
"""An answer is a letter. All but one of the 282 published rationales have at most 461 tokens under T5's
vocabulary; the longest has 581."""

_QUESTION = "\n\nQ: "


def mmlu_benchmark(
    mode: Literal["direct", "cot"] = "direct",
    data: Path | None = None,
    *,
    shots: int | None = None,
    split: str = "validation",
    ending: Literal["plain", "period"] = "plain",
) -> Benchmark:
    """The benchmark; `data` is the folder with `dev/`, `val/`, `test/` and mmlu-cot.json or its parent, and
    may be left out for scoring.

    `shots` uses the first exemplars only; 0 sends the first line and the question, in mode `cot` with "Let's
    think step by step.". `split` is `validation` or `test`. Raises InputError for another one.
    """
    count = number_of_shots("mmlu", shots, SHOTS)
    if split not in SPLIT_FOLDERS:
        remedy = did_you_mean(split, SPLIT_FOLDERS) or "; it has " + " and ".join(SPLIT_FOLDERS)
        raise InputError(f"mmlu has no split `{split}`{remedy}")
    sizes = {
        name: subject.validation if split == "validation" else subject.test
        for name, subject in SUBJECTS.items()
    }
    layout = "-period" if ending == "period" and mode == "direct" else ""
    return Benchmark(
        name="mmlu",
        mode=mode,
        tasks={name: BenchmarkTask(size, CHANCE, STOP) for name, size in sizes.items()},
        examples=partial(_examples, data, mode, count, SPLIT_FOLDERS[split], "." if layout else ""),
        extract=_extract_rationale if mode == "cot" else _extract_direct,
        compare=_same_letter,
        averages={"average": tuple(SUBJECTS), **{group: subjects_of(group) for group in GROUPS}},
        max_tokens=MAX_TOKENS[mode],
        prompt_version=f"mmlu-{mode}-{count}-shot{layout}-1",
        shots=count,
        usual_shots=SHOTS,
        split="" if split == "validation" else split,
        over_questions=True,
    )


def _examples(
    data: Path | None, mode: str, shots: int, split: str, ending: str, subject: str
) -> Sequence[Example]:
    if data is None:
        raise InputError("the prompts of mmlu need its files: give their folder with `--data`")
    folder = locate(data, "mmlu", mmlu_files(mode, split))
    rows = mmlu_rows(folder / split / f"{subject}_{split}.csv")
    if mode == "cot":
        header, blocks = _published(folder / "mmlu-cot.json", subject)
        end = f"\nA: {TRIGGER}"
    else:
        header = (
            f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}."
        )
        path = folder / "dev" / f"{subject}_dev.csv"
        blocks = [f"{_asked(row)}\nA: ({row[-1]}){ending}" for row in mmlu_rows(path)]
        end = "\nA:"
        if len(blocks) < shots:
            raise InputError(
                f"{path}: {len(blocks)} exemplars, expected {SHOTS}: fetch the file again, or ask for "
                f"fewer with `--shots {len(blocks)}`"
            )
    # Three subjects have four published rationales: all there are is what the paper's five shots mean for
    # them.
    blocks = blocks[:shots]

    def prompt(question: str, count: int) -> str:
        return _QUESTION.join([header, *blocks[:count], question]) + end

    questions = [(_asked(row), row[-1]) for row in rows]
    options = () if mode == "cot" else tuple(f" ({letter})" for letter in LETTERS)
    return [
        Example(
            subject,
            index,
            prompt(question, len(blocks)),
            target,
            len(blocks),
            fewer=partial(prompt, question),
            options=options,
        )
        for index, (question, target) in enumerate(questions)
    ]


def _asked(row: Sequence[str]) -> str:
    """A question with its options, without what marks it as a question."""
    question, *options = (cell.strip() for cell in row[:-1])
    listed = " ".join(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=True))
    return f"{question}\n{listed}"


def _published(path: Path, subject: str) -> tuple[str, list[str]]:
    """The first line and the exemplars of a subject, as they are."""
    prompts = read_json_file(path)
    prompt = prompts.get(subject) if isinstance(prompts, dict) else None
    if not isinstance(prompt, str):
        raise InputError(
            f"{path} has no prompt for `{subject}`: expected an object of subject and prompt, a text"
        )
    header, *blocks = prompt.split(_QUESTION)
    if len(blocks) < SHOTS - 1:
        raise InputError(
            f"{path}: {len(blocks)} exemplars for `{subject}`, expected {SHOTS - 1} or {SHOTS}: fetch "
            "the file again"
        )
    return header, blocks


def _extract_rationale(task: str, generation: str) -> str | None:
    return concluded_letter(cut_at_next_question(generation, MARKERS), ANSWER_PHRASES, LETTERS)


def _extract_direct(task: str, generation: str) -> str | None:
    text = cut_at_next_question(generation, MARKERS)
    return labelled_letter(text, LETTERS, LABELS) or concluded_letter(text, ANSWER_PHRASES, LETTERS)


def _same_letter(answer: str, target: str) -> bool:
    """True if a letter is the target's; other programs may write the target as `(C)`."""
    return answer == target.strip(" ().")
