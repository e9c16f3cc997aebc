"""HellaSwag as lm-evaluation-harness 0.4 prompts it: the activity and the begun text, then each ending,
scored by likelihood.

The part of the data that comes from WikiHow has marks in brackets. They are removed as there: ` [title]`
becomes a full stop, every other bracket is deleted, and two spaces become one, once.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from openflan.benchmark_data.hellaswag import CHANCE, NUM_QUESTIONS, HellaSwagRow, hellaswag_rows
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.option_choice import OptionQuestion, option_benchmark

_BRACKETS = re.compile(r"\[.*?\]")


def hellaswag_benchmark(
    mode: str = "direct", data: Path | None = None, *, shots: int | None = None
) -> Benchmark:
    """The benchmark on the validation split; `data` is the folder of its files, or the one that holds
    `hellaswag/`; scoring needs none.

    `shots` exemplars of the train split are in each prompt, none by default. There is one mode, `direct`.
    """
    return option_benchmark(
        "hellaswag",
        partial(_questions, data, "validation"),
        partial(_questions, data, "train"),
        num_questions=NUM_QUESTIONS,
        chance=CHANCE,
        shots=shots,
    )


def _questions(data: Path | None, split: str) -> list[OptionQuestion]:
    if data is None:
        raise InputError("the prompts of hellaswag need its files: give their folder with `--data`")
    return [_question(row) for row in hellaswag_rows(data, split)]


def _question(row: HellaSwagRow) -> OptionQuestion:
    return OptionQuestion(
        _without_brackets(f"{row.activity}: {row.context} {row.start.capitalize()}"),
        tuple(_without_brackets(ending) for ending in row.endings),
        row.answer,
    )


def _without_brackets(text: str) -> str:
    return _BRACKETS.sub("", text.strip().replace(" [title]", ". ")).replace("  ", " ")
