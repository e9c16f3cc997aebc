"""A thread that writes checkpoints while training continues."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

from openflan.training import checkpoints


class Saver:
    """Writes one checkpoint at a time. Leaving its context waits for the last one, unless the reason is
    KeyboardInterrupt."""

    def __init__(self) -> None:
        self._writing: Future[Path] | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.wait()
        elif not issubclass(kind, KeyboardInterrupt) and self._thread is not None:
            self._thread.join()

    def save(self, *arguments: Any) -> None:
        """Starts `checkpoints.save` with these arguments, after the one before has ended. Raises what that
        one raised."""
        self.wait()
        writing = self._writing = Future()

        def write() -> None:
            try:
                writing.set_result(checkpoints.save(*arguments))
            except BaseException as error:
                writing.set_exception(error)

        # A daemon, so that a second Ctrl-C need not wait for it: an incomplete checkpoint has another name.
        self._thread = Thread(target=write, name="checkpoint", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Returns when the checkpoint that is being written is on the disk. Raises what went wrong."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
