"""Which benchmarks there are, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

from openflan.errors import InputError, did_you_mean
from openflan.evaluation.bbh import bbh_benchmark
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.mgsm import mgsm_benchmark

MODES = ("direct", "cot")

BENCHMARKS: dict[str, Callable[..., Benchmark]] = {"bbh": bbh_benchmark, "mgsm": mgsm_benchmark}


def find_benchmark(name: str, mode: str, data: Path | None = None, *, shots: int | None = None) -> Benchmark:
    """The benchmark of that name; `data` may be left out for scoring. Raises InputError for an unknown name or mode."""
    if name not in BENCHMARKS:
        raise InputError(f"there is no benchmark `{name}`{did_you_mean(name, BENCHMARKS) or '; there are ' + ', '.join(BENCHMARKS)}")
    if mode not in MODES:
        raise InputError(f"`--mode {mode}` is not a mode{did_you_mean(mode, MODES) or '; expected direct or cot'}")
    return BENCHMARKS[name](cast(Literal["direct", "cot"], mode), data, shots=shots)
