"""SIGTERM and Ctrl-C: the current unit of work is finished and kept, then the program ends. A second Ctrl-C
ends it at once.

Exit codes are 75 after SIGTERM, which tells a job queue to run the same command again, and 130 after Ctrl-C,
as shells use it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from types import FrameType

from openflan.errors import OpenflanError

_ONE_REQUEST = 2.0
"""Seconds within which processes of `torchrun` count a second SIGINT as the first: a terminal sends one, and
torchrun passes on its own."""


class Terminated(OpenflanError):
    """SIGTERM came: what was done is kept, and the same command goes on from it."""

    exit_code = 75


class Interrupted(Terminated):
    """Ctrl-C came: what was done is kept, and the same command goes on from it."""

    exit_code = 130


class Request:
    """A request to stop this process: False until SIGTERM or Ctrl-C arrives."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def __bool__(self) -> bool:
        return self._signal is not None

    def note(self, signal_number: int) -> None:
        """Record a signal; only the first one counts."""
        if self._signal is None:
            self._signal = signal_number

    def ended(self, progress: str) -> Terminated:
        """Return the exception to raise. `progress` states the last unit of work, such as `after step 3, with
        a checkpoint`. A process that got no signal itself reports SIGTERM."""
        kind, name = (Interrupted, "Ctrl-C") if self._signal == signal.SIGINT else (Terminated, "SIGTERM")
        return kind(f"stopped by {name} {progress}; run the same command again to go on")


_active: list[Request] = []
"""The request of the outermost `stoppable` block that is running; empty outside of one."""


@contextmanager
def stoppable(unit: str) -> Iterator[Request]:
    """Yield a request that becomes true at the first SIGTERM or Ctrl-C; the block checks it between two units
    of its work (`unit`: step, item).

    A second Ctrl-C raises KeyboardInterrupt. Inside another `stoppable` block the request stays false, as the
    outer block stops at its own, larger unit. It also stays false outside the main thread, where Python
    allows no signal handlers.
    """
    request = Request()
    if _active or threading.current_thread() is not threading.main_thread():
        yield request
        return
    first = 0.0

    def terminated(signal_number: int, frame: FrameType | None) -> None:
        request.note(signal_number)

    def interrupted(signal_number: int, frame: FrameType | None) -> None:
        nonlocal first
        if request and not (_launched() and time.monotonic() - first < _ONE_REQUEST):
            raise KeyboardInterrupt
        if not request and os.environ.get("RANK", "0") == "0":
            # Not print: the handler may run within another print.
            os.write(2, f"\nstopping after the {unit} under way; Ctrl-C again ends at once\n".encode())
        first = time.monotonic()
        request.note(signal_number)

    handlers = {signal.SIGTERM: terminated, signal.SIGINT: interrupted}
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background, where Ctrl-C is meant for others.
        del handlers[signal.SIGINT]
    before = {
        signal_number: signal.signal(signal_number, handler) for signal_number, handler in handlers.items()
    }
    _active.append(request)
    try:
        yield request
    finally:
        _active.clear()
        for signal_number, former in before.items():
            signal.signal(signal_number, signal.SIG_DFL if former is None else former)


def _launched() -> bool:
    """Return True if a launcher started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def become_worker() -> None:
    """Makes this process, which a pool started, a worker: a terminal's Ctrl-C is for the process that started
    it, which decides what becomes of the work; and it ends when that one is killed, where a pool's workers
    would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a pool ends its workers with it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)
