"""Paths of a machine do not leave it: each becomes its last part, whatever system wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.local_paths import is_local_path, last_part, without_local_paths

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\:\n\r", exclude_categories=["C", "Z"]), min_size=1
)
PLAIN = NAMES.filter(lambda name: name not in (".", "..") and not name.startswith("~"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/home/ann/models/t5", "./t5"),
        ("/data", "./data"),
        ("~/models/t5/", "./t5"),
        ("~ann/models", "./models"),
        ("C:\\Users\\ann\\models\\t5", "./t5"),
        ("D:/models/t5", "./t5"),
        ("\\\\server\\share\\models", "./models"),
        ("file:///home/ann/rows.jsonl", "./rows.jsonl"),
        ("/runs/first/model", "./first/model"),
        ("/runs/first/checkpoints/step-200", "./checkpoints/step-200"),
        ("/home/ann/my data/rows.jsonl", "./rows.jsonl"),
    ],
)
def test_an_absolute_path_becomes_its_last_part(path: str, text: str) -> None:
    assert is_local_path(path)
    assert last_part(path) == text
    assert without_local_paths({"a": [path]})[0] == {"a": [text]}


@pytest.mark.parametrize(
    "text",
    [
        "google/t5-small",
        "hub:org/rows",
        "embedded:microflan",
        "./rows",
        "cot/*",
        "",
        "/",
        "//",
        "</s>",
        "a / b",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert without_local_paths({"a": text}) == ({"a": text}, [])


def test_tokens_and_templates_stay_although_they_begin_with_a_slash() -> None:
    tokens = {"added": {"5": {"content": "/think"}}, "eos_token": "/end", "chat_template": "/x"}
    assert without_local_paths(tokens) == (tokens, [])


@given(st.lists(PLAIN, min_size=2, max_size=5), st.sampled_from(["/", "C:\\", "~/"]))
def test_no_part_before_the_last_two_is_left(parts: list[str], root: str) -> None:
    separator = "\\" if root == "C:\\" else "/"
    path = root + separator.join(parts)
    value, replaced = without_local_paths({"base": path, "keys": {path: 1}})
    assert [item.path for item in replaced] == [path, path]
    assert value["base"].endswith(parts[-1])
    assert value["base"].count("/") <= 2
    assert not is_local_path(value["base"])
    # Negative control: what is relative already stays.
    assert without_local_paths(value) == (value, [])
