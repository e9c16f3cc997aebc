"""`openflan tasks list --data`: where nothing can be listed it says what was looked for, and ends with 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import openflan

ROW = '{"inputs": "a", "targets": "b"}\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    contents = {
        "good/quiz.jsonl": ROW,
        "bad/quiz.jsonl": '{"inputs": "a", "targets": NaN}\n',
        "bad/more.jsonl": "[1]\n",
        "held/test.jsonl": ROW,
        "none/a.txt": "x",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["bad"],
            [
                "bad/more.jsonl:1: expected a JSON object",
                "1 more cannot be read either",
                "openflan tasks check --data",
            ],
        ),
        (["held"], ["holds only files of validation or test splits (test.jsonl)", "name one, such as"]),
        (["none"], ["none: nothing in it is read; looked for"]),
        (["missing"], ["missing: no such file or folder"]),
        (["good", "--language", "sw"], ["good: none of its 1 tasks fits --language sw; leave a filter out"]),
        (["good", "--dataset", "zzz", "--held-out"], ["none of its 1 tasks fits --dataset zzz --held-out"]),
        (["good", "--submixture", "mine", "--dataset", "zzz"], ["fits --submixture mine --dataset zzz"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_a_list_of_nothing_is_an_error_that_says_what_was_looked_for(
    data: Path, arguments: list[str], says: list[str], form: list[str]
) -> None:
    done = openflan("tasks", "list", "--data", str(data / arguments[0]), *arguments[1:], *form)
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(text in done.stderr for text in says), done.stderr
    assert "Traceback" not in done.stderr


def test_what_can_be_listed_is_listed_beside_what_cannot(data: Path) -> None:
    (data / "bad/fine.jsonl").write_text(ROW)
    done = openflan("tasks", "list", "--data", str(data / "bad"))
    assert (done.returncode, "own/fine" in done.stdout, "2 tasks cannot be read" in done.stderr) == (
        0,
        True,
        True,
    )
