"""Readers of JSON lines: the rows, and the errors for a broken file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from reader_files import File, custom_rows, jsonl_tasks, refusal


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file below the test's folder and gives its path."""

    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# JSON lines


def test_own_rows_are_read_as_they_are(file: File) -> None:
    rows = [
        {"inputs": "Caf\u00e9\u2028\\n", "targets": " a\n"},
        {"inputs": "{targets}", "targets": "b", "extra": "c"},
    ]
    path = file("own.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert custom_rows(path) == rows
    assert jsonl_tasks(path)["mine/own"].fields == {"inputs", "targets", "extra"}


def test_numbers_become_texts_and_options_stay_lists(file: File) -> None:
    read = custom_rows(
        file(
            "own.jsonl",
            '{"question": "2+2?", "answer": 4, "options": ["4", "5"], "references": ["4"], "weight": 0.5}\n',
        )
    )
    assert read[0] == {
        "question": "2+2?",
        "answer": "4",
        "options": ["4", "5"],
        "references": ["4"],
        "weight": "0.5",
    }


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            '{"input": "a", "target": "b"}',
            ": found the fields `input`, `target`; expected those of a known format, of which inputs-targets "
            "(inputs, targets) is nearest; name the columns, such as `--map inputs=input,targets=target`",
        ),
        (
            '{"question": "a", "answr": "b"}',
            "question-answer (question, answer) is nearest; name the columns, such as `--map answer=answr`",
        ),
        ('{"text": "a"}', ": found the fields `text`; expected those of a known format"),
    ],
)
def test_rows_without_anything_to_learn_are_refused(file: File, first: str, message: str) -> None:
    assert message in refusal(lambda: custom_rows(file("own.jsonl", first + "\n")))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ('{"question": "a", "answer": "b"', "not valid JSON (Expecting"),
        ("nothing", "not valid JSON (Expecting value at column 1)"),
        ('["a", "b"]', 'expected a JSON object such as {"inputs": ..., "targets": ...}'),
        ("{}", "expected a JSON object"),
        (
            '{"question": "a"}',
            "missing `answer` (absent, null, NaN or infinite); there is nothing to learn from it",
        ),
        ('{"question": "a", "answer": " "}', "empty `answer`; there is nothing to learn from it"),
        ('{"question": "a", "answer": null}', "missing `answer`"),
        ('{"question": "a", "answer": true}', "`answer` is true or false; expected a text"),
        ('{"question": {"a": 1}, "answer": "b"}', "`question` is an object; expected a text"),
        (
            '{"question": "a", "answer": ["b"]}',
            "`answer` is a list; expected a text (only options and references are lists)",
        ),
        (
            '{"question": "a", "answer": "b", "options": "abc"}',
            '`options` must be a list of texts; found "abc"',
        ),
        (
            '{"question": "a", "answer": "b", "options": [1, 2]}',
            "`options` must be a list of texts; found [1, 2]",
        ),
        ('{"question": "a", "answer": "b", "options": []}', "`options` must be a list of texts; found []"),
        (
            '{"question": "a", "answer": "b", "options": ["c", "bb"]}',
            "the answer `b` is not among its options ['c', 'bb']",
        ),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(file: File, second: str, message: str) -> None:
    path = file(
        "own.jsonl", f'{{"question": "a", "answer": "b"}}\n{second}\n{{"question": "c", "answer": "d"}}\n'
    )
    assert f"{path}:2: {message}" in refusal(lambda: custom_rows(path))


def test_options_of_rows_that_are_already_worded_are_of_no_concern(file: File) -> None:
    assert len(custom_rows(file("own.jsonl", '{"inputs": "a", "targets": "b", "options": ["c"]}\n'))) == 1


def test_each_file_is_a_task(file: File, tmp_path: Path) -> None:
    row = '{"inputs": "a", "targets": "b"}\n'
    file("quiz.jsonl", row * 2)
    file("my data (1).jsonl", row)
    tasks = jsonl_tasks(tmp_path, "mine")
    assert {name: len(task.rows) for name, task in tasks.items()} == {"mine/my_data__1_": 1, "mine/quiz": 2}
    assert list(jsonl_tasks(tmp_path / "quiz.jsonl", "mine")) == ["mine/quiz"]
    assert "cannot name a task" in refusal(lambda: jsonl_tasks(tmp_path, "Mine!"))


def test_files_whose_tasks_would_have_one_name_are_refused(file: File, tmp_path: Path) -> None:
    for name in ("a b.jsonl", "a_b.jsonl"):
        file(name, '{"inputs": "a", "targets": "b"}\n')
    message = refusal(lambda: jsonl_tasks(tmp_path, "mine"))
    assert "`mine/a_b`" in message
    assert "a b.jsonl" in message
    assert "a_b.jsonl" in message


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    assert "no files of rows in this folder; looked for *.jsonl" in refusal(
        lambda: jsonl_tasks(tmp_path, "mine")
    )
