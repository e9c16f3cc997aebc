"""Numbers in a user's rows: written as people write them, and never the words nan or inf as an answer; alike
in every format."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks.formats.values import number_text
from openflan.tasks.sources import open_submixture

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
NEEDS_CASES = pytest.mark.skipif(
    not (SHARED / "cases/values").is_dir(), reason="the shared cases are not at hand (OPENFLAN_SHARED)"
)

KINDS = ("jsonl", "parquet", "arrow", "hub")


def answers(data: Path) -> list[Any]:
    (task,) = open_submixture("mine", data).values()
    return [task.rows[index].get("targets") for index in range(len(task.rows))]


def source(
    kind: str, values: Sequence[Any], folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any = None
) -> Path:
    """Rows with these targets as a file of the kind, or behind the hub's library."""
    rows = [{"inputs": str(number), "targets": value} for number, value in enumerate(values)]
    path = folder / f"rows.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    table = pa.table({"inputs": [row["inputs"] for row in rows], "targets": pa.array(values, dtype)})
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        datasets = pytest.importorskip("datasets", reason="the extra `data` (datasets) is not installed")
        monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset(table))
        return Path("hub:org/rows")
    return path


@NEEDS_CASES
def test_floats_are_answered_as_people_write_them() -> None:
    assert answers(SHARED / "cases/values/floats.jsonl") == ["3", "0.1", "12"]


@NEEDS_CASES
@pytest.mark.parametrize("name", ["nan", "infinity"])
def test_nan_and_infinity_are_missing_targets(name: str) -> None:
    path = SHARED / f"cases/values/{name}.jsonl"
    with pytest.raises(InputError, match=r": missing `targets`") as caught:
        answers(path)
    assert str(caught.value).startswith(f"{path}:1: ")


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_numbers_reads_the_same_everywhere(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [3.0, 0.1, -2.5, 1e-05, 1e6, 0.0, -0.0, 100.0]
    assert answers(source(kind, values, tmp_path, monkeypatch)) == [
        "3",
        "0.1",
        "-2.5",
        "0.00001",
        "1000000",
        "0",
        "0",
        "100",
    ]


@pytest.mark.parametrize("kind", ["parquet", "arrow", "hub"])
@pytest.mark.parametrize("dtype", [pa.float32(), pa.float16(), pa.dictionary(pa.int8(), pa.float32())])
def test_narrow_floats_give_their_shortest_form(
    kind: str, dtype: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = np.float16 if dtype == pa.float16() else np.float32
    values = [narrow(0.1), narrow(3), narrow(12.5), narrow(1.1)]
    column = (
        pa.array(values, pa.from_numpy_dtype(narrow)).dictionary_encode().cast(dtype)
        if pa.types.is_dictionary(dtype)
        else values
    )
    assert answers(source(kind, column, tmp_path, monkeypatch, None if column is not values else dtype)) == [
        "0.1",
        "3",
        "12.5",
        "1.1",
    ]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "hub"])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, None])
def test_a_number_that_is_none_is_refused_by_row(
    kind: str, wrong: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = source(kind, [1.5, wrong, 2.5, wrong], tmp_path, monkeypatch)
    with pytest.raises(InputError, match=r"missing `targets`.*, as in 1 more of 4 rows") as caught:
        answers(data)
    assert str(caught.value).startswith(f"{data}:2: " if kind == "jsonl" else f"{data}, row 1: ")


def test_a_literal_beyond_all_floats_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"inputs": "a", "targets": 1e999}\n')
    with pytest.raises(InputError, match="missing `targets`"):
        answers(tmp_path / "rows.jsonl")


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_number_beside_the_target_is_an_absent_field(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"inputs": "a", "targets": "b", "score": value} for value in (1.0, math.nan, None)]
    path = tmp_path / f"rows.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "hub":
        datasets = pytest.importorskip("datasets", reason="the extra `data` (datasets) is not installed")
        monkeypatch.setattr(
            datasets, "load_dataset", lambda *_, **__: datasets.Dataset(pa.Table.from_pylist(rows))
        )
        path = Path("hub:org/rows")
    else:
        table = pa.Table.from_pylist(rows)
        if kind == "parquet":
            pq.write_table(table, path)
        else:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
    (task,) = open_submixture("mine", path).values()
    assert [task.rows[index].get("score") for index in range(3)] == ["1", None, None]
    assert [name for name, _ in task.lacking] == ["score"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_is_that_number_and_no_longer_than_need_be(number: float) -> None:
    text = number_text(number)
    assert float(text) == number
    assert not text.endswith((".0", "."))
    assert text not in ("-0", "")
    if 1e-6 <= abs(number) < 1e16:
        assert "e" not in text


@given(st.integers(-(10**30), 10**30))
def test_whole_numbers_keep_all_their_digits(number: int) -> None:
    assert number_text(number) == str(number)
    if abs(number) < 2**53:
        assert number_text(float(number)) == str(number)
