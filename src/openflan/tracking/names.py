"""The names that trackers show, as the trainers of other libraries call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "gradient_norm": "train/grad_norm",
    "router_loss": "train/router_loss",
    "tokens_per_second": "train/tokens_per_second",
    "fill": "train/fill",
    "seconds": "train/seconds",
    "waiting_seconds": "train/waiting_seconds",
    "validation_loss": "eval/loss",
}


def tracked_values(line: Mapping[str, Any]) -> dict[str, float]:
    """The values of a line of metrics.jsonl by the names that trackers show. Scores are `eval/BENCHMARK`."""
    values = {shown: float(line[name]) for name, shown in _NAMES.items() if name in line}
    return values | {f"eval/{name}": float(score) for name, score in line.get("scores", {}).items()}
