"""The index of natural-instructions files: where the instances of each file lie, kept for the next command.

Walking the 3 GB of a checkout takes a minute of a core. What it finds is kept as one note a file (see
`file_notes`), so a changed file costs that file alone. Many files without a note are read by several
processes; these are programs of their own and not forks, because notebooks and training have threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock

import openflan
from openflan.errors import InputError
from openflan.tasks import natural_instructions_file
from openflan.tasks.digest import file_digest, hashed
from openflan.tasks.file_notes import (
    Note,
    has_fresh_note,
    keep_note,
    notes_can_be_kept,
    read_note,
    stamp_of,
    stamps_are_trusted,
)
from openflan.tasks.natural_instructions_file import TaskFile, read_task_file

_MANY = 64 << 20
"""Bytes without a note for which one more process is worth its start; below, no other is started."""

_MOST_PROCESSES = 16
_PROGRAM = "from openflan.tasks.natural_instructions_index import serve; serve()"


def indexed(path: Path) -> tuple[TaskFile, bytes]:
    """What a task file holds, and the hash of its bytes: from its note, or read from the file, which then
    gets a note. Outside of `trusting_stamps` the file is hashed first, and a note of other content is not
    used. Raises as `read_task_file` does."""
    stamp, note = stamp_of(path), read_note(path, _kind())
    if stamp is not None and note is not None:
        same = note.stamp == stamp if stamps_are_trusted() else note.digest == file_digest(path)
        if same:
            if note.stamp != stamp:
                keep_note(path, _kind(), Note(stamp, note.digest, note.body))
            return _unpacked(note.body), note.digest
    return _read_and_kept(path)


def index_ahead(paths: Sequence[Path]) -> None:
    """Gives every file that lacks one a note, in several processes where that is worth it, with a progress
    bar. A file that cannot be read gets none; opening it says why."""
    sizes = {
        path: stamp.size
        for path in paths
        if not has_fresh_note(path, _kind()) and (stamp := stamp_of(path)) is not None
    }
    processes = min(_cores(), _MOST_PROCESSES, sum(sizes.values()) // _MANY)
    if processes < 1 or not notes_can_be_kept():
        return
    from tqdm import tqdm

    # Large files first, so that no process is left with one at the end.
    waiting: SimpleQueue[Path] = SimpleQueue()
    for path in sorted(sizes, key=lambda path: -sizes[path]):
        waiting.put(path)
    label, lock = f"indexing {len(sizes):,} task files, once", Lock()
    with (
        tqdm(total=sum(sizes.values()), desc=label, unit="B", unit_scale=True, disable=None) as bar,
        ThreadPoolExecutor(processes) as pool,
    ):

        def done(path: Path) -> None:
            with lock:
                bar.update(sizes[path])

        try:
            list(pool.map(lambda number: _hand_out(waiting, done), range(processes)))
        finally:
            # After Ctrl-C each process ends with the file under way.
            while not waiting.empty():
                waiting.get_nowait()


def serve() -> None:
    """The program of a process that indexes: reads paths from standard input, one JSON text a line, and
    answers each with a line when its note is written, or when the file cannot be read."""
    for line in sys.stdin:
        with suppress(InputError):
            _read_and_kept(Path(json.loads(line)))
        print(flush=True)


def _hand_out(waiting: SimpleQueue[Path], done: Callable[[Path], None]) -> None:
    """Starts a process and gives it one path after the other until there are no more, or until it ends."""
    folders = [str(Path(openflan.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
        start_new_session=True,  # a terminal sends Ctrl-C to all of its processes
    ) as process:
        if process.stdin is None or process.stdout is None:
            return
        while True:
            try:
                path = waiting.get_nowait()
            except Empty:
                return
            try:
                process.stdin.write(json.dumps(os.path.abspath(path)) + "\n")
                process.stdin.flush()
            except OSError:
                return
            if not process.stdout.readline():
                return
            done(path)


def _read_and_kept(path: Path) -> tuple[TaskFile, bytes]:
    stamp = stamp_of(path)
    task_file, digest = read_task_file(path)
    if stamp is not None:
        keep_note(path, _kind(), Note(stamp, digest, _packed(task_file)))
    return task_file, digest


def _packed(task_file: TaskFile) -> bytes:
    header = {
        "shared": dict(task_file.shared),
        "texts": dict(task_file.texts),
        "left_out": dict(task_file.left_out),
        "code": task_file.spans.typecode,
        "order": sys.byteorder,
    }
    return json.dumps(header).encode() + b"\n" + task_file.spans.tobytes()


def _unpacked(body: bytes) -> TaskFile:
    end = body.index(b"\n")
    header = json.loads(body[:end])
    spans = array(header["code"])
    spans.frombytes(memoryview(body)[end + 1 :])
    if header["order"] != sys.byteorder:
        spans.byteswap()
    return TaskFile(header["shared"], header["texts"], header["left_out"], spans)


@cache
def _kind() -> str:
    """The kind of the notes, another one for another reader: what it counts as usable may have changed."""
    digest = hashed()
    digest.update(openflan.__version__.encode())
    with suppress(OSError):  # an installation without sources
        digest.update(Path(natural_instructions_file.__file__).read_bytes())
    return f"natural-instructions-{digest.hexdigest()[:16]}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
