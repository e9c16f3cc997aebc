"""SVAMP as Wei et al. 2022 prompt it: the eight exemplars of GSM8K, all 1,000 problems. Prompts and score are
those of `word_problems`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from openflan.benchmark_data.files import is_file
from openflan.benchmark_data.svamp import NUM_QUESTIONS, svamp_rows
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, number_of_shots
from openflan.evaluation.gsm8k_exemplars import EXEMPLARS, TASK_FILE
from openflan.evaluation.word_problems import NUM_EXEMPLARS, word_problems


def svamp_benchmark(
    mode: Literal["direct", "cot"] = "cot", data: Path | None = None, *, shots: int | None = None
) -> Benchmark:
    """The benchmark; `data` is the folder of its files, or the one that holds `svamp/`; scoring needs none.

    `shots` uses the first exemplars only; 0 needs none, and adds the trigger phrase in mode `cot`. Exemplars
    are looked for beside the benchmark's files, then in `gsm8k/` beside its folder.
    """
    return word_problems(
        "svamp",
        mode,
        partial(_problems, data),
        partial(_exemplar_folder, data),
        num_questions=NUM_QUESTIONS,
        shots=number_of_shots("svamp", shots, NUM_EXEMPLARS),
    )


def _problems(data: Path | None) -> list[tuple[str, str]]:
    if data is None:
        raise InputError("the prompts of svamp need its files: give their folder with `--data`")
    return svamp_rows(data)


def _exemplar_folder(data: Path | None) -> Path:
    folder = data or Path()
    folders = (folder / "svamp", folder, folder / "gsm8k", folder.parent / "gsm8k")
    files = (EXEMPLARS, TASK_FILE)
    with_exemplars = (other for other in folders if any(is_file(other / file) for file in files))
    return next(with_exemplars, folder)
