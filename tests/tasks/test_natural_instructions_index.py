"""The index of natural-instructions files: the second start reads no task file, and says the same."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openflan.mixture.fingerprints import fingerprint
from openflan.tasks import file_notes, natural_instructions_index
from openflan.tasks.digest import digest_of
from openflan.tasks.file_notes import trusting_stamps
from openflan.tasks.natural_instructions import read_task
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import NotUsable, Task


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_notes, "_SETTLED", 0.0)
    monkeypatch.setattr(file_notes, "_SETTLED_COARSE", 0.0)
    return tmp_path / "cache"


def document(rows: int, answer: str = "yes", **more: Any) -> dict[str, Any]:
    return {
        "Definition": ["Say whether it is so."],
        "Categories": ["Question Answering"],
        "Source": ["somewhere"],
        "Input_language": ["English"],
        "Output_language": ["Deutsch"],
        "Instance License": ["MIT"],
        "Positive Examples": [{"input": "Is it?", "output": "yes", "explanation": "It is: naïve 数."}],
        "Instances": [
            {"input": f"Is {number} so? é", "output": [answer] if number % 7 else [" "]}
            for number in range(rows)
        ],
    } | more


def task_file(folder: Path, number: int = 1, rows: int = 40, **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"task{number:03}_made_up.json"
    path.write_text(json.dumps(document(rows, **more), ensure_ascii=False), encoding="utf-8")
    return path


def described(task: Task) -> tuple[Any, ...]:
    rows = [task.rows[index] for index in range(len(task.rows))]
    return (rows, task.fields, task.dataset, task.category, task.languages, task.licence, task.left_out)


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Any:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(natural_instructions_index, "read_task_file", refuse)


@pytest.mark.parametrize("trusting", [True, False])
def test_the_second_start_walks_no_file_and_gives_the_same_task(
    trusting: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = task_file(tmp_path)
    first = read_task(path, "niv2")
    assert first.left_out == {"empty output": 6}
    no_reading(monkeypatch)
    if trusting:
        with trusting_stamps():
            second = read_task(path, "niv2")
    else:
        second = read_task(path, "niv2")
    assert described(second) == described(first)
    assert fingerprint(second) == fingerprint(first)


def test_the_control_without_a_note_does_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = task_file(tmp_path)
    no_reading(monkeypatch)
    with pytest.raises(AssertionError, match="was read"):
        read_task(path, "niv2")


def test_a_changed_file_is_noticed_though_size_and_time_are_the_same(tmp_path: Path) -> None:
    path = task_file(tmp_path)
    with trusting_stamps():
        task = read_task(path, "niv2")
        before = task.rows[0]["answer"], fingerprint(task)
        times = path.stat()
        path.write_text(path.read_text(encoding="utf-8").replace("yes", "no!"), encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert path.stat().st_size == times.st_size
        task = read_task(path, "niv2")
        after = task.rows[0]["answer"], fingerprint(task)
    assert (before[0], after[0]) == ("yes", "no!")
    assert before[1] != after[1]


def test_training_notices_a_change_that_left_the_stamp_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = task_file(tmp_path)
    known = file_notes.stamp_of(path)
    before = digest_of(read_task(path, "niv2").rows)
    path.write_text(path.read_text(encoding="utf-8").replace("yes", "no!"), encoding="utf-8")
    # As on a disk whose clock stands still.
    monkeypatch.setattr(natural_instructions_index, "stamp_of", lambda path: known)
    monkeypatch.setattr(file_notes, "stamp_of", lambda path: known)
    with trusting_stamps():
        assert digest_of(read_task(path, "niv2").rows) == before
    task = read_task(path, "niv2")
    assert task.rows[0]["answer"] == "no!"
    assert digest_of(task.rows) != before


def test_only_the_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tasks"
    for number in range(4):
        task_file(folder, number)
    walked: list[str] = []
    own = natural_instructions_index.read_task_file
    monkeypatch.setattr(
        natural_instructions_index, "read_task_file", lambda path: walked.append(path.name) or own(path)
    )
    with trusting_stamps():
        open_submixture("niv2", folder)
        assert len(walked) == 4
        task_file(folder, 2, rows=50)
        open_submixture("niv2", folder)
    assert walked[4:] == ["task002_made_up.json"]


def test_a_file_that_cannot_be_used_is_refused_each_time(tmp_path: Path) -> None:
    path = task_file(tmp_path, Instances=[{"input": "x", "output": [""]}])
    for _ in range(2):
        with trusting_stamps(), pytest.raises(NotUsable, match="none of its 1 rows can be used"):
            read_task(path, "niv2")


def test_several_processes_give_every_file_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tasks"
    paths = [task_file(folder, number, rows=20 + number) for number in range(9)]
    (folder / "task009_made_up.json").write_text("{")
    without = {path.stem: described(read_task(path, "niv2")) for path in paths}
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(natural_instructions_index, "_MANY", 1)
    monkeypatch.setattr(natural_instructions_index, "_cores", lambda: 2)
    natural_instructions_index.index_ahead([*paths, folder / "task009_made_up.json"])
    no_reading(monkeypatch)
    with trusting_stamps():
        assert {path.stem: described(read_task(path, "niv2")) for path in paths} == without


def test_without_a_cache_folder_no_process_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = task_file(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(natural_instructions_index, "_MANY", 1)
    monkeypatch.setattr(natural_instructions_index.subprocess, "Popen", None)
    natural_instructions_index.index_ahead([path])
    assert len(read_task(path, "niv2").rows) == 34


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), cut=st.booleans())
def test_a_damaged_index_is_rebuilt_with_a_word(seed: int, cut: bool, tmp_path: Path, cache: Path) -> None:
    draw = random.Random(seed)
    path = task_file(tmp_path)
    with trusting_stamps():
        before = described(read_task(path, "niv2"))
        (place,) = [note for note in cache.rglob("*") if note.is_file()]
        whole = bytearray(place.read_bytes())
        offset = draw.randrange(len(whole))
        whole[offset] ^= 1 << draw.randrange(8)
        place.write_bytes(whole[:offset] if cut else whole)
        with pytest.warns(UserWarning, match="damaged; .*task001_made_up.json is read again"):
            assert described(read_task(path, "niv2")) == before
        assert described(read_task(path, "niv2")) == before  # no warning: the note is whole again
