"""ARC (easy and challenge) as lm-evaluation-harness 0.4 prompts it: the question, then the text of each
option, scored by likelihood."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from openflan.benchmark_data.arc import CHANCE, NUM_QUESTIONS, arc_rows
from openflan.errors import InputError, did_you_mean
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.option_choice import OptionQuestion, option_benchmark


def arc_easy_benchmark(
    mode: str = "direct", data: Path | None = None, *, shots: int | None = None, split: str = "test"
) -> Benchmark:
    """ARC-Easy; `data` is the folder of its files, or the one that holds `arc/`; scoring needs none.

    `shots` exemplars of the train split are in each prompt, none by default. `split` is `test` or
    `validation`; InputError for another one. There is one mode, `direct`.
    """
    return _arc_benchmark("arc_easy", data, shots, split)


def arc_challenge_benchmark(
    mode: str = "direct", data: Path | None = None, *, shots: int | None = None, split: str = "test"
) -> Benchmark:
    """ARC-Challenge; arguments and errors are those of `arc_easy_benchmark`."""
    return _arc_benchmark("arc_challenge", data, shots, split)


def _arc_benchmark(name: str, data: Path | None, shots: int | None, split: str) -> Benchmark:
    sizes = NUM_QUESTIONS[name]
    if split not in sizes:
        raise InputError(
            f"{name} has no split `{split}`{did_you_mean(split, sizes) or '; it has ' + ' and '.join(sizes)}"
        )
    return option_benchmark(
        name,
        partial(_questions, data, name, split),
        partial(_questions, data, name, "train"),
        num_questions=sizes[split],
        chance=CHANCE,
        shots=shots,
        split="" if split == "test" else split,
    )


def _questions(data: Path | None, name: str, split: str) -> list[OptionQuestion]:
    if data is None:
        raise InputError(f"the prompts of {name} need its files: give their folder with `--data`")
    return [
        OptionQuestion(f"Question: {row.question}\nAnswer:", row.options, row.answer)
        for row in arc_rows(data, name, split)
    ]
