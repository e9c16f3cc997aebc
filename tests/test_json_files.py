"""The one reader of JSON from outside: right values, and for anything else one InputError that names the
place."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.json_files import DEEPEST, json_lines, parse_json, read_json_file

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans(), st.sampled_from(["", "\ufeff"]))
def test_any_value_is_read_as_json_loads_reads_it(value: Any, ascii_only: bool, mark: str) -> None:
    text = mark + json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(text, "file") == value
    assert parse_json(text.encode(), "file") == value


HOSTILE = {
    "not JSON": b'{"a": 1,',
    "a word": b"none",
    "not UTF-8": b'"\xff"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "100,000 lists deep": b"[" * 100_000,
    "100,000 objects deep": b'{"a":' * 100_000,
    "a level too deep, closed": b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
    "a whole number of 5,000 digits": b'{"a": ' + b"7" * 5_000 + b"}",
    "a whole number of a million digits": b"-" + b"1" * 1_000_000,
    "half of a surrogate pair": b'"\\ud83d"',
    "its other half as a key": b'{"\\uDE00": 1}',
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_json_names_the_place_and_the_remedy(source: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"{}\n" + source + b"\n")
    for read in (lambda: parse_json(source, "answers.json"), lambda: list(json_lines(path))):
        with pytest.raises(InputError) as raised:
            read()
        message = str(raised.value)
        assert message.startswith(("answers.json: ", f"{path}:2: "))
        assert len(message.splitlines()) == 1
        assert len(message) < 300


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_an_input_error(source: bytes) -> None:
    with suppress(InputError):
        parse_json(source, "file")


def test_as_deep_as_allowed_is_read_and_pairs_are_whole_characters() -> None:
    assert parse_json("[" * DEEPEST + "]" * DEEPEST, "file") is not None
    assert parse_json(r'"\ud83d\ude00"', "file") == "\U0001f600"
    assert parse_json(r'"\\ud83d"', "file") == r"\ud83d"
    assert parse_json("7" * 4_000, "file") == int("7" * 4_000)


@pytest.mark.parametrize("name", ["absent.json", ".", "a\0b.json", "x" * 5_000])
def test_a_path_that_cannot_be_read_is_one_line(name: str, tmp_path: Path) -> None:
    for read in (lambda: read_json_file(tmp_path / name), lambda: list(json_lines(tmp_path / name))):
        with pytest.raises(InputError):
            read()


def test_lines_have_their_places_and_may_be_compressed(tmp_path: Path) -> None:
    text = '\ufeff{"a": "x\u2028y"}\r\n\n[1]'.encode()
    (tmp_path / "a.jsonl").write_bytes(text)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text))
    for path in (tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"):
        assert list(json_lines(path)) == [(f"{path}:1", {"a": "x\u2028y"}), (f"{path}:3", [1])]
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(text)[:-9])
    with pytest.raises(InputError, match="not a whole gzip file"):
        list(json_lines(tmp_path / "cut.jsonl.gz"))
