"""Files and paths of rows made to break a reader: one line with the file and what to do, never a
traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openflan.errors import InputError
from openflan.tasks.reach import reach
from openflan.tasks.sources import open_submixture
from openflan.tasks.texts import open_texts

ROW = '{"inputs": "a", "targets": "b"}'


def read_all(data: Path) -> None:
    for task in open_submixture("mine", data).values():
        for index in range(len(task.rows)):
            task.rows[index]


def refusal(data: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_all(data)
    message = str(caught.value)
    message.encode()
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"[" * 100_000, "nested more than"),
        (b'{"inputs": ' + b'{"a": ' * 50_000, "nested more than"),
        (b'{"inputs": "a", "targets": "b", "x": ' + b"[" * 300 + b"]" * 300 + b"}", "nested more than"),
        (b'{"inputs": "a", "targets": ' + b"7" * 5_000 + b"}", "a whole number of more than 4,300 digits"),
        (b'{"inputs": "a", "targets": "\\udfff"}', "half of a surrogate pair"),
        (b'{"\\ud800": "a", "targets": "b"}', "half of a surrogate pair"),
        (b'{"inputs": "\xc3\x28", "targets": "b"}', "not UTF-8"),
        (b'"text"', "expected a JSON object"),
        (b"\0\0\0", "not valid JSON"),
    ],
    ids=range(9),
)
@pytest.mark.parametrize("at", [0, 2])
def test_a_hostile_line_is_named(tmp_path: Path, line: bytes, says: str, at: int) -> None:
    lines = [ROW.encode()] * 3
    lines.insert(at, line)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines))
    assert refusal(path).startswith(f"{path}:{at + 1}: ")
    assert says in refusal(path)


@pytest.mark.parametrize(
    "path", ["rows\0.jsonl", "a/\0/b", "x" * 5_000, f"{'y' * 300}.jsonl", "rows.jsonl/inner", "\udcff.jsonl"]
)
def test_a_path_that_cannot_be_is_refused_in_a_line(tmp_path: Path, path: str) -> None:
    (tmp_path / "rows.jsonl").write_text(ROW)
    for read in (
        lambda: open_submixture("mine", tmp_path / path),
        lambda: reach(tmp_path / path),
        lambda: open_texts([tmp_path / path]),
    ):
        with pytest.raises(InputError) as caught:
            read()
        assert len(str(caught.value)) < 700
        assert "\0" not in str(caught.value)


def test_a_file_without_end_is_no_data(tmp_path: Path) -> None:
    for name in ("rows.jsonl", "rows.parquet", "rows.arrow"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match=name):
            open_submixture("mine", tmp_path / name)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("kept", [0, 1, 8, 0.3, 0.7, 0.99, -1])
def test_a_table_cut_short_is_named(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"rows.{suffix}"
    table = pa.table({"inputs": [f"{number}" * 40 for number in range(500)], "targets": ["x"] * 500})
    if suffix == "parquet":
        pq.write_table(table, path, row_group_size=50)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=50)
    content = path.read_bytes()
    path.write_bytes(
        content[: int(kept if kept >= 1 or kept <= 0 else kept * len(content))] if kept >= 0 else content[:-1]
    )
    assert refusal(path).startswith(f"{path}: ")


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_text_that_is_not_utf8_is_named_by_its_row(tmp_path: Path, suffix: str) -> None:
    texts = pa.array([b"fine", b"caf\xe9", b"fine"], pa.binary()).view(pa.string())
    table = pa.table({"inputs": texts, "targets": ["a", "b", "c"]})
    path = tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
        assert refusal(path).startswith(f"{path}, row 1: holds a text that is not UTF-8 (byte 0xe9)")
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        assert str(path) in refusal(path)


STRANGE = [
    None,
    3,
    "x",
    [],
    {},
    [3],
    {"splits": 5},
    {"splits": []},
    {"splits": [1]},
    {"splits": ["../../etc"]},
    {"splits": ["train", "\0"]},
]
STATES = [
    {"_data_files": value}
    for value in (
        None,
        3,
        [],
        [3],
        ["x"],
        [{}],
        [{"filename": 3}],
        [{"filename": "../rows.arrow"}],
        [{"filename": "/etc/passwd"}],
    )
]


@pytest.mark.parametrize("name", ["dataset_dict.json", "state.json"])
@pytest.mark.parametrize(
    "content",
    [
        *map(json.dumps, [*STRANGE, *STATES]),
        "",
        "{",
        "[" * 100_000,
        "\xff",
        '{"splits": ["\\ud800"]}',
        "9" * 5_000,
    ],
)
def test_damaged_notes_of_a_saved_data_set_are_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / f"saved/{name}").write_text(content, encoding="latin-1")
    message = refusal(tmp_path / "saved")
    assert str(tmp_path / "saved") in message
    assert "save" in message
