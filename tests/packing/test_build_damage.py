"""Builds on disk that were killed or damaged: this is noticed, and the blocks are made again."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build_work import EXPECTED, ROWS, as_lists, build_folder, bytes_by_name, live_rows, plan_of, rows_of_plan
from numbered_words import Words

from openflan.errors import InputError, SetupError
from openflan.packing.build_ahead import Shard
from openflan.packing.store import block_folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    build_folder(folder)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "build"))


MANY = 240
"""Eighty blocks."""


def _start(folder: Path, shard: str = "0/1", workers: int = 1) -> subprocess.Popen[str]:
    """A build in a process of its own, that has just begun."""
    code = f"""
import numbered_words as here
from pathlib import Path
from openflan.packing.build_ahead import Shard, build

if __name__ == "__main__":
    print("ready", flush=True)
    shard = Shard.parse("{shard}")
    options = dict(shard=shard, layout=here.LAYOUT, workers={workers}, make=here.opened)
    build(Path("{folder}"), *here.opened(), here.PARTS, {MANY}, **options)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", process.communicate()[1]
    return process


def _kill(process: subprocess.Popen[str]) -> int:
    process.kill()
    process.communicate()
    return process.returncode


def _finished(folder: Path) -> int:
    return len(list(folder.glob("blocks/[0-9]*")))


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2])
def test_a_build_killed_ten_times_ends_like_one_that_was_not(shards: int, tmp_path: Path) -> None:
    """Shards are killed by turns in one folder; afterwards the blocks of each are also made elsewhere, and
    put together."""
    uninterrupted, killed, draws = tmp_path / "whole", tmp_path / "killed", random.Random(shards)
    expected = build_folder(uninterrupted, MANY)
    in_the_middle = 0
    for position in range(10):
        process = _start(killed, f"{position % shards}/{shards}")
        # Some blocks further, and then anywhere: between two blocks or within one.
        num_wanted_blocks, end = (
            min(_finished(killed) + draws.randrange(6), MANY // 3 // 2),
            time.monotonic() + 20,
        )
        while _finished(killed) < num_wanted_blocks and process.poll() is None and time.monotonic() < end:
            time.sleep(0.0005)
        time.sleep(draws.random() * 0.01)
        in_the_middle += _kill(process) == -signal.SIGKILL
    assert in_the_middle == 10
    assert 0 < _finished(killed) < MANY // 3
    for index in range(shards):
        build_folder(killed, MANY, shard=Shard(index, shards))
        build_folder(tmp_path / f"part{index}", MANY, shard=Shard(index, shards))
        shutil.copytree(
            tmp_path / f"part{index}" / "blocks", tmp_path / "merged" / "blocks", dirs_exist_ok=True
        )
    for folder in (killed, tmp_path / "merged"):
        done = build_folder(folder, MANY)
        assert (done.made, done.content) == (0, expected.content)
        assert {
            name: data for name, data in bytes_by_name(folder).items() if not name.startswith("blocks/.")
        } == bytes_by_name(uninterrupted)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the workers")
def test_workers_end_with_a_build_that_is_killed(tmp_path: Path) -> None:
    """Else they would wait for work until the machine is restarted."""
    process = _start(tmp_path, workers=2)
    assert _wait_for(lambda: _finished(tmp_path) > 0)
    workers = [
        int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]
    assert len(workers) >= 2
    _kill(process)
    assert _wait_for(lambda: not any(map(_runs, workers)))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_for(true: Callable[[], bool]) -> bool:
    """Whether something becomes so within twenty seconds."""
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "a flipped bit": _flip,
    "cut short": _cut,
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("name", ["ids", "offsets", "pruned", "members", "starts"])
def test_damaged_files_are_named_and_made_again(name: str, what: str, copy: Path, whole: Path) -> None:
    path = block_folder(copy, 1) / f"{name}.npy"
    DAMAGE[what](path)
    with pytest.raises(
        InputError,
        match=f"{path}: missing, incomplete or changed since .*; give --repair to make block 1 again",
    ):
        build_folder(copy)
    plan = plan_of(copy)
    assert as_lists(plan.sequences(0, 5)) == EXPECTED[:5], "other blocks can be read"
    with pytest.raises(InputError, match=f"{path}: .*`openflan build` with --repair"):
        plan.sequences(sum(plan.index()[:3]), 1)
    said: list[str] = []
    done = build_folder(copy, repair=True, notice=said.append)
    assert (done.made, done.kept) == (1, 2)
    assert len(said) == 1
    assert said[0].startswith(f"{path}: ")
    assert bytes_by_name(copy) == bytes_by_name(whole)


@pytest.mark.parametrize("text", ["", '{"tokens_key": "', "[1, 2]", '{"files": {}}', "7"])
def test_a_torn_block_json_is_named_and_made_again(text: str, copy: Path, whole: Path) -> None:
    path = block_folder(copy, 2) / "block.json"
    path.write_text(text)
    for doing in (lambda: build_folder(copy), lambda: plan_of(copy)):
        with pytest.raises(InputError, match=str(path)) as caught:
            doing()
        assert "--repair" in str(caught.value)
    said: list[str] = []
    assert build_folder(copy, repair=True, notice=said.append).made == 1
    assert [str(path) in text for text in said] == [True]
    assert bytes_by_name(copy) == bytes_by_name(whole)


def test_a_block_without_its_block_json_is_made_again(copy: Path, whole: Path) -> None:
    (block_folder(copy, 0) / "block.json").unlink()
    assert build_folder(copy).made == 1
    assert bytes_by_name(copy) == bytes_by_name(whole)


def test_a_full_disk_leaves_complete_blocks(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = np.save, 0

    def full(*arguments: Any, **settings: Any) -> None:
        nonlocal saved
        saved += 1
        if saved > 7:  # five files a block
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments, **settings)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(SetupError, match="No space left on device"):
        build_folder(tmp_path)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "blocks").iterdir()] == ["000000"]
    assert rows_of_plan(plan_of(tmp_path), ROWS) == live_rows()
    assert build_folder(tmp_path).made == 2
    assert bytes_by_name(tmp_path) == bytes_by_name(whole)


def test_a_folder_that_cannot_be_made_is_the_environments_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written"):
        build_folder(tmp_path / "file" / "build")


def test_data_that_cannot_be_read_are_not_blamed_on_the_folder(tmp_path: Path) -> None:
    class Gone(Words):
        def unpruned(self, position: int) -> Any:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", "rows.jsonl")

    with pytest.raises(FileNotFoundError, match=r"rows\.jsonl"):
        build_folder(tmp_path, examples=Gone())
