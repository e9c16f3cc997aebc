"""Rows drawn at random from Parquet: the same values from the copy that is made for them, and no other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from openflan.tasks import addressable, columns, file_notes
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.file_notes import trusting_stamps
from openflan.tasks.recent_blocks import RecentBlocks
from openflan.tasks.table_files import open_table

ROWS = 300


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_notes, "_SETTLED", 0.0)
    monkeypatch.setattr(file_notes, "_SETTLED_COARSE", 0.0)
    monkeypatch.setattr(columns, "_LOOK", 2)
    return tmp_path / "cache"


def write(path: Path, word: str = "row", rows: int = ROWS) -> Path:
    table = pa.table(
        {
            "inputs": [f"{word} {number} " + "x" * (number % 50) for number in range(rows)],
            "targets": pa.array([f"t{number % 3}" for number in range(rows)]).dictionary_encode(),
            "options": [["a", f"b{number}"] if number % 4 else None for number in range(rows)],
            "score": pa.array([number / 3 for number in range(rows)], pa.float32()),
            "label": [number if number % 5 else None for number in range(rows)],
        }
    )
    parquet.write_table(table, path, row_group_size=10)
    return path


def opened(*paths: Path) -> ColumnRecords:
    """One block is kept, so that drawing decodes again and again."""
    return ColumnRecords([open_table(path) for path in paths], recent=RecentBlocks(1))


def draw(records: ColumnRecords, count: int = 200) -> dict[int, Any]:
    numbers = random.Random(0)
    return {index: records[index] for index in (numbers.randrange(len(records)) for _ in range(count))}


def copies(cache: Path) -> list[Path]:
    return [path for path in (cache / "tables").glob("*") if not path.name.startswith(".")]


def test_many_draws_make_a_copy_and_few_make_none(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "rows.parquet")
    few = opened(path)
    for index in range(0, ROWS, 10):  # each block once
        few[index]
    assert copies(cache) == []
    draw(opened(path))
    assert len(copies(cache)) == 1


def test_rows_of_the_copy_are_those_of_the_file(tmp_path: Path, cache: Path) -> None:
    paths = [write(tmp_path / "one.parquet"), write(tmp_path / "two.parquet", "other", 170)]
    records = opened(*paths)
    draw(records, 600)
    assert len(copies(cache)) == 2
    plain = ColumnRecords([open_table(path) for path in paths])
    assert len(records) == len(plain) == ROWS + 170
    for index, record in enumerate(plain):
        assert records[index] == record
        assert records.place(index) == plain.place(index)
    assert records.digest() == plain.digest()
    with pytest.raises(IndexError):
        records[len(records)]


def test_a_later_command_finds_the_copy(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "rows.parquet")
    expected = draw(opened(path))
    made: list[Any] = []
    monkeypatch.setattr(addressable, "_made", lambda *arguments: made.append(arguments))
    for trusting in (True, False):
        records = opened(path)
        if trusting:
            with trusting_stamps():
                assert draw(records) == expected
        else:
            assert draw(records) == expected
        assert records._drawn[0]._rows is not records._drawn[0]._table
    assert made == []


def test_the_copy_of_other_content_is_not_used(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "rows.parquet")
    draw(opened(path))
    write(path, "new")
    records = opened(path)
    assert all(record["inputs"].startswith("new ") for record in draw(records).values())


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), cut=st.booleans())
def test_a_damaged_copy_gives_no_wrong_row(seed: int, cut: bool, tmp_path: Path, cache: Path) -> None:
    numbers = random.Random(seed)
    path = write(tmp_path / "rows.parquet")
    draw(opened(path))
    (copy,) = copies(cache)
    data = bytearray(copy.read_bytes())
    offset = numbers.randrange(len(data))
    data[offset] ^= 1 << numbers.randrange(8)
    copy.write_bytes(data[:offset] if cut else data)
    plain = list(ColumnRecords([open_table(path)]))
    records = opened(path)
    for _ in range(2):
        assert all(record == plain[index] for index, record in draw(records, 500).items())
    copy.unlink(missing_ok=True)


def test_without_room_or_permission_rows_are_read_as_before(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "rows.parquet")
    plain = list(ColumnRecords([open_table(path)]))
    monkeypatch.setattr(addressable, "_ROOM", 1 << 60)
    assert all(record == plain[index] for index, record in draw(opened(path)).items())
    assert copies(cache) == []
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "file" / "cache"))
    assert all(record == plain[index] for index, record in draw(opened(path)).items())


def test_decoded_blocks_of_all_tables_share_one_limit(tmp_path: Path) -> None:
    recent = RecentBlocks(10_000)
    paths = [write(tmp_path / f"{number}.parquet", rows=10) for number in range(40)]
    tables = [ColumnRecords([open_table(path)], recent=recent) for path in paths]
    for table in tables:
        table[0]
    assert 1 < len(recent._blocks) < 40
    assert recent._bytes <= 10_000
