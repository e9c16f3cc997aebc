"""`openflan evaluate RUN --data FILE`: a user's own rows, for a run and for the base that it started from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import openflan

from openflan.api.finetune import recipe_from_rows
from openflan.hashes import sha256_of
from openflan.recipe.load_recipe import dump_recipe

ROWS = [("what is the sky ?", "blue"), ("what is grass ?", "green"), ("what is one ?", "two")]


def _write(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def run(t5: Path, rows: Path, tmp_path: Path) -> Path:
    """The folder of a finished run; its model has the weights of its base."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(dump_recipe(recipe_from_rows(rows, str(t5))))
    shutil.copytree(t5, folder / "model")
    return folder


def _evaluated(run: Path, data: Path, *more: object) -> dict[str, Any]:
    done = openflan("evaluate", run, "--data", data, "--max-tokens", 2, "--json", *more)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def _hashes(run: Path, name: str) -> list[str]:
    lines = (run / "generations" / name).read_text().splitlines()
    return [json.loads(line)["prompt_hash"] for line in lines]


def test_own_rows_are_scored_for_a_run_and_its_base_in_one_command(run: Path, tmp_path: Path) -> None:
    data = _write(tmp_path / "quiz.jsonl", [{"inputs": asked, "targets": said} for asked, said in ROWS])
    value = _evaluated(run, data)
    assert [(score["model"], score["benchmark"]) for score in value["scores"]] == [
        ("base", "own-quiz"),
        ("final", "own-quiz"),
    ]
    (compared,) = value["comparisons"]
    assert (compared["names"]["a"], compared["names"]["b"]) == ("base", "final")
    average = compared["benchmarks"][0]["averages"]["average"]
    assert (average["n"], average["difference"]) == (3, 0.0)
    # Nothing stands before or after the user's own text.
    expected = [sha256_of(asked)[:16] for asked, _ in ROWS]
    assert _hashes(run, "base-own-quiz-direct.jsonl") == expected
    assert _hashes(run, "final-own-quiz-direct.jsonl") == expected
    printed = openflan("evaluate", run, "--data", data, "--max-tokens", 2)
    assert "own/quiz: 3 rows, format inputs-targets" in printed.stderr
    assert "0 generations" in printed.stderr  # both were kept
    assert "final minus base, with its 95 % interval" in printed.stdout


@pytest.mark.parametrize(
    ("name", "text", "more", "prompts"),
    [
        (
            "a.json",
            json.dumps([{"instruction": "Say it.", "input": "one", "output": "two"}]),
            (),
            ["Say it.\n\none"],
        ),
        ("b.csv", "ask,say\nwhat is one ?,two\n", ("--map", "inputs=ask,targets=say"), ["what is one ?"]),
        ("c.tsv", "prompt\tcompletion\nwhat is one ?\ttwo\n", (), ["what is one ?"]),
        (
            "d.jsonl",
            json.dumps(
                {
                    "messages": [
                        {"role": "system", "content": "Be short."},
                        {"role": "user", "content": "one ?"},
                        {"role": "assistant", "content": "two"},
                    ]
                }
            ),
            ("--format", "messages"),
            ["Be short.\n\none ?"],
        ),
    ],
)
def test_any_format_of_rows_is_read(
    name: str, text: str, more: tuple[object, ...], prompts: list[str], run: Path, tmp_path: Path
) -> None:
    data = tmp_path / name
    data.write_text(text)
    _evaluated(run, data, *more)
    stem = name.partition(".")[0]
    assert _hashes(run, f"final-own-{stem}-direct.jsonl") == [sha256_of(prompt)[:16] for prompt in prompts]


@pytest.mark.filterwarnings("always:.*was trained on the rows of")
def test_rows_of_fields_get_the_wordings_and_columns_of_the_run(t5: Path, tmp_path: Path) -> None:
    wordings = tmp_path / "wordings.yaml"
    wordings.write_text(
        'tasks: ["own/*"]\nfields: [question, answer]\nwordings:\n'
        '  - {id: only, inputs: "please : {question}", targets: "{answer}"}\n'
    )
    rows = [{"q": asked, "a": said} for asked, said in ROWS]
    train = _write(tmp_path / "data/learn.jsonl", rows)
    folder = tmp_path / "run"
    folder.mkdir()
    recipe = recipe_from_rows(train, str(t5), wordings=wordings, columns="question=q,answer=a")
    (folder / "recipe.yaml").write_text(dump_recipe(recipe))
    shutil.copytree(t5, folder / "model")
    data = _write(tmp_path / "data/quiz.jsonl", rows)
    _evaluated(folder, data)
    expected = [sha256_of(f"please : {asked}")[:16] for asked, _ in ROWS]
    assert _hashes(folder, "final-own-quiz-direct.jsonl") == expected
    done = openflan("evaluate", folder, "--data", train, "--max-tokens", 2)
    assert "was trained on the rows of" in done.stderr
    assert "was trained on" not in openflan("evaluate", folder, "--data", data, "--max-tokens", 2).stderr


def test_a_folder_with_splits_gives_its_test_rows(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "capitals"
    for split, count in (("train", 3), ("validation", 2), ("test", 1)):
        rows = [{"inputs": f"{split} {number} ?", "targets": "one"} for number in range(count)]
        _write(folder / f"{split}.jsonl", rows)
    assert [score["split"] for score in _evaluated(run, folder)["scores"]] == ["test", "test"]
    assert _hashes(run, "test/final-own-capitals-direct.jsonl") == [sha256_of("test 0 ?")[:16]]
    (folder / "test.jsonl").unlink()
    refused = openflan("evaluate", run, "--data", folder)
    assert refused.returncode == 2
    assert "`--split validation`" in refused.stderr
    assert len(_evaluated(run, folder, "--split", "validation")["scores"]) == 2
    alone = _write(tmp_path / "alone/test.jsonl", [{"inputs": "one ?", "targets": "two"}]).parent
    assert _evaluated(run, alone)["scores"][0]["split"] == "test"


def test_a_label_keeps_variants_of_decoding_side_by_side(run: Path, tmp_path: Path) -> None:
    data = _write(tmp_path / "quiz.jsonl", [{"inputs": asked, "targets": said} for asked, said in ROWS])
    _evaluated(run, data)
    changed = openflan("evaluate", run, "--data", data, "--max-tokens", 1)
    assert changed.returncode == 2
    assert "what changed: `--max-tokens` 2, now 1" in changed.stderr
    assert "--label" in changed.stderr
    kept = openflan("evaluate", run, "--data", data, "--max-tokens", 1, "--label", "short", "--no-base")
    assert kept.returncode == 0, kept.stderr
    sampled = ("--label", "drawn", "--no-base", "--temperature", 1, "--max-tokens", 2)
    assert openflan("evaluate", run, "--data", data, *sampled).returncode == 0
    models = [score["model"] for score in json.loads((run / "scores.json").read_text())["scores"]]
    assert models == ["base", "final", "final@short", "final@drawn"]
    compared = json.loads(openflan("compare", f"{run}:final", f"{run}:final@short", "--json").stdout)
    assert compared["benchmarks"][0]["other_options"] == [{"option": "--max-tokens", "a": 2, "b": 1}]
    compared = json.loads(openflan("compare", f"{run}:final", f"{run}:final@drawn", "--json").stdout)
    assert compared["benchmarks"][0]["other_options"][0] == {
        "option": "decoding",
        "a": "greedy",
        "b": "t1-k40",
    }
    without = openflan("compare", f"{run}:base", f"{run}:final", "--json")
    assert json.loads(without.stdout)["benchmarks"][0]["other_options"] == []
    refused = openflan("evaluate", run, "--data", data, "--label", "a/b")
    assert (refused.returncode, "--label a/b" in refused.stderr) == (2, True)


def test_what_is_no_file_of_rows_says_how_to_name_a_benchmark(run: Path, tmp_path: Path) -> None:
    (tmp_path / "data/bbh").mkdir(parents=True)
    refused = openflan("evaluate", run, "--data", tmp_path / "data")
    assert (refused.returncode, "--benchmark" in refused.stderr) == (2, True)
    refused = openflan("evaluate", run, "--benchmark", "bbh", "--data", tmp_path, "--format", "alpaca")
    assert (refused.returncode, "`--format` and `--map`" in refused.stderr) == (2, True)


def test_a_model_that_is_no_run_is_scored_alone(t5: Path, tmp_path: Path) -> None:
    data = _write(tmp_path / "quiz.jsonl", [{"inputs": asked, "targets": said} for asked, said in ROWS])
    value = _evaluated(t5, data, "--run", tmp_path / "scores")
    assert [score["model"] for score in value["scores"]] == ["final"]
    assert value["comparisons"] == []
