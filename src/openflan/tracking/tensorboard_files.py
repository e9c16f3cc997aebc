"""Curves for TensorBoard: `tensorboard --logdir RUN/tensorboard`.

Events are written at once, and not by a thread of their own as TensorBoard's writer does: a thread that ends
on a full disk would let the next call wait for ever.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from openflan.tracking.protocol import TrackedRun


class TensorBoardFiles:
    """Writes an event file of its own for each process that trains a run."""

    def __init__(self, run: TrackedRun) -> None:
        folder = run.folder / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns() // 1000:016d}.{socket.gethostname()}.{os.getpid()}"
        self._file = (folder / name).open("wb", buffering=0)
        self._records: Any = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if run.first:
            # TensorBoard then hides what an earlier process wrote of this step and later ones.
            start = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=time.time(), step=run.first + 1, session_log=start))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        summary = Summary(
            value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        )
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def close(self, exit_code: int) -> None:
        self._file.close()

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())


def start(run: TrackedRun) -> TensorBoardFiles:
    """The tracker of a run. Raises OSError if its file cannot be written."""
    return TensorBoardFiles(run)
