"""What training does while a thread writes a checkpoint."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_runs import recipe, trained
from torch import Tensor

from openflan.run_folder import Run
from openflan.training import checkpoints, loop
from openflan.training.distributed import DistributedContext


def test_ranks_do_not_meet_while_the_thread_that_saves_uses_their_group(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads that use one group read each other's messages: a rank then ends, or waits for ever."""
    save, run_on_main = checkpoints.save, DistributedContext.run_on_main
    writing, meetings = threading.Event(), []

    def slow(*arguments: Any) -> Path:
        writing.set()
        time.sleep(0.1)
        try:
            return save(*arguments)
        finally:
            writing.clear()

    def noted(self: DistributedContext, get: Callable[[], Any]) -> Any:
        if threading.current_thread().name != "checkpoint":
            meetings.append(writing.is_set())
        return run_on_main(self, get)

    monkeypatch.setattr(checkpoints, "save", slow)
    monkeypatch.setattr(DistributedContext, "run_on_main", noted)
    trained(recipe(place, steps=4, every=1), Run(tmp_path / "run"))
    assert len(meetings) >= 4
    assert not any(meetings)


def test_the_copy_for_a_checkpoint_is_freed_before_the_next_one_is_made(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two copies of weights and statistics at once took the memory of another model."""
    snapshot = loop.snapshot
    copies: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    def noted(*arguments: Any) -> checkpoints.Snapshot:
        alive.append(sum(copy() is not None for copy in copies))
        made = snapshot(*arguments)
        copies.extend(weakref.ref(value) for value in [*made.weights.values(), *made.statistics.values()])
        return made

    monkeypatch.setattr(loop, "snapshot", noted)
    trained(recipe(place, steps=4, every=1), Run(tmp_path / "run"))
    assert alive == [0, 0, 0, 0]
    assert len(copies) > 40
