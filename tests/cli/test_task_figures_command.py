"""`openflan tasks figures`: the catalogue, recipes with and without rows, and the files in the
documentation."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from commands import openflan

from openflan.tasks.catalogue import counts

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
RECIPE = """\
name: mine
model: {base: nowhere}
mixture:
  rates: {cot: 1, own: 3}
  submixtures:
    cot: {tasks: [gsm8k, creak]}
    own: {data: rows}
training: {steps: 1}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/quiz.jsonl").write_text('{"inputs": "a", "targets": "b"}\n' * 4, encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_the_documentation_has_what_the_command_gives_today(tmp_path: Path) -> None:
    """Numbers, not strokes: another version of matplotlib draws them otherwise."""
    done = openflan("tasks", "figures", "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    for name in ("categories", "languages"):
        assert (
            json.loads((FIGURES / f"{name}.json").read_text(encoding="utf-8"))
            == json.loads(done.stdout)[name]
        )
        for suffix in ("csv", "json"):
            assert (tmp_path / f"{name}.{suffix}").read_bytes() == (FIGURES / f"{name}.{suffix}").read_bytes()
        assert (FIGURES / f"{name}.svg").read_text(encoding="utf-8").count("<text") == (
            tmp_path / f"{name}.svg"
        ).read_text(encoding="utf-8").count("<text")


def test_the_whole_catalogue_is_counted(tmp_path: Path) -> None:
    openflan("tasks", "figures", "--out", tmp_path)
    total = counts().total
    with (tmp_path / "categories.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert sum(int(row["tasks"]) for row in rows) == total.tasks
    assert len({row["category"] for row in rows}) == total.categories
    with (tmp_path / "languages.csv").open(encoding="utf-8", newline="") as table:
        assert len(list(csv.DictReader(table))) == total.languages


def test_a_recipe_is_counted_from_rows_where_they_are_and_from_the_catalogue_elsewhere(
    recipe: Path, tmp_path: Path
) -> None:
    done = openflan("tasks", "figures", recipe, "--out", tmp_path / "out", "--format", "png", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert {(one["submixture"], one["tasks"], one["share"]) for one in printed["categories"]} == {
        ("cot", 1, round(7473 / (7473 + 6915) / 4, 9)),
        ("cot", 1, round(6915 / (7473 + 6915) / 4, 9)),
        ("own", 1, 0.75),
    }
    assert printed["notes"] == ["2 of 3 tasks as the catalogue lists them, as their rows are not here"]
    assert {Path(name).name for name in printed["files"]} == {
        "categories.png",
        "categories-by-share.png",
        "languages.png",
        "categories.csv",
        "categories.json",
        "languages.csv",
        "languages.json",
    }
    assert all(Path(name).is_file() for name in printed["files"])


def test_tasks_weighed_by_their_cap_are_named(tmp_path: Path) -> None:
    done = openflan(
        "tasks",
        "figures",
        "flan-2022",
        "mixture.submixtures.muffin.tasks=[task_master,rte]",
        "--out",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "weighed by their cap, as nothing is published of their rows: muffin/task_master\n" in done.stdout


def test_bad_requests_end_with_a_sentence(recipe: Path, tmp_path: Path) -> None:
    assert openflan("tasks", "figures", "--out", tmp_path, "--format", "pdf").stderr.startswith(
        "`.pdf` is no kind of figure"
    )
    assert "is a file; name a folder" in openflan("tasks", "figures", "--out", recipe).stderr
    done = openflan(
        "tasks", "figures", recipe, "mixture.submixtures.own.data=absent", "--out", tmp_path / "x"
    )
    assert done.returncode == 2
    assert "submixture `own`: its rows are not here" in done.stderr
    assert not (tmp_path / "x").exists()
