"""Builds on disk: what training reads from them is what it would make itself, and what was damaged, killed or
changed is seen."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered_words import JOINT, LAYOUT, LIMITS, PARTS, ROOM, Words, encoder, opened

from openflan.errors import InputError, SetupError
from openflan.packing.batch import Seq2SeqBatch, seq2seq_batch
from openflan.packing.build_ahead import Shard, Summary, build, differences
from openflan.packing.encode import Encoded, Limits
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.packing.store import Parts, Store, block_folder, read_block

WINDOWS = 8
"""Two whole blocks of three windows, and one of two."""


def _build(
    folder: Path,
    windows: int = WINDOWS,
    limits: Limits = LIMITS,
    parts: Parts = PARTS,
    examples: Words | None = None,
    **settings: Any,
) -> Summary:
    return build(folder, examples or Words(ROOM), encoder(limits), parts, windows, layout=LAYOUT, **settings)


def _plan(
    folder: Path | None = None, limits: Limits = LIMITS, parts: Parts = PARTS, index: tuple[int, ...] = ()
) -> ExampleStream:
    """Made live, or from the build in a folder."""
    built = Store(folder, parts, LAYOUT) if folder else None
    return packed_examples(Words(ROOM), encoder(limits), index, window=LAYOUT.window, built=built)


def _listed(rows: list[list[Encoded]]) -> list[list[tuple[list[int], list[int], int]]]:
    return [
        [(example.input_ids.tolist(), example.target_ids.tolist(), example.truncated) for example in row]
        for row in rows
    ]


def _all(plan: ExampleStream, rows: int) -> list[Any]:
    """Everything that a plan tells of its first rows."""
    listed = _listed(plan.sequences(0, rows))
    index = plan.index(rows)
    return [
        listed,
        [window.origins(number) for window, number in plan.locate(0, rows)],
        [window.positions(number) for window, number in plan.locate(0, rows)],
        index,
        [plan.counts(number) for number in range(len(index))],
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    _build(folder)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "build"))


ROWS = sum(len(_plan().window(number)) for number in range(WINDOWS)) + 30
"""All rows of the build, and some of the windows behind it."""


@pytest.mark.parametrize("limits", [LIMITS, JOINT], ids=["seq2seq", "causal"])
@pytest.mark.parametrize("windows", [1, 2, 5, WINDOWS])
def test_a_plan_from_a_build_is_the_plan_made_live(limits: Limits, windows: int, tmp_path: Path) -> None:
    """Also where the build is shorter than what is read."""
    _build(tmp_path, windows, limits)
    assert Store(tmp_path, PARTS, LAYOUT).examples == windows * LAYOUT.window
    assert _all(_plan(tmp_path, limits), ROWS) == _live(limits)


def test_the_windows_of_a_build_are_read_not_made(whole: Path) -> None:
    """Negative control: a stream that cannot be asked serves for all rows of the build, and not for the first
    behind it."""

    class Silent(Words):
        def unpruned(self, position: int) -> Any:
            raise AssertionError(f"position {position} was rendered")

    built = Store(whole, PARTS, LAYOUT)
    plan = packed_examples(Silent(ROOM), encoder(), window=LAYOUT.window, built=built)
    rows = sum(built.sequences_per_window())
    assert _listed(plan.sequences(0, rows)) == EXPECTED[:rows]
    with pytest.raises(AssertionError, match=f"position {WINDOWS * LAYOUT.window} was rendered"):
        plan.sequences(rows, 1)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_blocks_that_are_missing_are_made_live(missing: int, copy: Path) -> None:
    shutil.rmtree(block_folder(copy, missing))
    assert _all(_plan(copy), ROWS) == _live()
    assert _build(copy).made == 1
    assert _all(_plan(copy), ROWS) == _live()


@settings(max_examples=30, deadline=None)
@given(position=st.integers(0, ROWS - 1), known=st.integers(0, ROWS), missing=st.booleans())
def test_training_goes_on_from_any_position(position: int, known: int, missing: bool, whole: Path) -> None:
    """With the index of an earlier run that went as far as `known`, with a build and without."""
    first = _plan()
    first.sequences(0, known)
    resumed = _plan(None if missing else whole, index=tuple(first.index(known)))
    count = min(12, ROWS - position)
    assert _listed(resumed.sequences(position, count)) == EXPECTED[position : position + count]


@cache
def _live(limits: Limits = LIMITS) -> list[Any]:
    return _all(_plan(limits=limits), ROWS)


EXPECTED = _live()[0]


def _global_batch(
    folder: Path | None, number: int, size: int, ranks: int, micro: int
) -> list[list[list[int]]]:
    """Batch `number` as `ranks` processes with plans of their own make it, each its part in micro-batches;
    input and target ids of every row."""
    found: list[list[list[int]]] = []
    for rank in range(ranks):
        plan = _plan(folder)
        mine = range(rank * size // ranks, (rank + 1) * size // ranks)
        for first in range(mine.start, mine.stop, micro):
            rows = plan.sequences(number * size + first, min(micro, mine.stop - first))
            batch = seq2seq_batch(rows, pad_id=0, start_id=0)
            assert isinstance(batch, Seq2SeqBatch)
            for row in range(len(rows)):
                sides = (
                    (batch.input_ids_RE, batch.input_segments_RE),
                    (batch.target_ids_RD, batch.target_segments_RD),
                )
                found.append([ids[row][segments[row] > 0].tolist() for ids, segments in sides])
    return found


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_global_batch_is_the_same_for_any_ranks_and_micro_batches(number: int, whole: Path) -> None:
    expected = _global_batch(None, number, 24, 1, 24)
    flat = [
        [token for inputs, _, _ in row for token in inputs]
        for row in EXPECTED[24 * number : 24 * number + 24]
    ]
    assert [inputs for inputs, _ in expected] == flat
    assert len({str(row) for row in expected}) == 24, "rows differ, so that another order would be seen"
    for ranks in (1, 2, 3, 8):
        for micro in (1, 5, 24):
            for folder in (None, whole):
                assert _global_batch(folder, number, 24, ranks, micro) == expected


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".lock" not in path.name
    }


def test_the_same_build_is_the_same_to_the_byte(whole: Path, tmp_path: Path) -> None:
    done = _build(tmp_path)
    assert _bytes(tmp_path) == _bytes(whole)
    again = _build(whole)
    assert (done.made, done.kept, again.made, again.kept) == (3, 0, 0, 3)
    assert done.content == again.content
    assert (done.examples, done.sequences) == (WINDOWS * LAYOUT.window, ROWS - 30)
    assert done.tokens == sum(len(np.load(path)) for path in whole.rglob("ids.npy"))


def test_another_seed_has_another_content(whole: Path, tmp_path: Path) -> None:
    """Else equal contents would say little."""
    assert _build(tmp_path, examples=Words(ROOM, seed=1)).content != _build(whole).content


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_change_nothing(workers: int, whole: Path, tmp_path: Path) -> None:
    done = _build(tmp_path, workers=workers, make=opened)
    assert done.content == _build(whole).content
    assert _bytes(tmp_path) == _bytes(whole)


def test_progress_counts_windows(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    _build(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, WINDOWS) for done in range(WINDOWS + 1)]


def test_more_examples_only_add_blocks(tmp_path: Path, whole: Path) -> None:
    _build(tmp_path, 6)
    done = _build(tmp_path)
    assert (done.made, done.kept) == (1, 2)
    assert _bytes(tmp_path) == _bytes(whole)
    _build(tmp_path, 9)
    assert _build(tmp_path, 4).kept == 2, "fewer than there are remove nothing"
    assert len(Store(tmp_path, PARTS, LAYOUT).sequences_per_window()) == 9


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shards_in_one_folder_or_put_together_are_the_whole(count: int, whole: Path, tmp_path: Path) -> None:
    for index in range(count):
        _build(tmp_path / "one", shard=Shard(index, count))
        done = _build(tmp_path / str(index), shard=Shard(index, count))
        assert done.made == len(range(index, 3, count))
        shutil.copytree(
            tmp_path / str(index) / "blocks", tmp_path / "merged" / "blocks", dirs_exist_ok=True
        ) if done.made else None
    assert _bytes(tmp_path / "one") == _bytes(whole)
    assert _all(_plan(tmp_path / "merged"), ROWS) == _live()
    merged = _build(tmp_path / "merged")
    assert (merged.made, merged.kept) == (0, 3)
    assert merged.content == _build(whole).content
    assert _bytes(tmp_path / "merged") == _bytes(whole)


@pytest.mark.parametrize("text", ["", "1", "2/2", "3/2", "-1/2", "a/b", "0/0", "1/2/3", "0.5/2", "²/3"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a part such as 0/4"):
        Shard.parse(text)
    assert Shard.parse("3/4") == Shard(3, 4)


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
    path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
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
    whole, killed, draws = tmp_path / "whole", tmp_path / "killed", random.Random(shards)
    expected = _build(whole, MANY)
    in_the_middle = 0
    for number in range(10):
        process = _start(killed, f"{number % shards}/{shards}")
        # Some blocks further, and then anywhere: between two blocks or within one.
        wanted, end = min(_finished(killed) + draws.randrange(6), MANY // 3 // 2), time.monotonic() + 20
        while _finished(killed) < wanted and process.poll() is None and time.monotonic() < end:
            time.sleep(0.0005)
        time.sleep(draws.random() * 0.01)
        in_the_middle += _kill(process) == -signal.SIGKILL
    assert in_the_middle == 10
    assert 0 < _finished(killed) < MANY // 3
    for index in range(shards):
        _build(killed, MANY, shard=Shard(index, shards))
        _build(tmp_path / f"part{index}", MANY, shard=Shard(index, shards))
        shutil.copytree(
            tmp_path / f"part{index}" / "blocks", tmp_path / "merged" / "blocks", dirs_exist_ok=True
        )
    for folder in (killed, tmp_path / "merged"):
        done = _build(folder, MANY)
        assert (done.made, done.content) == (0, expected.content)
        assert {
            name: data for name, data in _bytes(folder).items() if not name.startswith("blocks/.")
        } == _bytes(whole)


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
        match=(
            f"{path}: missing, incomplete or changed since it was written; give --repair to make block 1 "
            "again"
        ),
    ):
        _build(copy)
    plan = _plan(copy)
    assert _listed(plan.sequences(0, 5)) == EXPECTED[:5], "other blocks can be read"
    with pytest.raises(InputError, match=f"{path}: .*`openflan build` with --repair"):
        plan.sequences(sum(plan.index()[:3]), 1)
    said: list[str] = []
    done = _build(copy, repair=True, notice=said.append)
    assert (done.made, done.kept) == (1, 2)
    assert len(said) == 1
    assert said[0].startswith(f"{path}: ")
    assert _bytes(copy) == _bytes(whole)


@pytest.mark.parametrize("text", ["", '{"tokens_key": "', "[1, 2]", '{"files": {}}', "7"])
def test_a_torn_block_json_is_named_and_made_again(text: str, copy: Path, whole: Path) -> None:
    path = block_folder(copy, 2) / "block.json"
    path.write_text(text)
    for doing in (lambda: _build(copy), lambda: _plan(copy)):
        with pytest.raises(InputError, match=str(path)) as caught:
            doing()
        assert "--repair" in str(caught.value)
    said: list[str] = []
    assert _build(copy, repair=True, notice=said.append).made == 1
    assert [str(path) in text for text in said] == [True]
    assert _bytes(copy) == _bytes(whole)


def test_a_block_without_its_block_json_is_made_again(copy: Path, whole: Path) -> None:
    (block_folder(copy, 0) / "block.json").unlink()
    assert _build(copy).made == 1
    assert _bytes(copy) == _bytes(whole)


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
        _build(tmp_path)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "blocks").iterdir()] == ["000000"]
    assert _all(_plan(tmp_path), ROWS) == _live()
    assert _build(tmp_path).made == 2
    assert _bytes(tmp_path) == _bytes(whole)


def test_a_folder_that_cannot_be_made_is_the_environments_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written"):
        _build(tmp_path / "file" / "build")


def test_data_that_cannot_be_read_are_not_blamed_on_the_folder(tmp_path: Path) -> None:
    class Gone(Words):
        def unpruned(self, position: int) -> Any:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", "rows.jsonl")

    with pytest.raises(FileNotFoundError, match=r"rows\.jsonl"):
        _build(tmp_path, examples=Gone())


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ("0/1", "0/1", True),
        ("0/1", "1/2", True),
        ("1/2", "0/1", True),
        ("0/2", "0/2", True),
        ("0/2", "1/2", False),
    ],
)
def test_a_second_build_in_the_folder_is_refused(
    first: str, second: str, refused: bool, tmp_path: Path
) -> None:
    """The second begins while the first makes its first window; shards may work side by side."""
    tried: list[str] = []

    def try_second(done: int, total: int) -> None:
        if done == 1 and not tried:
            tried.append("made")
            try:
                _build(tmp_path, shard=Shard.parse(second))
            except InputError as error:
                tried.append(str(error))

    _build(tmp_path, shard=Shard.parse(first), progress=try_second)
    assert tried == [
        "made",
        *(
            [f"{tmp_path}: another build is at work there; wait for it, or name another folder with --to"]
            if refused
            else []
        ),
    ]
    _build(tmp_path, shard=Shard.parse(second))


def test_other_limits_pack_anew_and_leave_the_tokens(copy: Path, tmp_path: Path) -> None:
    limits, parts, said = Limits(60, 15, joint=False), Parts(PARTS.tokens, {"targets": 15}), list[str]()
    before = {path: path.read_bytes() for path in copy.rglob("ids.npy")}
    done = _build(copy, limits=limits, parts=parts, notice=said.append)
    assert (done.made, done.packed_anew, done.kept) == (0, 3, 0)
    assert said == ["changed since the build: targets; the tokens stay, sequences are packed anew"]
    assert {path: path.read_bytes() for path in before} == before
    _build(tmp_path / "other", limits=limits, parts=parts)
    assert _bytes(copy) == _bytes(tmp_path / "other")
    assert _all(_plan(copy, limits, parts), ROWS) == _live(limits)


def test_packing_anew_that_was_killed_goes_on(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New rows of a block whose block.json is still the old: neither recipe takes them for its own."""
    limits, parts, save, saved = Limits(60, 15, joint=False), Parts(PARTS.tokens, {"targets": 15}), np.save, 0

    def killed(*arguments: Any, **settings: Any) -> None:
        nonlocal saved
        saved += 1
        if saved == 4:  # the second block's starts, its members already new
            raise KeyboardInterrupt
        save(*arguments, **settings)

    monkeypatch.setattr(np, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        _build(copy, limits=limits, parts=parts)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"000001/members\.npy: .*--repair"):
        _build(copy)
    assert _build(copy, limits=limits, parts=parts).packed_anew == 2
    _build(tmp_path / "other", limits=limits, parts=parts)
    assert _bytes(copy) == _bytes(tmp_path / "other")


def test_other_tokens_make_all_anew(copy: Path, tmp_path: Path) -> None:
    parts, examples, said = Parts({"seed": 1}, PARTS.sequences), Words(ROOM, seed=1), list[str]()
    assert differences(copy, parts) == (["seed"], [])
    done = _build(copy, parts=parts, examples=examples, notice=said.append)
    assert (done.made, done.packed_anew, done.kept) == (3, 0, 0)
    assert said == ["changed since the build: seed; all of it is made anew"]
    _build(tmp_path / "other", parts=parts, examples=examples)
    assert _bytes(copy) == _bytes(tmp_path / "other")


def test_parts_are_compared_as_they_were_written(tmp_path: Path) -> None:
    """Tuples come back as lists."""
    parts = Parts({"layout": (40, 3), "null": None}, {"marks": {"after": (1,)}, "text": "ü"})
    _build(tmp_path, 1, parts=parts)
    assert differences(tmp_path, parts) == ([], [])
    assert _build(tmp_path, 1, parts=parts).kept == 1
    assert Store(tmp_path, parts, LAYOUT).window(0) is not None


def test_a_build_of_other_parts_counts_as_missing(whole: Path) -> None:
    for parts in (Parts({"seed": 1}, PARTS.sequences), Parts(PARTS.tokens, {"targets": 15})):
        assert Store(whole, parts, LAYOUT).sequences_per_window() == []
        assert Store(whole, parts, LAYOUT).window(0) is None
    assert Store(whole, PARTS, LAYOUT).window(0) is not None


def test_an_example_that_does_not_fit_stops_the_build_under_that_policy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"own/words row \d+: .* target tokens do not fit 60 and 12"):
        build(tmp_path, Words(ROOM), encoder(Limits(60, 12, joint=False), "error"), PARTS, 1, layout=LAYOUT)


def test_block_json_says_what_a_block_holds(whole: Path) -> None:
    block = read_block(whole, 2)
    assert block is not None
    assert block.examples == 2 * LAYOUT.window
    assert block.sequences_per_window == [len(_plan().window(number)) for number in (6, 7)]
    assert json.loads((whole / "build.json").read_text()) == {
        "tokens": dict(PARTS.tokens),
        "sequences": dict(PARTS.sequences),
    }
    assert read_block(whole, 3) is None


def test_a_block_in_the_place_of_another_is_refused_and_made_again(copy: Path, whole: Path) -> None:
    shutil.rmtree(block_folder(copy, 1))
    shutil.copytree(block_folder(copy, 0), block_folder(copy, 1))
    with pytest.raises(InputError, match="of block 0, in the place of block 1"):
        _build(copy)
    _build(copy, repair=True)
    assert _bytes(copy) == _bytes(whole)
