"""GSM8K: 1,319 grade-school problems, eight exemplars with rationales (Wei et al. 2022) or with the answers
alone.

The train split is part of the paper's mixture, so the paper does not hold this benchmark out (83.9 with
self-consistency). Prompts and score are those of `word_problems`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from openflan.benchmark_data.files import locate
from openflan.benchmark_data.gsm8k import NUM_QUESTIONS, TEST_FILE, gsm8k_rows
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, number_of_shots
from openflan.evaluation.word_problems import NUM_EXEMPLARS, word_problems


def gsm8k_benchmark(
    mode: Literal["direct", "cot"] = "cot", data: Path | None = None, *, shots: int | None = None
) -> Benchmark:
    """The benchmark; `data` is the folder with test.jsonl or the parent of `gsm8k/`, and may be left out for
    scoring.

    `shots` uses the first exemplars only; 0 needs none, and adds the trigger phrase in mode `cot`.
    """
    return word_problems(
        "gsm8k",
        mode,
        partial(_problems, data),
        partial(_folder, data),
        num_questions=NUM_QUESTIONS,
        shots=number_of_shots("gsm8k", shots, NUM_EXEMPLARS),
    )


def _problems(data: Path | None) -> list[tuple[str, str]]:
    return gsm8k_rows(_folder(data) / TEST_FILE)


def _folder(data: Path | None) -> Path:
    if data is None:
        raise InputError("the prompts of gsm8k need its files: give their folder with `--data`")
    return locate(data, "gsm8k")
