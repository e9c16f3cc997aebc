"""Which benchmarks there are, by name, and suites of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from openflan.errors import InputError, did_you_mean
from openflan.evaluation.bbh import bbh_benchmark
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.gsm8k import gsm8k_benchmark
from openflan.evaluation.mgsm import mgsm_benchmark
from openflan.evaluation.mmlu import mmlu_benchmark
from openflan.evaluation.tydiqa import tydiqa_benchmark

MODES = ("direct", "cot")
Mode: TypeAlias = Literal["direct", "cot"]

BENCHMARKS: dict[str, Callable[..., Benchmark]] = {
    "mmlu": mmlu_benchmark,
    "bbh": bbh_benchmark,
    "tydiqa": tydiqa_benchmark,
    "mgsm": mgsm_benchmark,
    "gsm8k": gsm8k_benchmark,
}

WITH_SPLITS = ("mmlu",)
"""Benchmarks of which more than one split can be asked."""

SUITES: dict[str, tuple[tuple[str, Mode], ...]] = {
    "flan": (
        ("mmlu", "direct"),
        ("mmlu", "cot"),
        ("bbh", "direct"),
        ("bbh", "cot"),
        ("tydiqa", "direct"),
        ("mgsm", "cot"),
    ),
    "reasoning": (("mmlu", "cot"), ("bbh", "cot"), ("mgsm", "cot"), ("gsm8k", "cot")),
    "all": tuple((name, mode) for name in BENCHMARKS for mode in ("direct", "cot")),
}
"""`flan` has the six components of the paper's normalized average, `reasoning` what is answered with
rationales, `all` every benchmark in both modes."""


def find_benchmark(
    name: str, mode: str, data: Path | None = None, *, shots: int | None = None, split: str | None = None
) -> Benchmark:
    """The benchmark of that name; `data` may be left out for scoring.

    Raises InputError for an unknown name or mode, and for a split that the benchmark does not have.
    """
    if name not in BENCHMARKS:
        raise InputError(
            "there is no benchmark "
            f"`{name}`{did_you_mean(name, BENCHMARKS) or '; there are ' + ', '.join(BENCHMARKS)}"
        )
    if split is not None and name not in WITH_SPLITS:
        raise InputError(
            f"{name} has one split that is scored: leave `--split {split}` out, it goes with "
            f"{', '.join(WITH_SPLITS)}"
        )
    chosen: dict[str, Any] = {"shots": shots} | ({} if split is None else {"split": split})
    return BENCHMARKS[name](find_mode(mode), data, **chosen)


def usual_shots(name: object, mode: object) -> int | None:
    """The number of exemplars that a published benchmark has; None for any other benchmark, or a mode that it
    does not have."""
    if not isinstance(name, str) or name not in BENCHMARKS or mode not in MODES:
        return None
    return find_benchmark(name, str(mode)).usual_shots


def find_mode(mode: str) -> Mode:
    """`direct` or `cot`; raises InputError for anything else."""
    if mode not in MODES:
        raise InputError(
            f"`--mode {mode}` is not a mode{did_you_mean(mode, MODES) or '; expected direct or cot'}"
        )
    return cast(Mode, mode)


def find_suite(name: str) -> tuple[tuple[str, Mode], ...]:
    """Names and modes of a suite's benchmarks; raises InputError for an unknown one."""
    if name not in SUITES:
        raise InputError(
            f"there is no suite `{name}`{did_you_mean(name, SUITES) or '; there are ' + ', '.join(SUITES)}"
        )
    return SUITES[name]
