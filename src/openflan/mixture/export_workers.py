"""Rendering the parts of an export, in this process or in several at once.

Where the system can fork, a worker begins as a copy of this process: it has the opened tasks without reading
a file, whatever their number. Elsewhere each worker opens the stream itself. Workers write their parts to the
folder and return nothing, so what waits costs no memory here.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as Late
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from openflan.errors import SetupError
from openflan.mixture.export_parts import SIZE, Part, PartFolder, make_part
from openflan.mixture.export_records import Form
from openflan.stopping import Request, become_worker
from openflan.templates.render import Rendered

Start: TypeAlias = Literal["fork", "spawn"]
_POLL_SECONDS = 0.2
_SAME_SIGNAL = 0.5


class Examples(Protocol):
    """Rendered examples by position (`mixture.stream.Stream`)."""

    def __getitem__(self, position: int, /) -> Rendered: ...


Make: TypeAlias = Callable[[], Examples]
"""Opens the stream in another process; it must be picklable."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is exported: the file, the number of examples, and the form."""

    path: Path
    count: int
    form: Form

    @property
    def numbers(self) -> range:
        """The numbers of the parts."""
        return range(-(-self.count // SIZE))

    def positions(self, number: int) -> range:
        """The positions of a part's examples."""
        return range(number * SIZE, min((number + 1) * SIZE, self.count))


def parts(
    plan: Plan, folder: PartFolder, examples: Examples, asked: Request, workers: int, make: Make | None
) -> Iterator[Part]:
    """All parts in their order: those that are there, and the others rendered by `workers` processes. Ends
    early once the process was asked to stop; what the workers had begun is then kept too."""
    missing = [number for number in plan.numbers if not folder.holds(number)]
    with _rendering(plan, examples, workers if missing else 1, make) as submit:
        waiting: deque[tuple[int, Future[None]]] = deque()
        later = iter(missing)
        for number in plan.numbers:
            while submit and len(waiting) < 2 * workers and (following := next(later, None)) is not None:
                waiting.append((following, submit(following)))
            if waiting and waiting[0][0] == number:
                _wait(waiting.popleft()[1], asked)
            if asked:
                return
            yield _whole(plan, folder, examples, number)


def start_method(make: Make | None) -> Start | None:
    """How workers begin here; None if they cannot, as there is no fork and nothing to open the stream with.
    On macOS a forked process may not use the system's libraries."""
    if "fork" in get_all_start_methods() and sys.platform != "darwin":
        return "fork"
    return "spawn" if make is not None else None


def _whole(plan: Plan, folder: PartFolder, examples: Examples, number: int) -> Part:
    """A part as it lies in the folder, rendered here if it is missing, damaged or of another length."""
    positions = plan.positions(number)
    if part := folder.read(number, len(positions)):
        return part
    _render(plan, examples, number)
    part = folder.read(number, len(positions))
    if part is None:
        raise SetupError(f"{folder.folder}: part {number} cannot be read back after it was written")
    return part


def _render(plan: Plan, examples: Examples, number: int) -> None:
    numbered = ((position, examples[position]) for position in plan.positions(number))
    PartFolder(plan.path).write(number, make_part(numbered, plan.path.suffix, plan.form))


def _wait(future: Future[None], asked: Request) -> None:
    """Waits for a part, or until the process is asked to stop. Raises what the worker raised."""
    while not asked:
        try:
            future.result(timeout=_POLL_SECONDS)
            return
        except Late:
            continue
        except BrokenProcessPool:
            time.sleep(_SAME_SIGNAL)  # a signal to the whole group ends the workers a moment earlier
            if asked:
                return
            raise SetupError(
                "a process that renders ended by itself, perhaps for want of memory; run the same command "
                "again to go on, with fewer --workers"
            ) from None


@contextmanager
def _rendering(
    plan: Plan, examples: Examples, workers: int, make: Make | None
) -> Iterator[Callable[[int], Future[None]] | None]:
    """What hands a part to a worker; None if this process renders alone."""
    start = start_method(make) if workers > 1 else None
    if start is None:
        yield None
        return
    # One core a worker: the tokenizer would start threads on all of them.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _here[:] = [(plan, examples)]
    begin = become_worker if start == "fork" or make is None else partial(_open_here, plan, make)
    pool = ProcessPoolExecutor(workers, mp_context=get_context(start), initializer=begin)

    def submit(number: int) -> Future[None]:
        with warnings.catch_warnings():
            # Python warns of a fork beside threads; none of ours holds a lock that a worker needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            return pool.submit(_render_here, number)

    try:
        yield submit
    finally:
        # Parts under way are finished, and kept where the export goes on later.
        pool.shutdown(wait=True, cancel_futures=True)
        _here.clear()


_here: list[tuple[Plan, Examples]] = []
"""What a worker renders: what it was forked with, or what it has opened."""


def _open_here(plan: Plan, make: Make) -> None:
    become_worker()
    _here[:] = [(plan, make())]


def _render_here(number: int) -> None:
    plan, examples = _here[0]
    _render(plan, examples, number)
