"""What a tracker offers, and what it is told of a run.

To add one: a module here with a class of this protocol, an entry in `tracking.trackers` and a name in
`recipe.trackers`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from openflan.run_folder import read_json, write_json

IDS = "trackers.json"
"""The file of a run folder with the run's id at each tracker that has one."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as trackers see it.

    `folder` is the run folder, where a tracker puts its files. `recipe` is the recipe as plain values,
    without paths of this machine. `first` steps are done already. `quiet`: nothing is printed.
    """

    folder: Path
    name: str
    recipe: Mapping[str, Any]
    first: int
    quiet: bool = False

    def id_at(self, tracker: str) -> str:
        """The id of the run at a tracker: that of `trackers.json` in the run folder, where a new one is
        written at the first start."""
        content = read_json(self.folder / IDS, {})
        ids = content if isinstance(content, dict) else {}
        known = ids.get(tracker)
        if isinstance(known, str) and known:
            return known
        made = secrets.token_hex(4)
        write_json(self.folder / IDS, {**ids, tracker: made})
        return made


class Tracker(Protocol):
    """Shows the values of a run while it trains. Any exception it raises ends the tracker, not the run."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the values that were measured after `step` steps, by their names (`train/loss`)."""

    def close(self, exit_code: int) -> None:
        """Ends the tracker; `exit_code` is 0 for a training that reached its last step."""
