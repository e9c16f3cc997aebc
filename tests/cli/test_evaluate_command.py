"""`openflan evaluate` and `openflan show` over suites, splits, tasks and files of one's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commands import openflan

sys.path.append(str(Path(__file__).parents[1] / "evaluation"))
from made_up_data import make_all


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_all(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "sky.jsonl").write_text(
        '{"question": "what is the colour of the sky ?", "answer": "blue"}\n' * 2
    )
    (folder / "sky.yaml").write_text(
        'name: sky\ndata: sky.jsonl\nprompt: "question : {question} answer :"\ntarget: answer\nmetric: '
        "rouge_l\n"
    )
    return folder / "sky.yaml"


COMPONENTS = [
    ("mmlu", "direct"),
    ("mmlu", "cot"),
    ("bbh", "direct"),
    ("bbh", "cot"),
    ("tydiqa", "direct"),
    ("mgsm", "cot"),
]


def test_the_flan_suite_has_its_six_components_and_resumes(t5: Path, data: Path, tmp_path: Path) -> None:
    selection = [
        "--limit",
        1,
        "--subset",
        "virology,snarks,english,korean,de",
        "--max-tokens",
        2,
        "--run",
        tmp_path / "run",
        "--offline",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "0")  # put back afterwards
        patch.setenv("HF_DATASETS_OFFLINE", "0")
        done = openflan("evaluate", t5, "--suite", "flan", "--data", data, *selection, "--json")
        again = openflan("evaluate", t5, "--suite", "flan", "--data", data, *selection)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert [(score["benchmark"], score["mode"]) for score in scores] == COMPONENTS
    assert [list(score["tasks"]) for score in scores] == [
        ["virology"],
        ["virology"],
        ["snarks"],
        ["snarks"],
        ["english", "korean"],
        ["de"],
    ]
    assert scores[4]["exemplar_from_dev"] == ["korean"]
    assert "7 generations" in done.stderr
    assert again.returncode == 0, again.stderr
    assert "0 generations, 0 tokens (7 more were there)" in again.stderr
    assert "normalized average" in again.stdout
    assert "korean: no train file" in again.stdout


def test_exemplars_without_room_are_dropped_and_shown(llama: Path, data: Path, tmp_path: Path) -> None:
    arguments = [
        "--benchmark",
        "mmlu",
        "--data",
        data,
        "--limit",
        1,
        "--subset",
        "virology",
        "--max-tokens",
        2,
        "--run",
        tmp_path,
    ]
    done = openflan("evaluate", llama, *arguments)
    assert done.returncode == 0, done.stderr
    (line,) = (tmp_path / "generations").rglob("*.jsonl")
    record = json.loads(line.read_text())
    assert record["exemplars"] + record["exemplars_dropped"] == 5
    assert record["exemplars_dropped"] > 0
    assert record["finish"] != "too-long"
    assert (
        f"{record['exemplars_dropped']} exemplars did not fit and were left out of 1 prompts" in done.stdout
    )


def test_a_context_that_the_benchmarks_own_length_fills_leaves_it_unanswered(
    llama: Path, data: Path, tmp_path: Path
) -> None:
    """64 positions, and MMLU's rationales have 512: a suite goes on; asked for in so many words it is an
    error."""
    arguments = [
        "--benchmark",
        "mmlu",
        "--mode",
        "cot",
        "--data",
        data,
        "--limit",
        1,
        "--subset",
        "virology",
        "--run",
        tmp_path,
    ]
    done = openflan("evaluate", llama, *arguments)
    assert done.returncode == 0, done.stderr
    assert "1 prompts do not fit the model" in done.stdout
    refused = openflan("evaluate", llama, *arguments, "--max-tokens", 64)
    assert (refused.returncode, "64 tokens to generate leave no room" in refused.stderr) == (2, True)


def test_restart_forgets_what_was_generated(t5: Path, own: Path, tmp_path: Path) -> None:
    arguments = ["--benchmark", own, "--run", tmp_path]
    first = openflan("evaluate", t5, *arguments, "--max-tokens", 3)
    assert first.returncode == 0, first.stderr
    other = openflan("evaluate", t5, *arguments, "--max-tokens", 2)
    assert (other.returncode, "`--restart`" in other.stderr) == (2, True)
    again = openflan("evaluate", t5, *arguments, "--max-tokens", 2, "--restart")
    assert again.returncode == 0, again.stderr
    assert "2 generations, 4 tokens in" in again.stderr


def test_a_file_of_ones_own_is_a_benchmark(t5: Path, own: Path, tmp_path: Path) -> None:
    done = openflan("evaluate", t5, "--benchmark", own, "--max-tokens", 3, "--run", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout)
    assert (score["benchmark"], score["tasks"]["sky"]["n"]) == ("sky", 2)
    assert score["average"] == score["tasks"]["sky"]["rouge_l"]
    shown = openflan("show", own, "--json")
    assert json.loads(shown.stdout)["prompt"] == "question : what is the colour of the sky ? answer :"


def test_a_task_is_a_benchmark(t5: Path, rows: Path, tmp_path: Path) -> None:
    done = openflan(
        "evaluate",
        t5,
        "--benchmark",
        "own/rows",
        "--data",
        rows,
        "--shots",
        2,
        "--limit",
        2,
        "--max-tokens",
        3,
        "--run",
        tmp_path,
        "--json",
    )
    assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout)
    assert (score["benchmark"], score["tasks"]["own/rows"]["n"], score["exemplars"]) == ("own-rows", 2, 2.0)
    assert score["prompt_version"] == "own-rows-direct-2-shot-1"


@pytest.mark.parametrize(
    ("arguments", "prompt"),
    [
        (
            ["mmlu", "--task", "virology", "--split", "test", "--index", 2, "--shots", 0],
            'Q: What is "2"?\nChoose, please.\n(A) None (B) NA (C) 2, at most (D) null\nA:',
        ),
        (
            ["tydiqa", "--task", "korean", "--index", 2, "--mode", "cot"],
            "Question: What lies in B?\nAnswer: Let's think step by step.",
        ),
        (
            ["gsm8k", "--index", 1, "--shots", 1],
            "Q: What is 0 + 1?\nA: The answer is 1.\n\nQ: How much\u2028now?\nA:",
        ),
        (["mgsm", "--task", "de", "--shots", 1], "Frage: one ?\nAntwort: 1\n\nFrage: How many?\nAntwort:"),
        (
            ["bbh", "--task", "snarks", "--shots", 0, "--mode", "cot"],
            "Say if a number is odd.\n\nQ: Is 5 odd?\nA: Let's think step by step.",
        ),
    ],
)
def test_show_prints_the_prompt(arguments: list[object], prompt: str, data: Path) -> None:
    done = openflan("show", *arguments, "--data", data)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(prompt + "\n")


BAD = [
    (["evaluate", "T5"], "nothing to evaluate"),
    (["evaluate", "T5", "--suite", "flam", "--data", "DATA"], "did you mean `flan`"),
    (["evaluate", "T5", "--suite", "flan"], "--benchmark mmlu needs --data"),
    (["evaluate", "T5", "--suite", "flan", "--fetch", "--offline"], "`--offline` forbids it"),
    (["evaluate", "T5", "--suite", "flan", "--fetch", "--data", "DATA"], "`--fetch` excludes `--data`"),
    (
        ["evaluate", "T5", "--benchmark", "mmlu", "--data", "DATA", "--split", "dev"],
        "mmlu has no split `dev`",
    ),
    (["evaluate", "T5", "--benchmark", "bbh", "--data", "DATA", "--split", "test"], "bbh has one split"),
    (
        ["evaluate", "T5", "--benchmark", "mmlu", "--data", "DATA", "--subset", "virolgy"],
        "did you mean `virology`",
    ),
    (
        ["evaluate", "T5", "--suite", "flan", "--data", "DATA", "--subset", "snark"],
        "no benchmark that was chosen has a task `snark`; did you mean `snarks`",
    ),
    (["evaluate", "T5", "--benchmark", "mmlu", "--data", "EMPTY"], "holds neither `mmlu/` nor its files"),
    (["evaluate", "T5", "--benchmark", "absent.yaml"], "absent.yaml: no such file"),
    (["evaluate", "T5", "--benchmark", "niv2/task1"], "needs --data"),
    (
        ["evaluate", "T5", "--benchmark", "own/row", "--data", "ROWS"],
        "no task matches `own/row`; did you mean `own/rows`",
    ),
    (["evaluate", "T5", "--benchmark", "mmlu", "--data", "DATA", "--mode", "cott"], "did you mean `cot`"),
    (["show", "mmlu", "--data", "DATA"], "mmlu has 57 tasks: choose one with `--task`"),
    (
        ["show", "tydiqa", "--task", "korean", "--index", "1", "--data", "DATA"],
        "korean 1 is shown as the exemplar of the others",
    ),
    (
        ["show", "mmlu", "--task", "virology", "--index", "99", "--data", "DATA"],
        "virology has 2 items; --index 99 goes beyond 1",
    ),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_named(
    arguments: list[str],
    says: str,
    t5: Path,
    data: Path,
    rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    places = {"T5": t5, "DATA": data, "EMPTY": tmp_path, "ROWS": rows}
    done = openflan(*(places.get(argument, argument) for argument in arguments), folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
