"""Batches that are made ahead of the step that needs them.

A thread reads the sequences of the next steps and makes arrays of them while the model computes; most of
reading and tokenising releases the interpreter. Batch k is a function of the packed stream and k, not of the
thread. Trade-off: up to `depth` + 1 batches are in memory besides the one in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 2
"""Batches that are ready; the thread may be making one more."""

_POLL_SECONDS = 0.1
"""Seconds between checks that the other thread is still running."""


class Loader(AbstractContextManager["Loader[T]"], Generic[T]):
    """Iterates over `make(step)` for step = first, ..., end - 1, each made before it is needed. Use it as a
    context, so that the thread ends."""

    def __init__(self, make: Callable[[int], T], first: int, end: int, depth: int = DEPTH) -> None:
        self._make = make
        self._steps = range(first, end)
        self._ready: Queue[tuple[T | None, BaseException | None]] = Queue(maxsize=depth)
        self._closed = Event()
        self._thread = Thread(target=self._work, name="loader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """Raises what `make` raised, at its step."""
        for _ in self._steps:
            item, error = self._next()
            if error is not None:
                raise error
            yield item  # type: ignore[misc]

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    def _next(self) -> tuple[T | None, BaseException | None]:
        while True:
            try:
                return self._ready.get(timeout=_POLL_SECONDS)
            except Empty:
                if not self._thread.is_alive() and self._ready.empty():
                    raise RuntimeError("the loader was closed") from None

    def _work(self) -> None:
        for step in self._steps:
            try:
                item: tuple[T | None, BaseException | None] = self._make(step), None
            except BaseException as error:  # handed to the thread that waits
                item = None, error
            while not self._closed.is_set():
                try:
                    self._ready.put(item, timeout=_POLL_SECONDS)
                    break
                except Full:
                    continue
            if self._closed.is_set() or item[1] is not None:
                return
