"""Divides requests among processes, and joins the processes' files into one.

Requests are divided into chunks by their order. A chunk fills an engine's batches a few times, and one
process generates all of it. A generation therefore has the same neighbours in its batch on one process or
many, resumed or not. It is the same to the bit. Incomplete chunks are given to the processes in turn. Price:
a chunk that was interrupted, or that a larger `--limit` completes, is computed again as a whole (existing
lines stay). Batches are not full at the end of a chunk. Every process renders and tokenises all prompts.

Each process appends to a file of its own, the main one to the file itself. Finished generations are put into
one file, in the order of the requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.generations import checked_generations, whole_lines
from openflan.run_folder import replacing


class Processes(Protocol):
    """This process among those that share an evaluation; rank 0 is the main one."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def barrier(self) -> None: ...

    def all_reduce_sum(self, values: Iterable[float]) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class _SingleProcess:
    rank: int = 0
    size: int = 1

    def barrier(self) -> None:
        """Nobody to wait for."""

    def all_reduce_sum(self, values: Iterable[float]) -> list[float]:
        return list(values)


SINGLE_PROCESS: Processes = _SingleProcess()


@runtime_checkable
class Batching(Protocol):
    """An engine that computes requests together, so that other requests may change the last bits of an
    answer."""

    @property
    def together(self) -> int:
        """The number of generations in one chunk."""
        ...


def share_of_process(
    pending: Sequence[int], engine: object, samples: int, questions: int, processes: Processes
) -> list[list[int]]:
    """The calls of this process, each as positions of questions: those in `pending` and the others of their
    chunks.

    An engine that does not compute requests together gets `pending` alone, in one call.
    """
    if not isinstance(engine, Batching):
        mine = list(pending[processes.rank :: processes.size])
        return [mine] if mine else []
    size = max(1, engine.together // samples)
    chunks = list(dict.fromkeys(position // size for position in pending))
    return [
        list(range(chunk * size, min((chunk + 1) * size, questions)))
        for chunk in chunks[processes.rank :: processes.size]
    ]


def part_of_process(path: Path, processes: Processes) -> Path:
    """The file this process appends to."""
    return path if processes.rank == 0 else path.with_name(f"{path.name}.part-{processes.rank}")


def parts_of(path: Path) -> list[Path]:
    """The files that other processes wrote and that are not merged yet."""
    return sorted(one for one in path.parent.glob("*.part-*") if one.name.startswith(f"{path.name}.part-"))


def put_together(path: Path, benchmark: Benchmark) -> None:
    """Join `path` and its parts into one file in the order of the requests (the benchmark's tasks, indices,
    samples). Nothing is written if `path` is complete and in order.

    A kill at any moment loses nothing: a line that is in a part and in `path` counts once. Raises InputError
    if the two are of different models, prompts or decodings, and for lines of another benchmark.
    """
    parts = parts_of(path)
    order = {task: place for place, task in enumerate(benchmark.tasks)}
    lines_by_key: dict[tuple[int, int, int], tuple[str, int, int, int]] = {}
    for source_index, source in enumerate([path, *parts]):
        whole_lines(source)
        for (location, generation), (first, end) in zip(
            checked_generations(source, benchmark), _lines(source), strict=True
        ):
            key = (order[generation.task], generation.index, generation.sample)
            if key not in lines_by_key:
                lines_by_key[key] = (generation.request, source_index, first, end)
            elif source_index == 0 or lines_by_key[key][0] != generation.request:
                raise InputError(
                    f"{location}: {generation.task} {generation.index} is there twice: keep one of the lines"
                )
    if parts or list(lines_by_key) != sorted(lines_by_key):
        with replacing(path) as temporary, ExitStack() as open_files:
            sources = [open_files.enter_context(source.open("rb")) for source in (path, *parts)]
            file = open_files.enter_context(temporary.open("wb"))
            for _, source_index, first, end in (lines_by_key[key] for key in sorted(lines_by_key)):
                sources[source_index].seek(first)
                file.write(sources[source_index].read(end - first))
    for part in parts:
        part.unlink()


def _lines(path: Path) -> Iterator[tuple[int, int]]:
    """Start and end of each line that is not blank."""
    first = 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield first, first + len(line)
            first += len(line)
