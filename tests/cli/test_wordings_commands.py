"""`openflan wordings`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import openflan

TEMPLATES = """
PATTERNS = {
    "cot_gsm8k": [("{question} Sums, please:", "{chain_of_thought} Hence {answer}"),
                  (__import__("os").system("touch MARK"), "{answer}")],
    "cot_input_inversion_gsm8k": [("{chain_of_thought} Hence {answer}. Asked:", "{question}")],
}
"""

MINE = """tasks: [cot/gsm8k]
fields: [question, answer]
wordings:
  - {id: mine, inputs: "{question}", targets: "{answer}"}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "cache" / "wordings" / "flan"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "FLAN/flan/v2").mkdir(parents=True)
    (tmp_path / "FLAN/flan/v2/templates.py").write_text(TEMPLATES.replace("MARK", str(tmp_path / "mark")))
    (tmp_path / "FLAN/flan/v2/flan_templates_branched.py").write_text("PATTERNS = {}")
    return tmp_path / "FLAN"


def test_import_writes_the_cache_and_says_what_was_left_out(
    checkout: Path, cache: Path, tmp_path: Path
) -> None:
    done = openflan("wordings", "import", "--flan", checkout)
    assert done.returncode == 0, done.stderr
    assert f"2 wordings in 1 files in {cache}" in done.stdout
    assert "1 left out" in done.stdout
    assert "flan/v2/templates.py:4 " in done.stdout
    assert "is not a literal" in " ".join(done.stdout.split())
    assert "openflan wordings list" in done.stderr
    assert (cache / "cot/gsm8k.yaml").is_file()
    assert not (tmp_path / "mark").exists()


def test_import_as_json_lists_everything(checkout: Path, tmp_path: Path) -> None:
    done = openflan("wordings", "import", "--flan", checkout, "--to", tmp_path / "to", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["folder"] == str(tmp_path / "to")
    assert report["files"] == {"cot/gsm8k": ["cot/gsm8k"]}
    assert report["kinds"] == {"zero-shot, rationale": 1, "zero-shot, rationale, inverted": 1}
    assert [(one["entry"], one["place"].rpartition(":")[2]) for one in report["skipped"]] == [
        ("PATTERNS['cot_gsm8k'][1]", "4")
    ]


def test_list_shows_the_wordings_of_a_task_from_both_sources(checkout: Path, cache: Path) -> None:
    before = json.loads(openflan("wordings", "list", "--task", "gsm8k", "--json").stdout)
    assert {found["choice"] for found in before} == {"openflan"}
    assert (
        openflan("wordings", "list", "--task", "gsm8k")
        .stderr.strip()
        .endswith("openflan wordings import --flan DIR")
    )
    openflan("wordings", "import", "--flan", checkout)
    after = json.loads(openflan("wordings", "list", "--task", "cot/gsm8k", "--json").stdout)
    assert [found["choice"] for found in after] == ["original", *(found["choice"] for found in before)]
    flags = [
        (wording["id"], wording["shots"], wording["rationale"], wording["options"], wording["inverted"])
        for wording in after[0]["wordings"]
    ]
    assert flags == [
        ("flan-cot-gsm8k-zero-0", "zero", True, False, False),
        ("flan-cot-input-inversion-gsm8k-zero-0", "zero", True, False, True),
    ]
    assert after[0]["wordings"][0]["source"].startswith(f"{cache}/cot/gsm8k.yaml:")
    done = openflan("wordings", "list", "--task", "cot/gsm8k")
    assert done.returncode == 0, done.stderr
    assert "flan-cot-gsm8k-zero-0" in done.stdout
    assert "steps-asked-after" in done.stdout
    assert "zero-shot, rationale, inverted" in done.stdout


def test_list_without_a_task_shows_every_set(checkout: Path) -> None:
    openflan("wordings", "import", "--flan", checkout)
    done = openflan("wordings", "list")
    assert done.returncode == 0, done.stderr
    assert "cot/strategyqa" in done.stdout
    sets = json.loads(openflan("wordings", "list", "--json").stdout)
    assert {"original", "openflan"} == {found["choice"] for found in sets}


def test_check_tells_what_a_good_file_holds(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    done = openflan("wordings", "check", tmp_path / "mine.yaml")
    assert done.returncode == 0, done.stderr
    assert "1 wordings, all well formed" in done.stdout
    assert f"--wordings {tmp_path / 'mine.yaml'}" in done.stderr
    (printed,) = json.loads(openflan("wordings", "check", tmp_path / "mine.yaml", "--json").stdout)
    assert [one["fields"] for one in printed["wordings"]] == [["answer", "question"]]


BAD = [
    (
        ["check", "FOLDER/wrong.yaml"],
        "wrong.yaml:4: wording `mine` names `{qestion}`; did you mean `question`?",
    ),
    (["check", "FOLDER/absent.yaml"], "absent.yaml: no such wordings file"),
    (["import", "--flan", "FOLDER"], "flan/v2/templates.py: no such file; name the root of a checkout"),
    (["list", "--task", "cot/gsm9k"], "did you mean `cot/gsm8k`?"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[says for _, says in BAD])
def test_bad_input_ends_with_one_line_and_code_2(arguments: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(MINE.replace("{question}", "{qestion}"))
    done = openflan("wordings", *(argument.replace("FOLDER", str(tmp_path)) for argument in arguments))
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
