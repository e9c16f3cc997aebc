"""The trackers of a run: all that its recipe names, each with its own failures.

`metrics.jsonl` is the record of a run; trackers only show it. So a tracker that fails, for example because a
disk is full or a server does not answer, is left out with one warning, and training goes on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openflan.errors import SetupError, shortened
from openflan.local_paths import without_local_paths
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.trackers import TrackerName
from openflan.tracking.names import tracked_values
from openflan.tracking.protocol import TrackedRun, Tracker

TRACKERS: Mapping[TrackerName, str] = {
    "tensorboard": "openflan.tracking.tensorboard_files",
    "wandb": "openflan.tracking.wandb_run",
}
"""The module of each tracker, imported when a run uses it; its function `start` takes a TrackedRun. A tracker
needs the library of its own name."""


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Raises SetupError for a tracker whose library is not installed."""
    for name in names:
        spec = find_spec(name)
        # A folder of that name in the current folder, such as wandb's own files, has a spec without origin.
        if spec is None or spec.origin is None:
            raise SetupError(
                f"`track` names {name}, which is not installed: pip install 'openflan[{name}]', or leave it "
                "out of `track`"
            )


class Trackers:
    """Passes the lines of metrics.jsonl to the trackers of a run. It is a context: its end closes them."""

    def __init__(
        self, recipe: AnyRecipe, folder: Path, first: int, *, quiet: bool = False, enabled: bool = True
    ) -> None:
        """`first` steps are done already. A tracker that cannot start is left out with a warning. There are
        no trackers if not `enabled`, as on all processes but the main one."""
        self._trackers: dict[str, Tracker] = {}
        if not recipe.track or not enabled:
            return
        plain, _ = without_local_paths(recipe.model_dump(mode="json", exclude_none=True))
        run = TrackedRun(folder, recipe.name, plain, first, quiet)
        for name in dict.fromkeys(recipe.track):

            def start(name: TrackerName = name) -> None:
                self._trackers[name] = import_module(TRACKERS[name]).start(run)

            self._guarded(name, start)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        exit_code = 0 if error is None else int(getattr(error, "exit_code", 1))
        for name, tracker in list(self._trackers.items()):
            self._guarded(name, lambda tracker=tracker: tracker.close(exit_code))  # type: ignore[misc]
        self._trackers = {}

    def write(self, line: Mapping[str, Any]) -> None:
        """Passes on one line of metrics.jsonl."""
        for name, tracker in list(self._trackers.items()):
            self._guarded(
                name,
                lambda tracker=tracker: tracker.log(line["step"], tracked_values(line)),  # type: ignore[misc]
            )

    def _guarded(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        # Libraries of trackers raise whatever their servers, disks and processes give them.
        except Exception as error:
            self._trackers.pop(name, None)
            reason = shortened(" ".join(str(error).split())) or type(error).__name__
            warnings.warn(
                f"{name}: {reason}; training goes on without this tracker, and metrics.jsonl has all values",
                stacklevel=3,
            )
