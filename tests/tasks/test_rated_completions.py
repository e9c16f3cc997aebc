"""Completions that are labelled false are never learned silently."""

import json
from pathlib import Path
from typing import Any

import pytest

from openflan.errors import InputError
from openflan.tasks.formats.reading import AS_IT_IS, Reading, make_reading
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task


def opened(path: Path, rows: list[dict[str, Any]], reading: Reading = AS_IT_IS) -> Task:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (task,) = open_submixture("own", path, reading=reading).values()
    return task


def rated(labels: list[Any]) -> list[dict[str, Any]]:
    return [{"prompt": f"{n}?", "completion": f"{n}!", "label": label} for n, label in enumerate(labels)]


@pytest.mark.parametrize("labels", [[True, False, True], ["true", "False", "TRUE"], [False, True, False]])
def test_completions_labelled_false_are_left_out_and_counted(tmp_path: Path, labels: list[Any]) -> None:
    task = opened(tmp_path / "kto.jsonl", rated(labels))
    truths = [str(label).lower() == "true" for label in labels]
    assert [row["targets"] for row in (task.rows[n] for n in range(len(task.rows)))] == [
        f"{n}!" for n, truth in enumerate(truths) if truth
    ]
    assert task.left_out == {"label false": truths.count(False)}
    assert task.form == "rated (prompt, completion, label)"
    assert "those with false are left out" in task.notice


def test_conversations_are_rated_too(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "user", "content": f"{n}?"}],
            "completion": [{"role": "assistant", "content": f"{n}!"}],
            "label": n == 1,
        }
        for n in range(3)
    ]
    task = opened(tmp_path / "kto.jsonl", rows)
    assert [task.rows[n]["targets"] for n in range(len(task.rows))] == ["1!"]


def test_a_label_that_is_a_class_is_a_side_column(tmp_path: Path) -> None:
    task = opened(tmp_path / "x.jsonl", rated(["good", "bad", None]))
    assert (task.form, len(task.rows)) == ("prompt-completion (prompt, completion)", 3)
    every = opened(tmp_path / "x.jsonl", rated([True, False]), make_reading("prompt-completion", None))
    assert len(every.rows) == 2


def test_a_missing_label_and_nothing_true_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"kto.jsonl:2: `label` is null.*--format prompt-completion"):
        opened(tmp_path / "kto.jsonl", rated([True, None, False]))
    with pytest.raises(InputError, match="false in all 2 rows"):
        opened(tmp_path / "kto.jsonl", rated([False, False]))
