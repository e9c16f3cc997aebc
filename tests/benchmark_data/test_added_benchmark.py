"""A benchmark of another package, that of docs/adding-a-benchmark.md, works wherever a built-in one does."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import openflan

PAGE = Path(__file__).parents[2] / "docs/adding-a-benchmark.md"
QUESTIONS = [("What colour is snow?", "white"), ("What colour is grass?", "green"), ("And soot?", "black")]


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's package, installed as pip would, and its data."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "colours_benchmark.py").write_text(blocks("python")[0], encoding="utf-8")
    (toml,) = blocks("toml")
    (value,) = re.findall(r'^colours = "(.*)"$', toml, re.MULTILINE)
    _install(folder, "colours", value)
    (folder / "data/colours").mkdir(parents=True)
    rows = [json.dumps({"question": question, "answer": answer}) + "\n" for question, answer in QUESTIONS]
    (folder / "data/colours/colours.jsonl").write_text("".join(rows), encoding="utf-8")
    return folder


def _install(folder: Path, name: str, value: str) -> None:
    metadata = folder / f"{name}_benchmark-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-benchmark\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[openflan.benchmarks]\n{name} = {value}\n")


def run_openflan(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_python(folder, "-m", "openflan", *arguments)


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    source = Path(openflan.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": f"{source}{os.pathsep}{folder}"}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )


def test_its_prompts_are_shown(installed: Path) -> None:
    done = run_openflan(installed, "show", "colours", "--data", "data", "--index", "1")
    assert done.stdout == (
        "Q: What colour is coal?\nA: black\n\nQ: What colour is a banana?\nA: yellow\n\n"
        "Q: What colour is grass?\nA:\n"
    ), done.stderr


def test_its_saved_generations_are_scored(installed: Path) -> None:
    lines = [
        json.dumps({"task": "colours", "index": index, "generation": said, "target": answer}) + "\n"
        for index, (said, (_, answer)) in enumerate(
            zip((" White.", "red", "black\nQ"), QUESTIONS, strict=True)
        )
    ]
    (installed / "mine.jsonl").write_text("".join(lines))
    done = run_openflan(installed, "score", "colours", "--generations", "mine.jsonl", "--json")
    assert json.loads(done.stdout)["average"] == pytest.approx(200 / 3), done.stderr


def test_it_is_compared_with_training_rows_and_held_out(installed: Path) -> None:
    (installed / "rows").mkdir()
    row = json.dumps({"inputs": "So: what colour is snow?", "targets": "white"}) + "\n"
    for name in ("colours_2", "other"):
        (installed / f"rows/{name}.jsonl").write_text(row)
    done = run_openflan(installed, "overlap", "--tasks-data", "rows", "--benchmarks", "data", "--json")
    report = json.loads(done.stdout)
    assert report["benchmarks"] == {"colours": 3}, done.stderr
    assert {task["hit_rows"] for task in report["tasks"]} == {1}
    code = (
        "from openflan.mixture.open_mixture import open_tasks; "
        "from openflan.recipe.schema import Mixture; parts = {'mine': {'data': 'rows'}}; "
        "print([sorted(open_tasks(Mixture.model_validate({'submixtures': parts, 'held_out': held_out})))"
        " for held_out in (['colours'], [])])"
    )
    held_out = run_python(installed, "-c", code)
    assert held_out.stdout == "[['mine/other'], ['mine/colours_2', 'mine/other']]\n", held_out.stderr


def test_a_broken_package_is_named_where_its_benchmark_is_needed_only(tmp_path: Path) -> None:
    _install(tmp_path, "broken", "no_such_module:BENCHMARK")
    _install(tmp_path, "wrong", "json:dumps")
    _install(tmp_path, "mmlu", "json:dumps")
    for name, message in (
        (
            "broken",
            "`broken` of the package broken-benchmark (no_such_module:BENCHMARK) cannot be",
        ),
        ("wrong", "of the package wrong-benchmark (json:dumps) is a function, expected a openflan"),
        ("brken", "there is no benchmark `brken`; did you mean `broken`?"),
    ):
        done = run_openflan(tmp_path, "score", name, "--generations", "x.jsonl")
        assert (done.returncode != 0, message in done.stderr) == (True, True), done.stderr
    built_in = run_openflan(tmp_path, "score", "mmlu", "--generations", "x.jsonl")
    assert "there are no generations at x.jsonl" in built_in.stderr
    assert "has a benchmark of that name" in built_in.stderr
