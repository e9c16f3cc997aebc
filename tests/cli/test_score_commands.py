"""`openflan score` and `openflan compare` as a user types them."""

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from commands import openflan

from openflan.benchmark_data.bbh import BBH_TASKS

MGSM = ["bn", "de", "es", "fr", "ja", "ru", "sw", "te", "th", "zh"]


def _bbh(path: Path, accuracy: float, seed: int = 0, **more: object) -> Path:
    """Generations for every question of BBH; about `accuracy` of them are right."""
    draw = random.Random(seed)
    rows = [
        {
            "task": task,
            "index": index,
            "generation": f"So the answer is ({'A' if draw.random() < accuracy else 'B'}).",
            "target": "(A)",
            **more,
        }
        for task, item in BBH_TASKS.items()
        for index in range(item.size)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with generations of two models."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    for label, accuracy in (("base", 0.28), ("final", 0.4)):
        _bbh(
            folder / f"generations/{label}-bbh-cot.jsonl",
            accuracy,
            seed=len(label),
            benchmark="bbh",
            mode="cot",
        )
    return folder


def test_score_prints_one_json_value_of_the_contract(run: Path) -> None:
    done = openflan(
        "score", "bbh", "--mode", "cot", "--generations", run / "generations/final-bbh-cot.jsonl", "--json"
    )
    printed = json.loads(done.stdout)
    assert (done.returncode, printed["benchmark"], printed["mode"], len(printed["tasks"])) == (
        0,
        "bbh",
        "cot",
        27,
    )
    assert printed["average"] == pytest.approx(
        sum(task["accuracy"] for task in printed["tasks"].values()) / 27
    )
    assert set(printed["tasks"]["snarks"]) >= {
        "accuracy",
        "stderr",
        "extracted",
        "n",
        "ci95",
        "truncation",
        "chance",
        "normalized",
    }
    low, high = printed["intervals"]["average"]["ci95"]
    assert low < printed["average"] < high


def test_score_as_a_table_names_interval_and_rates(run: Path) -> None:
    done = openflan("score", "bbh", "--mode", "cot", "--generations", run / "generations/final-bbh-cot.jsonl")
    assert done.returncode == 0
    for text in ("average", "95% from", "normalized", "extracted", "truncated", "snarks", "algorithmic"):
        assert text in done.stdout


def test_an_incomplete_file_needs_partial(tmp_path: Path, run: Path) -> None:
    lines = (run / "generations/final-bbh-cot.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "part.jsonl.gz").write_bytes(gzip.compress("".join([*lines[:300], lines[0]]).encode()))
    done = openflan("score", "bbh", "--mode", "cot", "--generations", tmp_path / "part.jsonl.gz", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "lacks 6,211 of 6,511 generations" in done.stderr
    assert "holds 1 again" in done.stderr
    printed = json.loads(
        openflan(
            "score",
            "bbh",
            "--mode",
            "cot",
            "--generations",
            tmp_path / "part.jsonl.gz",
            "--partial",
            "--json",
        ).stdout
    )
    assert (printed["missing"], printed["duplicates"], printed["partial"], len(printed["tasks"])) == (
        6211,
        1,
        True,
        2,
    )


def test_score_of_samples_shows_the_curve(tmp_path: Path) -> None:
    path = tmp_path / "k.jsonl"
    rows = [
        {
            "task": code,
            "index": index,
            "sample": sample,
            "generation": f"The answer is {1 if (index + sample) % 3 else 2}.",
            "target": "1",
        }
        for code in MGSM
        for index in range(6)
        for sample in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = openflan("score", "mgsm", "--mode", "cot", "--generations", path, "--partial")
    assert (
        "majority of 3 samples, agreement 66.67 %; accuracy by number of samples: 1: 66.67, 2: "
        in done.stdout
    )
    assert "3: 100.00" in done.stdout


def test_lm_eval_log(tmp_path: Path, run: Path) -> None:
    saved = run / "generations/final-bbh-cot.jsonl"
    done = openflan(
        "score",
        "bbh",
        "--mode",
        "cot",
        "--generations",
        saved,
        "--format",
        "lm-eval",
        "--out",
        tmp_path / "log.jsonl",
        "--json",
    )
    assert (done.returncode, done.stderr.strip()) == (0, f"6,511 samples in {tmp_path / 'log.jsonl'}")
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    accuracies = [
        sum(line["exact_match"] for line in log if line["task"] == f"bbh_cot_{task}") / item.size
        for task, item in BBH_TASKS.items()
    ]
    assert 100 * sum(accuracies) / 27 == pytest.approx(json.loads(done.stdout)["average"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "lm-eval"], "go together"),
        (["--out", "x.jsonl"], "go together"),
        (["--format", "lm_eval", "--out", "x.jsonl"], "did you mean `lm-eval`"),
        (["--split", "test"], "bbh has one split"),
    ],
)
def test_options_of_score(run: Path, options: list[str], message: str) -> None:
    done = openflan(
        "score", "bbh", "--mode", "cot", "--generations", run / "generations/final-bbh-cot.jsonl", *options
    )
    assert done.returncode == 2
    assert message in done.stderr


def test_scoring_and_comparing_import_no_model_library(run: Path) -> None:
    saved = run / "generations/final-bbh-cot.jsonl"
    for arguments in (
        ["score", "bbh", "--mode", "cot", "--generations", str(saved)],
        ["compare", str(run), "paper:flan-t5-base"],
    ):
        code = (
            f"import sys; sys.argv = ['openflan', *{arguments!r}]\nfrom openflan.cli.main import app\n"
            "try:\n    app()\nexcept SystemExit:\n    pass\n"
            "print('loaded', *(name for name in ('torch', 'transformers', 'pyarrow', 'openflan') if name "
            "in sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "loaded openflan"


def test_compare_two_labels_of_a_run(run: Path) -> None:
    done = openflan("compare", f"{run}:base", run, "--json")
    (printed,) = json.loads(done.stdout)["benchmarks"]
    average = printed["averages"]["average"]
    assert (printed["benchmark"], average["n"], average["verdict"], len(printed["tasks"])) == (
        "bbh-cot",
        6511,
        "final is higher",
        27,
    )
    assert average["ci95"][0] < average["difference"] < average["ci95"][1]
    assert average["difference"] == pytest.approx(12, abs=3)
    assert openflan("compare", f"{run}:base", run, "--json").stdout == done.stdout
    table = openflan("compare", f"{run}:base", f"{run}:final").stdout
    assert "mean: average" in table
    assert "snarks" in table


def test_compare_with_the_paper(run: Path) -> None:
    done = openflan("compare", f"{run}:base", "paper:flan-t5-base", "--json")
    (printed,) = json.loads(done.stdout)["benchmarks"]
    average = printed["averages"]["average"]
    assert (average["paper"], average["verdict"]) == (27.9, "agrees with the paper")
    assert set(printed["tasks"]) == set(BBH_TASKS)
    assert printed["tasks"]["temporal_sequences"]["computed"] is True
    assert any("Table 5" in source for source in printed["sources"])
    shown = openflan("compare", run, "paper:flan-t5-base").stdout
    assert "above" in shown
    assert "arXiv 2210.11416" in shown


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("{run}", "paper:flan-t5-bsae", "did you mean `flan-t5-base`"),
        ("paper:flan-t5-base", "{run}", "give your own model first"),
        ("{run}:finl", "{run}", "did you mean `final`"),
        ("{run}/none", "{run}", "neither a run folder nor a file"),
        ("{run}/generations", "{run}", "holds no generations"),
        ("{run}", "paper:palm-62b:x", "the paper has no model"),
    ],
)
def test_what_cannot_be_compared(run: Path, a: str, b: str, message: str) -> None:
    done = openflan("compare", a.format(run=run), b.format(run=run))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_files_without_a_known_benchmark_are_named(tmp_path: Path, run: Path) -> None:
    for name in ("mine", "other-bbh-direct"):
        (tmp_path / f"{name}.jsonl").write_text(
            json.dumps({"task": "snarks", "index": 0, "generation": "(A)", "target": "(A)"}) + "\n"
        )
    assert "name it LABEL-BENCHMARK-MODE.jsonl" in openflan("compare", tmp_path / "mine.jsonl", run).stderr
    assert (
        "have no benchmark in common" in openflan("compare", tmp_path / "other-bbh-direct.jsonl", run).stderr
    )
    assert (
        openflan(
            "compare", tmp_path / "other-bbh-direct.jsonl", tmp_path / "other-bbh-direct.jsonl"
        ).returncode
        == 0
    )


def test_evaluate_compares_afterwards(tmp_path: Path, t5: Path) -> None:
    """A model against itself, by a benchmark of one's own; a side that does not exist is refused before
    anything is generated."""
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"q": f"what is {word} ?", "a": word}) + "\n" for word in ("blue", "green", "red"))
    )
    own = tmp_path / "own.yaml"
    own.write_text("name: colours\ndata: rows.jsonl\nprompt: '{q}'\ntarget: a\nmax_tokens: 2\n")
    first = openflan("evaluate", t5, "--benchmark", own, "--run", tmp_path / "a", "--json")
    assert first.returncode == 0, first.stderr
    against = openflan(
        "evaluate", t5, "--benchmark", own, "--run", tmp_path / "b", "--against", tmp_path / "a", "--json"
    )
    printed = json.loads(against.stdout)
    assert printed["scores"][0]["benchmark"] == "colours"
    average = printed["comparison"]["benchmarks"][0]["averages"]["average"]
    assert (average["n"], average["difference"], average["verdict"]) == (3, 0.0, "no difference shown")
    # The mean over one task is that task, and stands there once.
    printed_table = openflan("compare", tmp_path / "a", tmp_path / "b", "--benchmark", own).stdout
    assert (printed_table.count(" colours "), "mean: average" in printed_table) == (1, False)
    without_the_file = openflan("compare", tmp_path / "a", tmp_path / "b")
    assert " colours " in without_the_file.stdout, without_the_file.stderr
    refused = openflan(
        "evaluate", t5, "--benchmark", own, "--run", tmp_path / "c", "--against", "paper:flan-t5-huge"
    )
    assert (refused.returncode, (tmp_path / "c").exists()) == (2, False)
