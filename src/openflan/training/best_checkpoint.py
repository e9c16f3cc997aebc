"""Which checkpoint is the best by held-out evaluation: a line in `checkpoints/best.json`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.run_folder import read_json, write_json

_BEST = "best.json"

MEAN = "mean"
"""The name of the mean over all benchmarks, where a step has a score for each."""


def best_step(folder: Path) -> int | None:
    """The step whose score is the best so far, None if none is recorded. Raises InputError for a damaged
    `best.json`."""
    recorded = _best(folder)
    return None if recorded is None else recorded[0]


def name_best(
    folder: Path, step: int, metric: str, value: float, benchmarks: Sequence[str] | None = None
) -> bool:
    """Records `step` as the best if its value is higher than the recorded one; returns whether it is
    recorded. `benchmarks` are those over which `metric` is a mean, None if it is the name of one.

    Of equal values the earlier step is the best, as in the paper (section 2.2). NaN is never the best. Raises
    InputError for a damaged `best.json`.
    """
    if math.isnan(value):
        return False
    recorded = _best(folder)
    if recorded is not None and recorded[0] != step and (recorded[1], -recorded[0]) >= (value, -step):
        return False
    names = [metric] if benchmarks is None else list(benchmarks)
    write_json(folder / _BEST, {"step": step, "metric": metric, "value": value, "benchmarks": names})
    return True


def _best(folder: Path) -> tuple[int, float] | None:
    """Step and value of `best.json`."""
    recorded = read_json(folder / _BEST)
    if recorded is None:
        return None
    values: dict[str, Any] = recorded if isinstance(recorded, dict) else {}
    step, value = values.get("step"), values.get("value")
    if (
        not isinstance(step, int)
        or isinstance(step, bool)
        or step < 0
        or isinstance(value, bool)
        or not isinstance(value, int | float)
    ):
        raise InputError(
            f"{folder / _BEST}: expected the numbers `step` and `value`; delete it, and the next "
            "evaluation names the best anew"
        )
    return step, value
