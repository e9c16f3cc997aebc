"""The card beside an exported file: what the file holds, and never in the place of someone's README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from openflan.cli.main import app

RECIPE = """\
name: mine
model: {{base: ./nowhere}}
mixture:
  rates: {{niv2: 3, other: 1}}
  submixtures:
    niv2: {{data: {folder}/niv2}}
    other: {{data: {folder}/other}}
packing: {{inputs: 64, targets: 16}}
training: {{steps: 1}}
"""


def task(folder: Path, number: int, licence: str, rows: int = 30) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "Definition": ["Answer."],
        "Categories": ["Question | Answering"],
        "Instance License": [licence],
        "Instances": [{"input": f"q {row}", "output": ["a"]} for row in range(rows)],
    }
    (folder / f"task{number:03}_made_up.json").write_text(json.dumps(document))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    task(tmp_path / "data/niv2", 1, "MIT")
    task(tmp_path / "data/niv2", 2, "CC BY 4.0")
    (tmp_path / "data/other").mkdir()
    lines = [json.dumps({"inputs": f"copy {number}", "targets": "b"}) for number in range(20)]
    (tmp_path / "data/other/rows.jsonl").write_text("\n".join(lines))
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(folder=tmp_path / "data"))
    return path


def exported(recipe: Path, out: Path, *more: object) -> Any:
    arguments = ["mixture", recipe, "--export", out, "--examples", 200, "--no-pruning", "--json", *more]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def table(card: str, title: str) -> list[list[str]]:
    """The rows of the table under a heading."""
    lines = card.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return rows[2:]


@pytest.mark.parametrize("workers", [1, 2])
def test_shares_licences_and_recipe_are_those_of_the_file(workers: int, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "flan.jsonl"
    done = exported(recipe, out, "--workers", workers)
    assert done["card"] == str(out.parent / "README.md")
    card = (out.parent / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["configs"] == [{"config_name": "default", "data_files": "flan.jsonl"}]
    written = [json.loads(line)["task"] for line in out.read_text().splitlines()]
    counts = {name: written.count(name) for name in set(written)}
    own = sum(count for name, count in counts.items() if name.startswith("niv2/"))
    assert table(card, "Shares") == [
        ["niv2", "2", str(own), f"{own / 2:.2f}", "75.00"],
        ["other", "1", str(200 - own), f"{100 - own / 2:.2f}", "25.00"],
    ]
    licences = {row[0]: int(row[2]) for row in table(card, "Licences")}
    assert licences == {
        "MIT": counts["niv2/task001_made_up"],
        "CC BY 4.0": counts["niv2/task002_made_up"],
        "unknown": counts["other/rows"],
    }
    assert {row[0].strip("`"): int(row[1]) for row in table(card, "Tasks")} == counts
    assert "question \\| answering" in card
    recipe_block = card.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(recipe_block)["mixture"]["rates"] == {"niv2": 3, "other": 1}
    assert sum(int(row[1]) for row in table(card, "Formats")) == 200


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.sampled_from(["", "# Mine\n", "---\nlicense: mit\n---\n", "---\n# openflan wrote this card"]))
def test_a_readme_that_is_there_stays(text: str, recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text(text)
    done = exported(recipe, folder / "flan.parquet", "--form", "messages")
    assert (folder / "README.md").read_text() == text
    assert done["card"] == str(folder / "flan.parquet.README.md")
    assert "`messages` is a list" in (folder / "flan.parquet.README.md").read_text()


def test_a_card_of_the_same_file_is_replaced_and_that_of_another_is_not(recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for name, card in (
        ("one.jsonl", "README.md"),
        ("one.jsonl", "README.md"),
        ("two.jsonl", "two.jsonl.README.md"),
        ("one.jsonl", "README.md"),
    ):
        assert exported(recipe, folder / name)["card"] == str(folder / card)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "one.jsonl",
        "two.jsonl",
        "two.jsonl.README.md",
    ]


def test_the_code_of_a_card_loads_the_file(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets", reason="the extra `data` is not installed")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    exported(recipe, tmp_path / "out" / "flan.parquet")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    code = card.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path / "out")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the code of the card itself
    assert len(names["data"]) == 200
