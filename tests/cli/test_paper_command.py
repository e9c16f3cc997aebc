"""`openflan paper`, and comparisons with what it prints."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from commands import openflan


def test_csv_of_a_table_has_its_columns_and_nothing_else() -> None:
    done = openflan("paper", "table", "7", "--csv")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["model", "0-shot", "10-shot"]
    assert rows[-1] == ["Perspective API", "97.0", ""]
    assert len(rows) == 9
    assert "source: Chung et al. 2022" in done.stderr
    shown = openflan("paper", "table", "2")
    assert "misprint: The pretraining FLOPs of Flan-U-PaLM" in shown.stdout
    assert "2.5e+23" in shown.stdout
    assert json.loads(openflan("paper", "table", "2", "--json").stdout)["misprints"]
    refused = openflan("paper", "table", "12")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nothing is made up" in refused.stderr
    assert openflan("paper", "table", "2", "--csv", "--json").returncode == 2
    assert "human-expert" in openflan("paper", "list").stdout


def test_people_are_held_against_the_test_split(tmp_path: Path) -> None:
    """Table 1 is of the test split; on validation the answer says so instead of an empty table."""
    line = {"task": "anatomy", "index": 0, "generation": "(A)", "target": "(A)"}
    path = tmp_path / "generations" / "final-mmlu-direct.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps(line) + "\n")
    refused = openflan("compare", tmp_path, "paper:human-expert")
    assert refused.returncode == 2
    assert "evaluate with `--split test`" in refused.stderr
