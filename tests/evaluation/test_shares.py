"""Processes that share an evaluation, here threads of one: whatever is killed on the way, the file is the one
an undisturbed process writes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.evaluation import Benchmark, BenchmarkTask, Example, generate_to
from openflan.evaluation.benchmark import exactly
from openflan.evaluation.generate import GREEDY, Decoding, Generated
from openflan.inference import Completion, Request

TOY = Benchmark(
    name="toy",
    mode="direct",
    tasks={"one": BenchmarkTask(7, 50.0), "two": BenchmarkTask(6, 50.0)},
    examples=lambda task: [
        Example(task, index, f"{task} {index} ?", "yes", 0) for index in range(TOY.tasks[task].size)
    ],
    extract=lambda task, generation: generation,
    compare=exactly,
    averages={"average": ("one", "two")},
    max_tokens=6,
    prompt_version="toy-1",
)


class Killed(BaseException):
    pass


@dataclass
class Company:
    """An engine whose answers tell in what company a request was asked, as the last bits of a model's logits
    do; last requests are answered first."""

    together: int
    kill_after: int | None = None
    fingerprint: str = "f"
    calls: list[list[str]] = field(default_factory=list)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        self.calls.append([request.prompt for request in requests])
        company = hashlib.sha256(
            repr([(request.prompt, request.samples) for request in requests]).encode()
        ).hexdigest()[:8]
        for index in reversed(range(len(requests))):
            for sample in range(requests[index].samples):
                if self.kill_after == 0:
                    raise Killed
                if self.kill_after is not None:
                    self.kill_after -= 1
                yield index, Completion(f"{requests[index].prompt} {sample} {company}", 1, "eos", sample)


class Lonely:
    """The same answers, but each by itself: no word of how many to ask together."""

    fingerprint = "l"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        self.calls.append([request.prompt for request in requests])
        yield from ((index, Completion(request.prompt, 1, "eos")) for index, request in enumerate(requests))


@dataclass
class Threads:
    rank: int
    size: int
    meeting: threading.Barrier
    slots: list[list[float]]

    def barrier(self) -> None:
        self.meeting.wait(20)

    def all_reduce_sum(self, values: Iterable[float]) -> list[float]:
        self.slots[self.rank] = list(values)
        self.barrier()
        return [sum(column) for column in zip(*self.slots, strict=True)]


def shared(
    path: Path, engines: Sequence[Company | Lonely], decoding: Decoding = GREEDY, **more: int
) -> list[Generated | BaseException | None]:
    """Runs as many processes as there are engines; what each returned or died of. One that dies takes the
    others along, as torchrun sees to."""
    meeting = threading.Barrier(len(engines))
    slots: list[list[float]] = [[] for _ in engines]
    ends: list[Generated | BaseException | None] = [None] * len(engines)

    def one(rank: int) -> None:
        try:
            ends[rank] = generate_to(
                path,
                TOY,
                engines[rank],
                decoding=decoding,
                processes=Threads(rank, len(engines), meeting, slots),
                **more,
            )  # type: ignore[arg-type]
        except BaseException as error:
            ends[rank] = error
            meeting.abort()

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(len(engines))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


@settings(max_examples=40, deadline=None)
@given(
    together=st.integers(1, 20),
    samples=st.integers(1, 3),
    kills=st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(0, 25), st.integers(0, 60)), max_size=3
    ),
    last=st.integers(1, 4),
)
def test_the_file_is_the_same_on_any_number_of_processes_whatever_was_killed(
    together: int,
    samples: int,
    kills: list[tuple[int, int, int, int]],
    last: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("run")
    decoding = Decoding(samples, 0.7) if samples > 1 else Decoding()
    generate_to(folder / "whole.jsonl", TOY, Company(together), decoding=decoding)
    expected = (folder / "whole.jsonl").read_bytes()
    order = [(line["task"], line["index"], line["sample"]) for line in map(json.loads, expected.splitlines())]
    assert order == [
        (task, index, sample)
        for task in ("one", "two")
        for index in range(TOY.tasks[task].size)
        for sample in range(samples)
    ]

    path = folder / "run.jsonl"
    for size, rank, after, torn in kills:
        shared(
            path,
            [Company(together, after if number == rank % size else None) for number in range(size)],
            decoding,
        )
        for item in folder.glob("run.jsonl*"):
            with item.open("ab") as file:
                file.write(expected[:torn].split(b"\n")[0])
    ends = shared(path, [Company(together) for _ in range(last)], decoding)
    assert all(isinstance(end, Generated) and end.new + end.found == 13 * samples for end in ends)
    assert path.read_bytes() == expected
    assert {one.name for one in folder.iterdir()} == {"whole.jsonl", "run.jsonl"}


def test_chunks_of_another_size_would_be_noticed(tmp_path: Path) -> None:
    """Negative control: the engine above tells companies apart."""
    for together in (3, 4):
        generate_to(tmp_path / f"{together}.jsonl", TOY, Company(together))
    assert (tmp_path / "3.jsonl").read_bytes() != (tmp_path / "4.jsonl").read_bytes()


def test_every_process_gets_its_chunks_and_only_interrupted_ones_are_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    engines = [Company(2), Company(2), Company(2)]
    shared(path, engines)
    assert [[len(call) for call in engine.calls] for engine in engines] == [[2, 2, 1], [2, 2], [2, 2]]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(
        b"".join(lines[:5] + lines[6:12])
    )  # one of the third chunk is missing, and the last chunk of one
    engines = [Company(2), Company(2), Company(2)]
    ends = shared(path, engines)
    assert [engine.calls for engine in engines] == [[["one 4 ?", "one 5 ?"]], [["two 5 ?"]], []]
    assert ends == [Generated(2, 11, 0, 2)] * 3
    assert path.read_bytes() == b"".join(lines)


def test_an_engine_without_batches_is_asked_for_what_is_missing_in_one_call(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    generate_to(path, TOY, Lonely(), limit=2)
    engines = [Lonely(), Lonely()]
    shared(path, engines, limit=4)
    assert [engine.calls for engine in engines] == [[["one 2 ?", "two 2 ?"]], [["one 3 ?", "two 3 ?"]]]
    assert [json.loads(line)["index"] for line in path.read_bytes().splitlines()] == [0, 1, 2, 3] * 2


def test_parts_of_another_model_are_refused_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    generate_to(path, TOY, Company(4))
    part = path.with_name("toy.jsonl.part-1")
    part.write_bytes(path.read_bytes())
    generate_to(path, TOY, Company(4))
    assert (
        not part.exists()
    )  # a kill between the renaming of the file and the removal of its parts leaves such
    other = replace(TOY, examples=lambda task: [replace(one, prompt="other") for one in TOY.examples(task)])
    generate_to(tmp_path / "other.jsonl", other, Company(4))
    part.write_bytes((tmp_path / "other.jsonl").read_bytes())
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"toy\.jsonl\.part-1:1: one 0 is there twice"):
        generate_to(path, TOY, Company(4))
    assert (path.read_bytes(), part.exists()) == (before, True)
