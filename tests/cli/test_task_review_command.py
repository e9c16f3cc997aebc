"""`openflan tasks review`, the examples in the documentation, and the rows they are made from."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import pytest
from commands import openflan

from openflan.tasks.catalogue import catalogue
from openflan.tasks.reach import reach
from openflan.tasks.task import Task

ROOT = Path(__file__).parents[2]
ROWS = "examples/rows"


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the rows are excerpts, of which openflan warns
        return [found.open() for found in reach(ROOT / ROWS)]


@pytest.mark.filterwarnings("ignore:.*no whole split")
def test_the_documentation_has_what_the_command_prints_today() -> None:
    done = openflan("tasks", "review", "--data", ROWS, folder=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "artifacts/review.md").read_text(encoding="utf-8"), (
        "run `openflan tasks review --data examples/rows --out artifacts/review.md`"
    )


def test_forty_tasks_of_all_submixtures_have_three_examples_each(tasks: list[Task]) -> None:
    text = (ROOT / "artifacts/review.md").read_text(encoding="utf-8")
    assert Counter(task.submixture for task in tasks) == {"muffin": 30, "cot": 4, "niv2": 3, "t0_sf": 3}
    assert {task.name for task in tasks} <= set(catalogue())
    assert text.count("\nTargets:\n") == text.count("\nInputs:\n") == 120
    assert all(f"\n## `{task.name}`\n" in text for task in tasks)


def test_every_example_row_is_used_and_answers_with_one_of_its_options(tasks: list[Task]) -> None:
    for task in tasks:
        assert len(task.rows) >= 6, task.name
        assert task.refused == 0, task.name
        rows = [task.rows[index] for index in range(len(task.rows))]
        assert all("options" not in row or row["answer"] in row["options"] for row in rows)
        assert len({str(row) for row in rows}) == len(rows), "no row twice"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"inputs": "a", "targets": "b"}\n', encoding="utf-8")
    out = tmp_path / "docs" / "mine.md"
    refused = openflan("tasks", "review", "--data", tmp_path / "mine.jsonl", "--out", out)
    assert (refused.returncode, out.exists()) == (2, False)
    assert "own/mine: 3 examples of 1 rows; ask for fewer with --number" in refused.stderr
    done = openflan("tasks", "review", "--data", tmp_path / "mine.jsonl", "--out", out, "-n", 1)
    assert done.returncode == 0, done.stderr
    assert "1 examples of 1 tasks" in done.stdout
    assert "## `own/mine`" in out.read_text(encoding="utf-8")
    assert openflan("tasks", "review", "--data", tmp_path, "--out", tmp_path).returncode == 2
