"""Rows of a user's own that look wrong are named before training, and right ones are not."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.mixture.open_mixture import open_tasks
from openflan.mixture.row_checks import MOST_ROWS, check_rows, row_check_lines
from openflan.recipe.schema import Mixture

WORDS = [f"{first}{last}" for first in ("ba", "de", "fi", "go") for last in ("lan", "mer", "nos", "rup")]


def lines_of(path: Path, rows: list[dict[str, Any]]) -> list[str]:
    path.write_text("".join(json.dumps(row) + "\n\n" for row in rows), encoding="utf-8")
    mixture = Mixture.model_validate({"submixtures": {"own": {"data": str(path)}}})
    return row_check_lines(open_tasks(mixture).values())


def distinct(count: int) -> list[dict[str, Any]]:
    return [{"inputs": f"Capital of country {n}?", "targets": f"City {n}"} for n in range(count)]


def test_rows_that_differ_are_passed_in_silence(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "rows.jsonl", distinct(40)) == []


@pytest.mark.parametrize("names", [("inputs", "targets"), ("question", "answer"), ("prompt", "completion")])
def test_each_kind_is_counted_with_the_rows_of_the_file(tmp_path: Path, names: tuple[str, str]) -> None:
    rows = [*distinct(6), {"inputs": "capital of country 2", "targets": "City 2."}]
    rows += [{"inputs": "Capital of country 3?", "targets": "Nowhere"}]
    rows += [{"inputs": "word " * 300, "targets": "x"}]
    near, conflict, long = lines_of(
        tmp_path / "rows.jsonl", [dict(zip(names, row.values(), strict=True)) for row in rows]
    )
    assert "1 row is nearly the same as an earlier one (rows.jsonl:13 as rows.jsonl:5)" in near
    assert "1 row has the same inputs as an earlier one, but other targets" in conflict
    assert "(rows.jsonl:15 and rows.jsonl:7)" in conflict
    assert "1 row is more than 10 times as long as the median" in long
    assert "rows.jsonl:17: 1,501" in long


def test_only_so_many_rows_are_looked_at(tmp_path: Path) -> None:
    class Counted:
        def __init__(self) -> None:
            self.read = 0

        def __len__(self) -> int:
            return 10**9

        def __getitem__(self, index: int) -> dict[str, str]:
            self.read += 1
            return {"inputs": f"{index}?", "targets": f"{index}"}

    rows = Counted()
    assert check_rows(rows, 300).looked_at == rows.read == 300 < MOST_ROWS


@given(st.lists(st.sampled_from(WORDS), min_size=60, max_size=90), st.integers(0, 59), st.randoms())
@settings(max_examples=60, deadline=None)
def test_one_changed_word_in_a_long_row_is_near_and_other_words_are_not(
    words: list[str], place: int, random: Any
) -> None:
    changed = [*words[:place], "submarine", *words[place + 1 :]]
    shuffled = [f"{word}{random.randrange(10**9)}" for word in words]
    rows = [{"inputs": " ".join(text), "targets": "x"} for text in (words, changed, shuffled)]
    checks = check_rows(rows)
    runs = [{tuple(text[at : at + 3]) for at in range(len(text) - 2)} for text in (words, changed)]
    jaccard = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
    assert (2, 0) not in checks.near_duplicates
    if jaccard > 0.93:
        assert checks.near_duplicates == ((1, 0),)
    if jaccard < 0.88:
        assert checks.near_duplicates == ()
