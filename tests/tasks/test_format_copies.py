"""Copies of the shared files: the rows that are read of them are the same.

The copies have their rows and fields in another order, other names, or lie in another kind of file.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from row_forms import only, rows_of, write

from openflan.errors import InputError
from openflan.tasks.formats.reading import make_reading

CASES = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared")) / "cases/formats"
pytestmark = pytest.mark.skipif(
    not CASES.is_dir(), reason="the shared cases are not at hand (OPENFLAN_SHARED)"
)
NAMES = ("alpaca", "alpaca_system", "preference", "prompt_completion", "prompt_completion_chat")
FILES = (*(f"{name}.jsonl" for name in NAMES), "sharegpt.jsonl", "rows.ndjson", "side_columns.jsonl")
TRANSLATION = {"input": "eingabe", "inputs": "fragen", "targets": "antworten", "output": "出力"}


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]


def read(rows: list[Any]) -> list[Any]:
    return sorted((sorted(row.items()) for row in rows), key=str)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["jsonl", "json", "arrow", "ndjson.gz"])
def test_a_copy_with_rows_and_fields_in_another_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    rows, draw = records(name), random.Random(name)
    shuffled = [dict(draw.sample(sorted(row.items()), len(row))) for row in draw.sample(rows, len(rows))]
    task, original = only(write(tmp_path / f"copy.{kind}", shuffled)), only(CASES / name)
    assert task.form == original.form
    assert read(rows_of(task)) == read(rows_of(original))


@pytest.mark.parametrize("name", FILES)
def test_a_copy_with_other_names_is_read_through_a_map_alone(tmp_path: Path, name: str) -> None:
    rows = records(name)
    fields = list(rows[0])
    names = {field: TRANSLATION.get(field, f"x {field}") for field in fields}
    path = write(
        tmp_path / "copy.jsonl", [{names[field]: value for field, value in row.items()} for row in rows]
    )
    with pytest.raises(InputError, match="expected those of a known format"):
        only(path)
    columns = ",".join(f"{field}={column}" for field, column in names.items())
    original = only(CASES / name)
    assert read(rows_of(only(path, make_reading(None, columns)))) == read(rows_of(original))


@pytest.mark.parametrize(("name", "kind"), [("qa.csv", "tsv"), ("qa.tsv", "csv"), ("qa.csv", "parquet")])
def test_tables_of_questions_are_the_same_in_other_files(tmp_path: Path, name: str, kind: str) -> None:
    original = only(CASES / name)
    rows = [dict(row) for row in rows_of(original)]
    assert read(rows_of(only(write(tmp_path / f"copy.{kind}", rows[::-1])))) == read(rows)
