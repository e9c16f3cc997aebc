"""Builds on disk: what training reads from them is what it would make itself, and what was damaged, killed or
changed is seen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build_work import (
    EXPECTED,
    ROWS,
    WINDOWS,
    as_lists,
    build_folder,
    bytes_by_name,
    live_rows,
    plan_of,
    rows_of_plan,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered_words import JOINT, LAYOUT, LIMITS, PARTS, ROOM, Words, encoder, opened

from openflan.errors import InputError
from openflan.packing.batch import Seq2SeqBatch, seq2seq_batch
from openflan.packing.build_ahead import Shard, build, differences
from openflan.packing.encode import Limits
from openflan.packing.example_windows import packed_examples
from openflan.packing.store import Parts, Store, block_folder, read_block


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    build_folder(folder)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "build"))


@pytest.mark.parametrize("limits", [LIMITS, JOINT], ids=["seq2seq", "causal"])
@pytest.mark.parametrize("windows", [1, 2, 5, WINDOWS])
def test_a_plan_from_a_build_is_the_plan_made_live(limits: Limits, windows: int, tmp_path: Path) -> None:
    """Also where the build is shorter than what is read."""
    build_folder(tmp_path, windows, limits)
    assert Store(tmp_path, PARTS, LAYOUT).examples == windows * LAYOUT.window
    assert rows_of_plan(plan_of(tmp_path, limits), ROWS) == live_rows(limits)


def test_the_windows_of_a_build_are_read_not_made(whole: Path) -> None:
    """Negative control: a stream that cannot be asked serves for all rows of the build, and not for the first
    behind it."""

    class Silent(Words):
        def unpruned(self, position: int) -> Any:
            raise AssertionError(f"position {position} was rendered")

    built = Store(whole, PARTS, LAYOUT)
    plan = packed_examples(Silent(ROOM), encoder(), window=LAYOUT.window, built=built)
    rows = sum(built.sequences_per_window())
    assert as_lists(plan.sequences(0, rows)) == EXPECTED[:rows]
    with pytest.raises(AssertionError, match=f"position {WINDOWS * LAYOUT.window} was rendered"):
        plan.sequences(rows, 1)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_blocks_that_are_missing_are_made_live(missing: int, copy: Path) -> None:
    shutil.rmtree(block_folder(copy, missing))
    assert rows_of_plan(plan_of(copy), ROWS) == live_rows()
    assert build_folder(copy).made == 1
    assert rows_of_plan(plan_of(copy), ROWS) == live_rows()


@settings(max_examples=30, deadline=None)
@given(position=st.integers(0, ROWS - 1), known=st.integers(0, ROWS), missing=st.booleans())
def test_training_goes_on_from_any_position(position: int, known: int, missing: bool, whole: Path) -> None:
    """With the index of an earlier run that went as far as `known`, with a build and without."""
    first = plan_of()
    first.sequences(0, known)
    resumed = plan_of(None if missing else whole, index=tuple(first.index(known)))
    count = min(12, ROWS - position)
    assert as_lists(resumed.sequences(position, count)) == EXPECTED[position : position + count]


def _global_batch(
    folder: Path | None, number: int, size: int, ranks: int, micro: int
) -> list[list[list[int]]]:
    """Batch `number` as `ranks` processes with plans of their own make it, each its part in micro-batches;
    input and target ids of every row."""
    results: list[list[list[int]]] = []
    for rank in range(ranks):
        plan = plan_of(folder)
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
                results.append([ids[row][segments[row] > 0].tolist() for ids, segments in sides])
    return results


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


def test_the_same_build_is_the_same_to_the_byte(whole: Path, tmp_path: Path) -> None:
    done = build_folder(tmp_path)
    assert bytes_by_name(tmp_path) == bytes_by_name(whole)
    again = build_folder(whole)
    assert (done.made, done.kept, again.made, again.kept) == (3, 0, 0, 3)
    assert done.content == again.content
    assert (done.examples, done.sequences) == (WINDOWS * LAYOUT.window, ROWS - 30)
    assert done.tokens == sum(len(np.load(path)) for path in whole.rglob("ids.npy"))


def test_another_seed_has_another_content(whole: Path, tmp_path: Path) -> None:
    """Else equal contents would say little."""
    assert build_folder(tmp_path, examples=Words(ROOM, seed=1)).content != build_folder(whole).content


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_change_nothing(workers: int, whole: Path, tmp_path: Path) -> None:
    done = build_folder(tmp_path, workers=workers, make=opened)
    assert done.content == build_folder(whole).content
    assert bytes_by_name(tmp_path) == bytes_by_name(whole)


def test_progress_counts_windows(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    build_folder(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, WINDOWS) for done in range(WINDOWS + 1)]


def test_more_examples_only_add_blocks(tmp_path: Path, whole: Path) -> None:
    build_folder(tmp_path, 6)
    done = build_folder(tmp_path)
    assert (done.made, done.kept) == (1, 2)
    assert bytes_by_name(tmp_path) == bytes_by_name(whole)
    build_folder(tmp_path, 9)
    assert build_folder(tmp_path, 4).kept == 2, "fewer than there are remove nothing"
    assert len(Store(tmp_path, PARTS, LAYOUT).sequences_per_window()) == 9


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shards_in_one_folder_or_put_together_are_the_whole(count: int, whole: Path, tmp_path: Path) -> None:
    for index in range(count):
        build_folder(tmp_path / "one", shard=Shard(index, count))
        done = build_folder(tmp_path / str(index), shard=Shard(index, count))
        assert done.made == len(range(index, 3, count))
        shutil.copytree(
            tmp_path / str(index) / "blocks", tmp_path / "merged" / "blocks", dirs_exist_ok=True
        ) if done.made else None
    assert bytes_by_name(tmp_path / "one") == bytes_by_name(whole)
    assert rows_of_plan(plan_of(tmp_path / "merged"), ROWS) == live_rows()
    merged = build_folder(tmp_path / "merged")
    assert (merged.made, merged.kept) == (0, 3)
    assert merged.content == build_folder(whole).content
    assert bytes_by_name(tmp_path / "merged") == bytes_by_name(whole)


@pytest.mark.parametrize("text", ["", "1", "2/2", "3/2", "-1/2", "a/b", "0/0", "1/2/3", "0.5/2", "²/3"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a part such as 0/4"):
        Shard.parse(text)
    assert Shard.parse("3/4") == Shard(3, 4)


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
                build_folder(tmp_path, shard=Shard.parse(second))
            except InputError as error:
                tried.append(str(error))

    build_folder(tmp_path, shard=Shard.parse(first), progress=try_second)
    assert tried == [
        "made",
        *(
            [f"{tmp_path}: another build is at work there; wait for it, or name another folder with --to"]
            if refused
            else []
        ),
    ]
    build_folder(tmp_path, shard=Shard.parse(second))


def test_other_limits_pack_anew_and_leave_the_tokens(copy: Path, tmp_path: Path) -> None:
    limits, parts, said = Limits(60, 15, joint=False), Parts(PARTS.tokens, {"targets": 15}), list[str]()
    before = {path: path.read_bytes() for path in copy.rglob("ids.npy")}
    done = build_folder(copy, limits=limits, parts=parts, notice=said.append)
    assert (done.made, done.packed_anew, done.kept) == (0, 3, 0)
    assert said == ["changed since the build: targets; the tokens stay, sequences are packed anew"]
    assert {path: path.read_bytes() for path in before} == before
    build_folder(tmp_path / "other", limits=limits, parts=parts)
    assert bytes_by_name(copy) == bytes_by_name(tmp_path / "other")
    assert rows_of_plan(plan_of(copy, limits, parts), ROWS) == live_rows(limits)


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
        build_folder(copy, limits=limits, parts=parts)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"000001/members\.npy: .*--repair"):
        build_folder(copy)
    assert build_folder(copy, limits=limits, parts=parts).packed_anew == 2
    build_folder(tmp_path / "other", limits=limits, parts=parts)
    assert bytes_by_name(copy) == bytes_by_name(tmp_path / "other")


def test_other_tokens_make_all_anew(copy: Path, tmp_path: Path) -> None:
    parts, examples, said = Parts({"seed": 1}, PARTS.sequences), Words(ROOM, seed=1), list[str]()
    assert differences(copy, parts) == (["seed"], [])
    done = build_folder(copy, parts=parts, examples=examples, notice=said.append)
    assert (done.made, done.packed_anew, done.kept) == (3, 0, 0)
    assert said == ["changed since the build: seed; all of it is made anew"]
    build_folder(tmp_path / "other", parts=parts, examples=examples)
    assert bytes_by_name(copy) == bytes_by_name(tmp_path / "other")


def test_parts_are_compared_as_they_were_written(tmp_path: Path) -> None:
    """Tuples come back as lists."""
    parts = Parts({"layout": (40, 3), "null": None}, {"marks": {"after": (1,)}, "text": "ü"})
    build_folder(tmp_path, 1, parts=parts)
    assert differences(tmp_path, parts) == ([], [])
    assert build_folder(tmp_path, 1, parts=parts).kept == 1
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
    assert block.sequences_per_window == [len(plan_of().window(number)) for number in (6, 7)]
    assert json.loads((whole / "build.json").read_text()) == {
        "tokens": dict(PARTS.tokens),
        "sequences": dict(PARTS.sequences),
    }
    assert read_block(whole, 3) is None


def test_a_block_in_the_place_of_another_is_refused_and_made_again(copy: Path, whole: Path) -> None:
    shutil.rmtree(block_folder(copy, 1))
    shutil.copytree(block_folder(copy, 0), block_folder(copy, 1))
    with pytest.raises(InputError, match="of block 0, in the place of block 1"):
        build_folder(copy)
    build_folder(copy, repair=True)
    assert bytes_by_name(copy) == bytes_by_name(whole)
