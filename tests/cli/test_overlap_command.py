"""`openflan overlap`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import openflan

GSM8K = (
    "Tomas stacks 14 crates on each of 6 carts, drops half of all the crates in the lane, and sells "
    "the others for $3. What does he earn?"
)
MGSM = "Orla's bakery sells 1,250 rolls a day, packed in bags of 5; how many bags does she need for 3 days?"

RECIPE = """\
name: mine
model: {base: ./nowhere}
mixture:
  submixtures:
    cot: {data: cot}
training: {steps: 1}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe, its three rows, two of them in benchmarks, and two benchmarks."""
    for name in ("gsm8k", "mgsm", "cot"):
        (tmp_path / "data" / name if name != "cot" else tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/gsm8k/test.jsonl").write_text(
        json.dumps({"question": GSM8K, "answer": "#### 126"}) + "\n"
    )
    (tmp_path / "data/mgsm/mgsm_en.tsv").write_text(f"{MGSM}\t750\n")
    lines = [
        f"{MGSM}\t750\tShe sells 3,750.",
        "What is 2 + 2?\t4\t2 + 2 = 4.",
        f"Quickly: {GSM8K.upper()}\t126\tHalf are 42.",
    ]
    (tmp_path / "cot/gsm8k_train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(RECIPE)
    return tmp_path


def test_a_recipe_is_compared(folder: Path) -> None:
    done = openflan("overlap", "mine.yaml", "--benchmarks", "data", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "cot/gsm8k row 2, question: contains, 28 units, gsm8k test 0" in done.stdout
    assert "cot/gsm8k row 0, question: equal" in done.stdout
    assert "index: " in done.stdout
    assert "peak memory" in done.stdout
    line = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["cot/gsm8k"])
    assert line.split()[1:4] == ["3", "2", "0"]


def test_json_is_one_value(folder: Path) -> None:
    done = openflan(
        "overlap", "--tasks-data", "cot", "--benchmarks", "data", "--json", "--examples", 0, folder=folder
    )
    printed = json.loads(done.stdout)
    (task,) = printed["tasks"]
    assert (task["task"], task["rows"], task["hit_rows"], task["stock_rows"]) == ("cot/gsm8k", 3, 2, 0)
    assert task["groups"] == {
        "gsm8k": {"rows": 1, "items": 1, "whole": 1},
        "mgsm": {"rows": 1, "items": 1, "whole": 1},
    }
    assert task["examples"] == []
    assert printed["benchmarks"] == {"mgsm": 1, "gsm8k": 1}
    assert printed["missing"][:5] == [
        "mmlu/dev/*.csv",
        "mmlu/val/*.csv",
        "mmlu/test/*.csv",
        "bbh/*.json",
        "tydiqa/dev/*.json",
    ]
    assert (printed["broken"], printed["rows"]) == ({}, 3)
    assert printed["peak_memory_bytes"] > printed["index"]["bytes"] > 0


def test_rows_without_hits_are_no_failure(folder: Path) -> None:
    (folder / "cot/gsm8k_train.tsv").write_text("What is 2 + 2?\t4\t2 + 2 = 4.\n")
    done = openflan("overlap", "mine.yaml", "--benchmarks", "data", folder=folder)
    assert done.returncode == 0
    assert "contains" not in done.stdout


def test_hits_are_written_and_leave_their_rows_out(folder: Path) -> None:
    assert (
        openflan(
            "overlap", "mine.yaml", "--benchmarks", "data", "--out", "hits.jsonl", folder=folder
        ).returncode
        == 0
    )
    written = [json.loads(line) for line in (folder / "hits.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [
        (hit["task"], hit["row"], hit["benchmark"], hit["benchmark_task"], hit["index"], hit["kind"])
        for hit in written
    ] == [
        ("cot/gsm8k", 0, "mgsm", "en", 0, "equal"),
        ("cot/gsm8k", 2, "gsm8k", "test", 0, "contains"),
    ]
    assert written[1]["span"] == GSM8K.lower().removesuffix("?")
    again = openflan(
        "overlap",
        "mine.yaml",
        "mixture.drop_overlaps=hits.jsonl",
        "--benchmarks",
        "data",
        "--json",
        folder=folder,
    )
    assert [(task["rows"], task["hit_rows"]) for task in json.loads(again.stdout)["tasks"]] == [(1, 0)]
    twice = openflan(
        "overlap",
        "mine.yaml",
        "mixture.drop_overlaps=hits.jsonl",
        "--benchmarks",
        "data",
        "--out",
        "more.jsonl",
        folder=folder,
    )
    assert twice.returncode == 2
    assert "their numbers have moved; add mixture.drop_overlaps=null" in twice.stderr


def test_what_is_missing_is_named_and_a_broken_task_hides_no_other(folder: Path) -> None:
    (folder / "data/gsm8k/test.jsonl").unlink()
    (folder / "cot/aqua_train.tsv").write_text("one column\n")
    done = openflan("overlap", "--tasks-data", "cot", "--benchmarks", "data", "--json", folder=folder)
    assert done.returncode == 1
    assert "tydiqa/dev/*.json, gsm8k/test.jsonl, " in done.stderr
    assert "; the rest is compared" in done.stderr
    assert "cot/aqua: not checked: " in done.stderr
    printed = json.loads(done.stdout)
    assert "gsm8k/test.jsonl" in printed["missing"]
    assert "1 column, expected 3" in printed["broken"]["cot/aqua"]
    assert [task["hit_rows"] for task in printed["tasks"]] == [1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["mine.yaml"], "--benchmarks"),
        (["--benchmarks", "data"], "name one recipe"),
        (["mine.yaml", "--tasks-data", "cot", "--benchmarks", "data"], "name one recipe"),
        (["seed=1", "--tasks-data", "cot", "--benchmarks", "data"], "name one recipe"),
        (["mine.yaml", "--benchmarks", "cot"], "holds no benchmark"),
        (["mine.yaml", "--benchmarks", "nowhere"], "no such folder"),
        (["mine.yaml", "--benchmarks", "data", "--out", "hits.txt"], "ends in .jsonl"),
    ],
)
def test_bad_usage_is_told(arguments: list[str], expected: str, folder: Path) -> None:
    done = openflan("overlap", *arguments, folder=folder)
    assert done.returncode == 2
    assert expected in done.stderr


def test_a_failed_run_leaves_the_file_of_hits_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "hits.jsonl").write_text("before")
    monkeypatch.setattr("openflan.cli.overlap.check_task", lambda *_: 1 / 0)
    done = openflan("overlap", "mine.yaml", "--benchmarks", "data", "--out", "hits.jsonl", folder=folder)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert (folder / "hits.jsonl").read_text() == "before"
