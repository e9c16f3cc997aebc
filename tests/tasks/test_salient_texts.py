"""Marked spans of documents, as files hold them, and the embedded world's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openflan.errors import InputError
from openflan.microflan.world import GeneratedDocuments
from openflan.tasks.texts import open_texts, salient_span

ROWS: list[dict[str, Any]] = [
    {"text": "one two", "mark": [4, 7]},
    {"text": "three"},
    {"text": "four five", "mark": [0, 4]},
]


def jsonl(folder: Path, rows: list[dict[str, Any]]) -> Path:
    (folder / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "some.jsonl"


def parquet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(
        pa.table({"text": [row["text"] for row in rows], "mark": [row.get("mark") for row in rows]}),
        folder / "some.parquet",
    )
    return folder / "some.parquet"


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_marks_are_read_from_rows(write: Any, tmp_path: Path) -> None:
    texts = open_texts([write(tmp_path, ROWS)], salient_field="mark")
    assert [salient_span(texts, number) for number in range(3)] == [(4, 7), None, (0, 4)]
    assert [texts[number] for number in range(3)] == [row["text"] for row in ROWS]
    unmarked = open_texts([write(tmp_path, ROWS)])
    assert [salient_span(unmarked, number) for number in range(3)] == [None] * 3


def test_marks_are_found_across_several_sources(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("plain\n")
    texts = open_texts([tmp_path / "a.txt", jsonl(tmp_path, ROWS)], salient_field="mark")
    assert [salient_span(texts, number) for number in range(4)] == [None, (4, 7), None, (0, 4)]


@pytest.mark.parametrize(
    "mark", [[4, 8], [3, 3], [5, 2], [-1, 2], [1], [1, 2, 3], "12", ["1", "2"], [1.0, 2.0]]
)
def test_what_is_no_span_of_its_document_is_said_with_its_place(mark: Any, tmp_path: Path) -> None:
    file = jsonl(tmp_path, [ROWS[0], {"text": "one two", "mark": mark}])
    texts = open_texts([file], salient_field="mark")
    assert salient_span(texts, 0) == (4, 7)
    with pytest.raises(
        InputError, match=r"some.jsonl:2: `mark` is .*; expected \[begin, end\] of a span, in characters"
    ):
        salient_span(texts, 1)


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_a_misspelt_field_of_marks_is_refused(write: Any, tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"have no mark `marc`(; did you mean `mark`\?|; it has text); set `pretraining.salient_field`",
    ):
        open_texts([write(tmp_path, ROWS)], salient_field="marc")


def test_the_embedded_world_is_data_by_name() -> None:
    texts, world = open_texts([Path("embedded:microflan")]), GeneratedDocuments()
    assert len(texts) == len(world)
    for index in range(300):
        document = world[index]
        assert texts[index] == document["text"]
        assert salient_span(texts, index) == (tuple(document["salient"]) if "salient" in document else None)
    assert texts.place(3) == "embedded:microflan, document 3"
