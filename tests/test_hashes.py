"""Hashes and the cache folder, each in one module."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import openflan
from openflan.cache_folder import cache_folder
from openflan.hashes import sha256_of, sha256_of_file, sha256_of_json


def test_known_hashes(tmp_path: Path) -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_of(b"") == sha256_of("") == empty
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256_of_file(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    # Stored hashes stay equal: both spellings of JSON.
    assert sha256_of_json({"b": "ü", "a": 1}) == hashlib.sha256('{"a": 1, "b": "ü"}'.encode()).hexdigest()
    assert sha256_of_json(["ü"], escaped=True) == hashlib.sha256(b'["\\u00fc"]').hexdigest()


@given(st.text(st.characters()), st.text(st.characters()))
def test_texts_are_told_apart_half_characters_included(first: str, second: str) -> None:
    assert (sha256_of(first) == sha256_of(second)) == (first == second)
    assert (sha256_of_json(first) == sha256_of_json(second)) == (first == second)


@given(st.dictionaries(st.text("abc"), st.integers()))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    backwards = dict(reversed(value.items()))
    assert sha256_of_json(value) == sha256_of_json(backwards)
    assert sha256_of_json(value) == sha256_of(json.dumps(value, sort_keys=True))


def test_the_cache_folder_is_that_of_the_environment_or_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OPENFLAN_CACHE", raising=False)
    assert cache_folder() == tmp_path / ".cache/openflan"
    monkeypatch.setenv("OPENFLAN_CACHE", "~/elsewhere")
    assert cache_folder() == tmp_path / "elsewhere"


def test_no_other_module_reads_the_variable_or_hashes_a_file_by_itself() -> None:
    root = Path(openflan.__file__).parent
    texts = {
        str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))
    }
    assert [name for name, text in texts.items() if re.search(r"environ.*OPENFLAN_CACHE", text)] == [
        "cache_folder.py"
    ]
    assert [name for name, text in texts.items() if 'file_digest(file, "sha256")' in text] == ["hashes.py"]
