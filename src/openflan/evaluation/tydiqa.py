"""TyDi QA's gold passage task: a passage, a question, and an answer that is part of the passage. One exemplar
in the same language.

Score: exact match after SQuAD 1.1's normalisation, the best over the references, with F1 beside it; nine
languages, of which the paper averages all but English. The paper follows PaLM's protocol and prints neither
prompt nor exemplar, so both are our choice. The exemplar is the first by id of the train file. Public copies
lack train files of most languages; there it is the first by id of dev, and that row is not asked: `n` is one
less, and the result lists the language under `exemplar_from_dev`. Rationales are not published: mode `cot` is
zero-shot, with the trigger phrase.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from openflan.benchmark_data.files import locate
from openflan.benchmark_data.tydiqa import (
    TYDIQA_AVERAGED,
    TYDIQA_LANGUAGES,
    SquadQuestion,
    read_squad,
)
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example, number_of_shots
from openflan.evaluation.extract import (
    after_last_phrase,
    cut_at_next_question,
    first_line,
    without_leading_labels,
)
from openflan.evaluation.metrics import squad_exact, squad_f1

SHOTS = 1
TRIGGER = "Let's think step by step."
MARKERS = ("Passage:", "Question:")
STOP = tuple(f"\n{marker}" for marker in MARKERS)
ANSWER_PHRASES = (r"\banswer\s+is\b\s*:?",)

LABELS = ("Answer:", "A:")
"""Ends of the prompt, which models repeat before a direct answer."""

MAX_TOKENS = {"direct": 192, "cot": 512}
"""In every language 99 % of the answers have at most 185 tokens under T5's vocabulary, which spells Finnish
in small pieces."""


def tydiqa_benchmark(
    mode: Literal["direct", "cot"] = "direct", data: Path | None = None, *, shots: int | None = None
) -> Benchmark:
    """The benchmark; `data` is the folder with `dev/` (and `train/`) or its parent, and may be left out for
    scoring.

    `shots` is 0 or 1, in mode `cot` 0.
    """
    count = number_of_shots("tydiqa", shots, SHOTS) if mode == "direct" else (shots or 0)
    if mode == "cot" and count:
        raise InputError(
            f"tydiqa has no exemplars with rationales: `--mode cot` goes with `--shots 0`, not {count}"
        )
    tasks = {
        language: BenchmarkTask(size.questions, 0.0, STOP, exemplar_row=size.first_by_id if count else None)
        for language, size in TYDIQA_LANGUAGES.items()
    }
    return Benchmark(
        name="tydiqa",
        mode=mode,
        tasks=tasks,
        examples=partial(_examples, data, mode, count),
        extract=_extract_rationale if mode == "cot" else _extract_direct,
        compare=squad_exact,
        averages={"average": TYDIQA_AVERAGED},
        max_tokens=MAX_TOKENS[mode],
        prompt_version=f"tydiqa-{mode}-{count}-shot-1",
        shots=count,
        usual_shots=SHOTS if mode == "direct" else 0,
        metrics={"f1": squad_f1},
    )


def _examples(data: Path | None, mode: str, shots: int, language: str) -> Sequence[Example]:
    if data is None:
        raise InputError("the prompts of tydiqa need its files: give their folder with `--data`")
    folder = locate(data, "tydiqa")
    dev = folder / "dev" / f"{language}.json"
    rows = read_squad(dev)
    train = folder / "train" / f"{language}.json"
    exemplar, split = None, None
    if shots:
        split = "train" if train.is_file() else "dev"
        exemplar = min(read_squad(train) if split == "train" else rows, key=lambda row: row.id)
    end = f"Answer: {TRIGGER}" if mode == "cot" else "Answer:"

    def prompt(row: SquadQuestion, count: int) -> str:
        exemplars = [f"{_block(exemplar)}Answer: {exemplar.answers[0]}"] if exemplar and count else []
        return "\n\n".join([*exemplars, f"{_block(row)}{end}"])

    return [
        Example(
            language,
            index,
            prompt(row, shots),
            row.answers,
            shots,
            cluster=row.cluster,
            fewer=partial(prompt, row),
            exemplar_split=split,
        )
        for index, row in enumerate(rows)
        if split != "dev" or row is not exemplar
    ]


def _block(row: SquadQuestion) -> str:
    return f"Passage: {row.passage.strip()}\nQuestion: {row.question.strip()}\n"


def _extract_direct(task: str, generation: str) -> str | None:
    return first_line(without_leading_labels(cut_at_next_question(generation, MARKERS), LABELS))


def _extract_rationale(task: str, generation: str) -> str | None:
    conclusion = after_last_phrase(cut_at_next_question(generation, MARKERS), ANSWER_PHRASES)
    return None if conclusion is None else first_line(conclusion)
