"""A line about a user's own rows that training reads very often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MANY = 20
"""Epochs beyond which a model mostly learns its rows by heart."""


def epochs_lines(ledger: Mapping[str, Any]) -> list[str]:
    """One line about the tasks of own rows that are read more than 20 times, by a ledger; none without."""
    own = {task["task"] for task in ledger.get("own_data", ())}
    often = [task for task in ledger.get("tasks", ()) if task["task"] in own and task["epochs"] > MANY]
    if not often:
        return []
    most = max(often, key=lambda task: task["epochs"])
    rows = sum(task["rows"] for task in often)
    more = f" and {len(often) - 1:,} more tasks" if len(often) > 1 else ""
    return [
        f"{rows:,} rows ({most['task']}{more}) are read {most['epochs']:,.0f} times, in "
        f"{ledger['examples']:,} examples; beyond {MANY} epochs a model mostly learns rows by heart: "
        "--epochs 3 reads them three times (or lower training.steps)"
    ]
