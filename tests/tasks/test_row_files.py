"""The same rows, whatever file they lie in: JSON lines, JSON arrays, CSV, TSV, tables, compressed or not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from row_forms import TEXT_FORMS, delimited, only, pairs_of, rows_of, write

from openflan.errors import InputError, SetupError
from openflan.tasks.digest import digest_of
from openflan.tasks.formats.reading import make_reading
from openflan.tasks.formats.table import FIELD_NAMES, FORMATS
from openflan.tasks.json_array import JsonArray
from openflan.tasks.records import JsonRecords
from openflan.tasks.row_files import KINDS, holds_rows, kind_of, stem_of
from openflan.tasks.sources import open_submixture

NAMES = ("rows.jsonl", "rows.NDJSON", "rows.json", "rows.CSV", "rows.tsv", "rows.parquet", "rows.arrow")
TEXTS = ("rows.jsonl", "rows.ndjson", "rows.json", "rows.csv", "rows.tsv")
PAIRS = [(f"Capital {number}?", f"City {number}") for number in range(40)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refusal(data: Path) -> str:
    with pytest.raises(InputError) as caught:
        only(data)
    return str(caught.value)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\u0085\u2028"), max_size=12)
CELL = TEXT.filter(
    lambda text: text.strip() != "" and "nan" not in text.lower() and "inf" not in text.lower()
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8),
    form=st.sampled_from(sorted(TEXT_FORMS)),
    packed=st.booleans(),
)
def test_rows_are_the_same_in_every_kind_of_file(
    tmp_path: Path, pairs: list[tuple[str, str]], form: str, packed: bool
) -> None:
    rows = [TEXT_FORMS[form](*pair) for pair in pairs]
    for name in NAMES:
        suffix = ".gz" if packed and not name.endswith(("parquet", "arrow")) else ""
        path = tmp_path / f"{name}{suffix}"
        path.unlink(missing_ok=True)
        task = only(write(path, rows))
        assert pairs_of(task) == pairs, name
        assert task.form is not None
        assert task.form.startswith(form)


@pytest.mark.parametrize("name", [*NAMES, *(f"{name}.gz" for name in TEXTS)])
def test_rows_are_read_by_index_in_any_order(tmp_path: Path, name: str) -> None:
    task = only(write(tmp_path / name, [TEXT_FORMS["inputs-targets"](*pair) for pair in PAIRS]))
    for index in (39, 0, 17, 16, 39, 1):
        assert (task.rows[index]["inputs"], task.rows[index]["targets"]) == PAIRS[index]
    for index in (-1, 40):
        with pytest.raises(IndexError):
            task.rows[index]
    assert digest_of(task.rows) is not None


@pytest.mark.parametrize("name", TEXTS)
def test_a_changed_row_changes_the_fingerprint(tmp_path: Path, name: str) -> None:
    rows = [TEXT_FORMS["inputs-targets"](*pair) for pair in PAIRS]
    first = digest_of(only(write(tmp_path / name, rows)).rows)
    assert digest_of(only(write(tmp_path / name, rows)).rows) == first
    rows[7]["targets"] = "Citi 7"
    assert digest_of(only(write(tmp_path / name, rows)).rows) != first


def test_tasks_are_named_without_endings_and_unknown_endings_are_no_rows() -> None:
    for name in (*NAMES, "rows.csv.GZ", "rows.json.zst"):
        assert stem_of(Path(name)) == "rows"
    for name in ("rows.xlsx", "rows.parquet.gz", "rows", "rows.gz", "jsonl"):
        assert kind_of(Path(name)) is None


# JSON


@pytest.mark.parametrize("blank", ["\n", "  \n", "\r\n", "\t\n"])
@pytest.mark.parametrize("positions", [(0,), (1, 1), (20, 20, 20), (15, 16, 17, 39), (40, 40)])
def test_blank_lines_are_no_rows_and_lines_keep_their_numbers(
    tmp_path: Path, blank: str, positions: tuple[int, ...]
) -> None:
    lines = [json.dumps(TEXT_FORMS["inputs-targets"](*pair)) + "\n" for pair in PAIRS]
    for position in reversed(positions):
        lines.insert(position, blank)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(lines))
    assert pairs_of(only(path)) == PAIRS
    bad = next(number for number, line in enumerate(lines) if "Capital 30?" in line)
    lines[bad] = "{\n"
    path.write_text("".join(lines))
    assert refusal(path).startswith(f"{path}:{bad + 1}: not valid JSON")


def test_blank_lines_are_found_at_the_edges_of_what_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = json.dumps({"inputs": "a", "targets": "b"})
    for length in range((1 << 18) - 3, (1 << 18) + 3):
        filler = json.dumps({"inputs": "", "targets": "b"})
        first = json.dumps({"inputs": "x" * (length - len(filler) - 1), "targets": "b"})
        path.write_text(f"{first}\n\n{row}\n \n{row}\n")
        assert len(JsonRecords(path)) == 3
        assert JsonRecords(path)[2] == {"inputs": "a", "targets": "b"}


def test_a_file_of_blank_lines_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("\n\n \n")
    assert "nothing but blank lines" in refusal(tmp_path / "rows.jsonl")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.floats(allow_nan=False, width=32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.dictionaries(st.text(max_size=5), VALUES, min_size=1, max_size=4), min_size=1, max_size=6
    ),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    escaped=st.booleans(),
    chunk=st.sampled_from([1, 7, 64, 1 << 18]),
)
def test_the_objects_of_an_array_are_those_that_json_reads(
    tmp_path: Path, rows: list[dict[str, Any]], indent: Any, escaped: bool, chunk: int
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=escaped), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("openflan.tasks.json_array._CHUNK", chunk)
        records = JsonArray(path)
    read = json.loads(path.read_text(encoding="utf-8"))
    infinite = [
        {name: None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value}
        for row in read
        for name, value in row.items()
    ]
    assert len(records) == len(read)
    assert [{name: value} for record in records for name, value in record.items()] == infinite


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file; expected a JSON array of objects"),
        ("[]", "an empty JSON array"),
        ('[{"inputs": "a", "targets": "b"}', ", row 0: expected `,` or `]` behind it, found ''"),
        ('[{"inputs": "a", "targets": "b"}, {"inputs": "a"', ", row 1: not valid JSON"),
        ('[{"inputs": "a", "targets": "b"} {"inputs": "a"}]', ", row 0: expected `,` or `]` behind it"),
        ('[{"inputs": "a", "targets": "b"}, "text"]', ", row 1: expected a JSON object"),
        ('[{"inputs": "a", "targets": "b"}, ]', ", row 1: expected a JSON object"),
        ('[{"inputs": "a", "targets": "b"}, {}]', ", row 1: expected a JSON object"),
        ('[{"inputs": "a", "targets": "b"}] x', "something stands behind the array"),
        ('[{"inputs": "a", "targets": "b", "n": ' + "9" * 5000 + "}]", "a whole number of"),
        ('[{"inputs": ' + "[" * 100_000, "nested more than 200 deep"),
        ('[{"inputs": "\\ud83d", "targets": "b"}]', "half of a surrogate pair"),
    ],
)
def test_a_broken_array_is_named_by_row(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        list(JsonArray(path))
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_json_file_may_hold_an_object_a_line(tmp_path: Path) -> None:
    lines = write(tmp_path / "rows.jsonl", [TEXT_FORMS["inputs-targets"](*pair) for pair in PAIRS])
    path = lines.rename(tmp_path / "rows.json")
    assert pairs_of(only(path)) == PAIRS


def test_other_json_in_a_folder_is_no_rows(tmp_path: Path) -> None:
    write(tmp_path / "quiz/rows.json", [TEXT_FORMS["inputs-targets"](*pair) for pair in PAIRS])
    for name, text in (("settings", '{"a": 1}\n'), ("words", '["a", "b"]'), ("statistics", '{\n "a": {}\n}')):
        (tmp_path / f"quiz/{name}.json").write_text(text)
        assert not holds_rows(tmp_path / f"quiz/{name}.json")
    (tmp_path / "quiz/.hidden.json").write_text('[{"a": 1}]')
    assert list(open_submixture("mine", tmp_path / "quiz")) == ["mine/rows"]


# CSV and TSV


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_quotes_marks_line_ends_and_separators_of_csv(
    tmp_path: Path, mark: str, end: str, delimiter: str
) -> None:
    quoted = f'"a {delimiter} b, ""c"" {end}d"'
    lines = [
        f"question{delimiter}id{delimiter}answer",
        f"{quoted}{delimiter}{delimiter}e",
        "",
        f'5" disk{delimiter}2{delimiter}f',
    ]
    path = tmp_path / "quiz.csv"
    path.write_bytes((mark + end.join(lines) + end).encode())
    assert rows_of(only(path)) == [
        {"question": f'a {delimiter} b, "c" \nd', "answer": "e"},
        {"question": '5" disk', "answer": "f", "id": "2"},
    ]


@pytest.mark.parametrize("value", ["", "NaN", "nan", "inf", "-Infinity"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz"])
def test_an_empty_cell_and_one_that_says_nan_are_missing(tmp_path: Path, value: str, kind: str) -> None:
    rows = [*[{"inputs": "a", "targets": "b"}] * 2, {"inputs": "a", "targets": value}]
    path = write(tmp_path / f"rows.{kind}", rows)
    assert refusal(path).startswith(f"{path}:4: missing `targets`")
    side = [{"inputs": "a", "targets": "b", "note": value}, {"inputs": "a", "targets": "b", "note": "3.0"}]
    assert [row.get("note") for row in rows_of(only(write(tmp_path / f"side.{kind}", side)))] == [None, "3.0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "inputs,targets\na,b\nc\n",
            ":3: 1 cell, expected 2 (inputs, targets); separate cells with one",
        ),
        ("inputs,targets\na,b\nc,d,e\n", ":3: 3 cells, expected 2"),
        ('inputs,targets\na,b\n"c,d\ne,f\n', ":3: quotes that do not match"),
        ('inputs,targets\na,b\n"c"d,e\n', ":3: quotes that do not match"),
        ("inputs,targets\n", ": a header and no rows"),
        ("\n\ninputs,targets\na,b\nc\n", ":5: 1 cell, expected 2"),
        ("inputs,targets,inputs\na,b,c\n", ":1: the header names `inputs` twice"),
    ],
)
def test_a_broken_csv_is_named_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    found = refusal(path)
    assert found.startswith(f"{path}{message}"), found


def test_lines_behind_a_cell_of_several_lines_keep_their_numbers(tmp_path: Path) -> None:
    rows = [{"inputs": "a\nb\n\nc", "targets": "d"}, {"inputs": "e", "targets": "f"}] * 20
    path = write(tmp_path / "rows.csv", rows)
    task = only(path)
    assert [dict(row) for row in rows_of(task)] == rows
    assert task.rows[39] == rows[39]
    rows[39] = {"inputs": "e", "targets": ""}
    assert refusal(write(path, rows)).startswith(f"{path}:101: missing")


def test_a_tsv_without_quoting_keeps_its_quotes(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text('inputs\ttargets\n"Well" he said\tb\n"c\td\n')
    assert pairs_of(only(path)) == [('"Well" he said', "b"), ('"c', "d")]


@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_a_table_without_a_header_is_a_chain_of_thought_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"sums.{kind}"
    line = "\t".join if kind == "tsv" else ",".join
    path.write_text("".join(line([f"{n} + 1?", str(n + 1), f"One more than {n}."]) + "\n" for n in range(5)))
    task = only(path)
    assert task.form == "chain-of-thought (question, answer, rationale)"
    assert rows_of(task)[0] == {"question": "0 + 1?", "answer": "1", "rationale": "One more than 0."}
    assert len(task.rows) == 5


def test_line_breaks_of_a_chain_of_thought_file_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "sums.tsv").write_text('1\\n+ 1?\t2\t"One"\\nmore.\n')
    assert rows_of(only(tmp_path / "sums.tsv")) == [
        {"question": "1\n+ 1?", "answer": "2", "rationale": '"One"\nmore.'}
    ]


def test_a_header_is_known_by_one_name_or_by_a_map(tmp_path: Path) -> None:
    path = tmp_path / "sums.csv"
    path.write_text("question,réponse,why\na,b,c\n")
    assert "found the fields `question`, `réponse`, `why`" in refusal(path)
    path.write_text("frage,antwort,warum\na,b,c\n")
    assert pairs_of(only(path)) == [("frage", "antwort"), ("a", "b")]
    assert pairs_of(only(path, make_reading(None, "question=frage,answer=antwort"))) == [("a", "b")]
    path.write_text("question,answer,rationale\na,b,c\n")
    assert len(only(path, make_reading("chain-of-thought", None)).rows) == 2


def test_every_name_that_a_format_reads_marks_a_header(tmp_path: Path) -> None:
    assert all(set(form.needs) <= FIELD_NAMES for form in FORMATS.values())
    assert delimited([{"a": 1}], ",") == "a\r\n1\r\n"


# Compressed files


def test_a_compressed_file_is_unpacked_once_and_again_when_it_changed(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "rows.jsonl.gz", [TEXT_FORMS["inputs-targets"]("a", "b")])
    for _ in range(2):
        assert pairs_of(only(path)) == [("a", "b")]
    assert len([*(cache / "unpacked").iterdir()]) == 1
    write(path, [TEXT_FORMS["inputs-targets"]("a", "longer than b")])
    assert pairs_of(only(path)) == [("a", "longer than b")]


def test_messages_name_the_compressed_file_itself(tmp_path: Path, cache: Path) -> None:
    rows = [TEXT_FORMS["inputs-targets"]("a", "b"), TEXT_FORMS["inputs-targets"]("a", "")]
    path = write(tmp_path / "rows.jsonl.gz", rows)
    assert refusal(path).startswith(f"{path}:2: empty `targets`")


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_damaged_compressed_file_is_named_and_leaves_nothing(
    tmp_path: Path, cache: Path, damage: str
) -> None:
    rows = [TEXT_FORMS["inputs-targets"](f"{n}", f"{n * n}") for n in range(2_000)]
    path = write(tmp_path / "rows.jsonl.gz", rows)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "other": b"no gzip", "empty": b""}[damage])
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert ("empty file" if damage == "empty" else "not a whole gzip file") in message
    assert damage == "empty" or [*(cache / "unpacked").iterdir()] == []


def test_several_compressed_parts_in_one_file_are_all_read(tmp_path: Path) -> None:
    parts = [json.dumps(TEXT_FORMS["inputs-targets"](*pair)).encode() + b"\n" for pair in PAIRS]
    (tmp_path / "rows.ndjson.gz").write_bytes(b"".join(map(gzip.compress, parts)))
    assert pairs_of(only(tmp_path / "rows.ndjson.gz")) == PAIRS


def test_zst_files_need_their_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    (tmp_path / "rows.jsonl.zst").write_bytes(b"x")
    with pytest.raises(SetupError, match=r"run `pip install 'openflan\[zstd\]'`"):
        only(tmp_path / "rows.jsonl.zst")


def test_all_kinds_of_files_are_tried_here() -> None:
    assert {kind_of(Path(name)) for name in NAMES} == set(KINDS.values())
