"""Muffin's data sets in folders as people have them: reached as recipes read them, excerpts too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openflan.errors import InputError
from openflan.tasks.reach import reach
from openflan.tasks.sources import open_submixture

RTE = [
    {"premise": "It rained.", "hypothesis": "It was wet.", "idx": 0, "label": 0},
    {"premise": "a", "hypothesis": "b", "idx": 1, "label": -1},
]
GEN = [{"concepts": ["dog", "run"], "target": f"Dog {number} runs."} for number in range(6)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_raw_records_are_reached_as_a_recipe_opens_them(tmp_path: Path) -> None:
    write(tmp_path / "muffin" / "rte.jsonl", RTE)
    for folder, submixture in (
        (tmp_path, None),
        (tmp_path / "muffin", None),
        (tmp_path / "muffin", "muffin"),
    ):
        (reached,) = reach(folder, submixture)
        task = reached.open()
        assert (reached.name, len(task.rows), task.refused) == ("muffin/rte", 1, 1)
        assert dict(task.rows[0]) == dict(
            open_submixture("muffin", tmp_path / "muffin")["muffin/rte"].rows[0]
        )


def test_a_file_of_that_name_in_another_submixture_is_a_users_own(tmp_path: Path) -> None:
    write(tmp_path / "rte.jsonl", [{"inputs": "a", "targets": "b"}])
    (reached,) = reach(tmp_path, "mine")
    assert (reached.name, reached.open().rows[0]["targets"]) == ("mine/rte", "b")


def test_a_broken_data_set_hides_no_other(tmp_path: Path) -> None:
    write(tmp_path / "muffin" / "rte.jsonl", [{"premise": "a"}])
    write(tmp_path / "muffin" / "sst2.jsonl", [{"sentence": "fine", "label": 1}])
    tasks_by_name = {task.name: task for task in reach(tmp_path)}
    assert len(tasks_by_name["muffin/sst2"].open().rows) == 1
    with pytest.raises(InputError, match="rte needs the columns"):
        tasks_by_name["muffin/rte"].open()
    write(tmp_path / "muffin" / "rte" / "part.jsonl", RTE)
    (twice,) = reach(tmp_path)
    with pytest.raises(InputError, match="holds rte twice"):
        twice.open()


def test_an_excerpt_that_does_not_reach_its_window_is_used_whole_and_said_so(tmp_path: Path) -> None:
    write(tmp_path / "common_gen.jsonl", GEN)
    with pytest.warns(
        UserWarning,
        match=(
            r"common_gen.jsonl:1: 6 records of common_gen, none in its window train\[:-200\], so it is no "
            r"whole split"
        ),
    ):
        task = open_submixture("muffin", tmp_path)["muffin/common_gen"]
    assert len(task.rows) == 6


def test_a_file_that_reaches_its_window_is_cut_as_before(tmp_path: Path) -> None:
    write(
        tmp_path / "common_gen.jsonl",
        [{"concepts": ["dog"], "target": f"Dog {number}."} for number in range(203)],
    )
    assert len(open_submixture("muffin", tmp_path)["muffin/common_gen"].rows) == 3
