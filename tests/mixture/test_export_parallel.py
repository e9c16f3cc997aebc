"""An export by several processes, or in several attempts, is the export of one."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from openflan.errors import InputError, SetupError
from openflan.mixture import export_workers
from openflan.mixture.export import export, hf_dataset
from openflan.mixture.export_parts import PartFolder, parts_are_there
from openflan.mixture.export_records import FORMS, Form
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.mixture.stream import Stream
from openflan.recipe.schema import Mixture
from openflan.stopping import Terminated
from openflan.templates.render import Rendered

SIZE = 16
COUNT = 5 * SIZE + 3
SUFFIXES = (".jsonl", ".parquet")


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_workers, "SIZE", SIZE)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    return


def opened() -> Stream:
    mixture = Mixture.model_validate({"submixtures": {"microflan": {"tasks": ["*_colour-*"], "cap": 50}}})
    return build_stream(mixture, open_tasks(mixture), seed=5)


@pytest.fixture(scope="module")
def stream() -> Stream:
    return opened()


class Stopped:
    """A stream that fails from some position on, and counts what was rendered."""

    def __init__(self, stream: Stream, at: int, error: Exception | None = None) -> None:
        self._stream, self._at, self._error = stream, at, error
        self.rendered: list[int] = []

    def __getitem__(self, position: int) -> Rendered:
        if position >= self._at:
            raise self._error or SetupError("the disk is full")
        self.rendered.append(position)
        return self._stream[position]


def whole(stream: Stream, folder: Path, suffix: str, form: Form = "text", count: int = COUNT) -> bytes:
    path = folder / f"whole{suffix}"
    export(stream, path, count, form=form)
    return path.read_bytes()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_processes_gives_the_same_file(
    workers: int, suffix: str, form: Form, stream: Stream, tmp_path: Path
) -> None:
    path = tmp_path / f"mixture{suffix}"
    alone = export(stream, tmp_path / f"alone{suffix}", COUNT, form=form)
    done = export(stream, path, COUNT, form=form, workers=workers)
    assert path.read_bytes() == (tmp_path / f"alone{suffix}").read_bytes()
    assert (done.tasks, done.formats, done.characters) == (alone.tasks, alone.formats, alone.characters)
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"alone{suffix}", path.name]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(SUFFIXES),
    stops=st.lists(st.integers(0, COUNT), max_size=3),
    damage=st.integers(0, 10**6),
    count=st.integers(COUNT - SIZE, COUNT),
)
def test_whatever_stops_it_the_bytes_are_those_of_an_undisturbed_export(
    suffix: str, stops: list[int], damage: int, count: int, stream: Stream, tmp_path: Path
) -> None:
    expected = whole(stream, tmp_path, suffix, count=count)
    path, draw = tmp_path / f"mixture{suffix}", random.Random(damage)
    for stop in stops:
        if stop < count:
            with pytest.raises(SetupError, match="the disk is full"):
                export(Stopped(stream, stop), path, count, key="same")
            assert not path.exists()
        for part in sorted(PartFolder(path).folder.glob("*.part")):
            if draw.random() < 0.3:
                ruin(part, draw)
    export(stream, path, count, key="same")
    assert path.read_bytes() == expected
    path.unlink()


def ruin(part: Path, draw: random.Random) -> None:
    data = bytearray(part.read_bytes())
    at = draw.randrange(len(data)) if data else 0
    if data:
        data[at] ^= 1 << draw.randrange(8)
    part.write_bytes(draw.choice([bytes(data), bytes(data[:at]), b""]))


def test_what_was_rendered_before_a_stop_is_not_rendered_again(stream: Stream, tmp_path: Path) -> None:
    path = tmp_path / "mixture.parquet"
    with pytest.raises(SetupError):
        export(Stopped(stream, 3 * SIZE + 2), path, COUNT, key="same")
    assert parts_are_there(path)
    second = Stopped(stream, COUNT)
    export(second, path, COUNT, key="same")
    assert second.rendered == list(range(3 * SIZE, COUNT))
    assert not parts_are_there(path)


@pytest.mark.parametrize("key", ["other", None])
def test_parts_of_other_examples_are_not_used(key: str | None, stream: Stream, tmp_path: Path) -> None:
    path = tmp_path / "mixture.jsonl"
    with pytest.raises(SetupError):
        export(Stopped(stream, 3 * SIZE), path, COUNT, key="same")
    second = Stopped(stream, COUNT)
    export(second, path, COUNT, key=key)
    assert second.rendered == list(range(COUNT))


def test_a_bad_row_leaves_no_parts_in_any_process(stream: Stream, tmp_path: Path) -> None:
    for workers in (1, 2):
        broken = Stopped(stream, 2 * SIZE, InputError("rows.jsonl:7: is broken"))
        with pytest.raises(InputError, match="rows.jsonl:7: is broken"):
            export(broken, tmp_path / "mixture.jsonl", COUNT, key="same", workers=workers)
        assert list(tmp_path.iterdir()) == []


class Ending:
    """A stream whose reader ends its process, as the system does with one that takes too much memory."""

    def __init__(self, stream: Stream, at: int) -> None:
        self._stream, self._at, self._parent = stream, at, os.getpid()

    def __getitem__(self, position: int) -> Rendered:
        if position >= self._at and os.getpid() != self._parent:
            os._exit(9)
        return self._stream[position]


@pytest.mark.skipif(export_workers.start_method(None) != "fork", reason="no fork here")
def test_a_process_that_ends_by_itself_is_said_and_its_export_goes_on(stream: Stream, tmp_path: Path) -> None:
    path = tmp_path / "mixture.parquet"
    with pytest.raises(SetupError, match="ended by itself, perhaps for want of memory"):
        export(Ending(stream, 2 * SIZE), path, COUNT, key="same", workers=2)
    export(stream, path, COUNT, key="same")
    assert path.read_bytes() == whole(stream, tmp_path, ".parquet")


def test_a_stop_between_parts_keeps_them(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked:
        """True from the third look on."""

        looks = 0

        def __bool__(self) -> bool:
            self.looks += 1
            return self.looks > 2

        def ended(self, where: str) -> Terminated:
            return Terminated(f"stopped by SIGTERM {where}; run the same command again to go on")

    from contextlib import contextmanager

    from openflan.mixture import export as module

    @contextmanager
    def stoppable(unit: str) -> Iterator[Asked]:
        yield Asked()

    path = tmp_path / "mixture.jsonl"
    with monkeypatch.context() as patched:
        patched.setattr(module, "stoppable", stoppable)
        with pytest.raises(Terminated, match="after 32 of 83 examples; run the same command again"):
            export(stream, path, COUNT, key="same")
    second = Stopped(stream, COUNT)
    export(second, path, COUNT, key="same")
    assert min(second.rendered) == 2 * SIZE


def test_messages_hold_the_texts(stream: Stream, tmp_path: Path) -> None:
    export(stream, tmp_path / "text.jsonl", 40)
    for suffix in SUFFIXES:
        export(stream, tmp_path / f"chat{suffix}", 40, form="messages")
    texts = [json.loads(line) for line in (tmp_path / "text.jsonl").read_text().splitlines()]
    lines = [json.loads(line) for line in (tmp_path / "chat.jsonl").read_text().splitlines()]
    assert parquet.read_table(tmp_path / "chat.parquet").to_pylist() == lines
    for text, chat in zip(texts, lines, strict=True):
        inputs, targets = text.pop("inputs"), text.pop("targets")
        assert chat.pop("messages") == [
            {"role": "user", "content": inputs},
            {"role": "assistant", "content": targets},
        ]
        assert chat == text


def test_a_hugging_face_dataset_has_messages_too(stream: Stream, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra `data` is not installed")
    export(stream, tmp_path / "chat.jsonl", 30, form="messages")
    lines = [json.loads(line) for line in (tmp_path / "chat.jsonl").read_text().splitlines()]
    assert list(hf_dataset(opened, 30, 3, "messages")) == lines


def test_a_second_export_to_the_same_file_is_refused(stream: Stream, tmp_path: Path) -> None:
    path = tmp_path / "mixture.jsonl"
    refused: list[str] = []

    class Twice:
        def __getitem__(self, position: int) -> Rendered:
            if not refused:
                try:
                    export(stream, path, COUNT)
                except InputError as error:
                    refused.append(str(error))
            return stream[position]

    export(Twice(), path, COUNT)
    assert refused == [f"{path}: another export is at work there; wait for it, or name another file"]


@pytest.mark.slow
def test_processes_that_open_the_stream_themselves_give_the_same_file(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_workers, "start_method", lambda make: "spawn")
    path = tmp_path / "mixture.parquet"
    export(stream, path, COUNT, workers=2, make=opened)
    assert path.read_bytes() == whole(stream, tmp_path, ".parquet")
