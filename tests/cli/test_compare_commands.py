"""`openflan compare`: the second minus the first, by the models' names, on whatever both have answered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import openflan
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.benchmark_data.bbh import BBH_TASKS

RUN_0_1 = Path(__file__).parents[1] / "evaluation" / "run_of_0_1"


def _write(path: Path, answers: Sequence[str], targets: Sequence[str], **more: Any) -> Path:
    lines = [
        {
            "task": "mine/rows",
            "index": index,
            "generation": answer,
            "target": target,
            "benchmark": "mine-rows",
            "mode": "direct",
            **more,
        }
        for index, (answer, target) in enumerate(zip(answers, targets, strict=True))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _average(*arguments: object) -> Mapping[str, Any]:
    done = openflan("compare", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    (printed,) = json.loads(done.stdout)["benchmarks"]
    average: Mapping[str, Any] = printed["averages"]["average"]
    return average


def _pair(folder: Path, name: str = "mine", **more: Any) -> Path:
    """A run whose base has none of ten answers right, its final model all of them."""
    run, targets = folder / name, [f"word {number}" for number in range(10)]
    _write(run / "generations/base-mine-rows-direct.jsonl", ["no"] * 10, targets, **more)
    _write(run / "generations/final-mine-rows-direct.jsonl", targets, targets, **more)
    return run


def test_the_difference_is_the_second_minus_the_first_by_name(tmp_path: Path) -> None:
    run = _pair(tmp_path)
    better, worse = _average(f"{run}:base", f"{run}:final"), _average(f"{run}:final", f"{run}:base")
    assert (better["difference"], better["verdict"], better["a"], better["b"]) == (
        100.0,
        "final is higher",
        0.0,
        100.0,
    )
    assert (worse["difference"], worse["verdict"], worse["ci95"]) == (
        -100.0,
        "final is higher",
        [-100.0, -100.0],
    )
    table = openflan("compare", f"{run}:base", f"{run}:final").stdout
    assert "mine-rows-direct: final minus base" in table
    other = _pair(tmp_path, "other")
    assert _average(f"{run}:base", other)["verdict"] == "other:final is higher"
    assert (
        _average(f"{run}:base", other / "generations/final-mine-rows-direct.jsonl")["verdict"]
        == "final-mine-rows-direct.jsonl is higher"
    )


@settings(max_examples=15, deadline=None)
@given(rights=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_turning_the_arguments_turns_the_sign(
    rights: list[tuple[bool, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    for index, label in enumerate(("base", "final")):
        _write(
            folder / f"generations/{label}-mine-rows-direct.jsonl",
            ["yes" if one[index] else "no" for one in rights],
            ["yes"] * len(rights),
        )
    there, back = _average(f"{folder}:base", f"{folder}:final"), _average(f"{folder}:final", f"{folder}:base")
    gained = sum(after for _, after in rights) - sum(before for before, _ in rights)
    assert there["difference"] == pytest.approx(100 * gained / len(rights))
    assert back["difference"] == -there["difference"]
    assert back["verdict"] == there["verdict"]
    if there["verdict"] != "no difference shown":
        assert there["verdict"] == f"{'final' if gained > 0 else 'base'} is higher"


@pytest.mark.parametrize(
    ("rule", "answers", "shares"),
    [
        ({"metric": "rouge_l"}, ["red car", "red"], (100.0, 200 / 3)),
        ({"metric": "exact_match"}, ["red car", "a red car"], (100.0, 0.0)),
        (
            {"metric": "exact_match", "extraction": "first_line", "answer_phrases": ["it is"], "stop": ["#"]},
            ["it is red car\nno", "red"],
            (100.0, 0.0),
        ),
        (None, ["Red car.", "red"], (100.0, 0.0)),
    ],
)
def test_answers_to_rows_of_ones_own_are_judged_by_their_own_rule(
    tmp_path: Path, rule: dict[str, Any] | None, answers: list[str], shares: tuple[float, float]
) -> None:
    """Neither a YAML file nor the rows are needed: lines say how they are judged, and those of other programs
    are compared as texts."""
    more = {} if rule is None else {"rule": rule}
    for label, answer in zip(("base", "final"), answers, strict=True):
        _write(tmp_path / f"run/generations/{label}-mine-rows-direct.jsonl", [answer], ["red car"], **more)
    comparison = _average(f"{tmp_path / 'run'}:base", f"{tmp_path / 'run'}:final")
    assert (comparison["a"], comparison["b"]) == (pytest.approx(shares[0]), pytest.approx(shares[1]))
    said = openflan("compare", f"{tmp_path / 'run'}:base", f"{tmp_path / 'run'}:final").stdout
    assert ("are compared as texts" in said) is (rule is None)


def test_only_rows_that_both_were_asked_are_compared(tmp_path: Path) -> None:
    first = _write(tmp_path / "a/generations/final-mine-rows-direct.jsonl", ["x", "y", "z"], ["x", "y", "z"])
    second = _write(
        tmp_path / "b/generations/final-mine-rows-direct.jsonl", ["no", "y", "z"], ["other", "y", "z"]
    )
    assert _average(first.parents[1], second.parents[1])["n"] == 2
    assert (
        "1 questions whose right answers differ" in openflan("compare", tmp_path / "a", tmp_path / "b").stdout
    )
    _write(second, ["no"] * 3, ["p", "q", "r"])
    refused = openflan("compare", tmp_path / "a", tmp_path / "b")
    assert (refused.returncode, "no question in common" in refused.stderr) == (2, True)
    _write(second, ["x"] * 3, ["x", "y", "z"], rule={"metric": "numeric"})
    _write(first, ["x"] * 3, ["x", "y", "z"], rule={"metric": "squad"})
    refused = openflan("compare", tmp_path / "a", tmp_path / "b")
    assert (refused.returncode, "judged by different rules" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    "rule",
    [
        {"metric": "bleu"},
        {"metric": 3},
        {"extraction": "letter"},
        {"metric": "exact_match", "extraction": "last"},
    ],
)
def test_a_rule_that_is_not_known_is_refused(tmp_path: Path, rule: dict[str, Any]) -> None:
    path = _write(tmp_path / "a/generations/final-mine-rows-direct.jsonl", ["x"], ["x"], rule=rule)
    refused = openflan("compare", path, path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "the `rule` of its answers" in refused.stderr


def test_ways_of_asking_are_not_compared_with_each_other(tmp_path: Path) -> None:
    """Greedy answers without exemplars and a likelihood's choices are no greedy few-shot answers."""
    lines = {
        "task": "snarks",
        "index": 0,
        "generation": "(A)",
        "target": "(A)",
        "benchmark": "bbh",
        "mode": "direct",
    }
    for name, version in (
        ("a/generations/final-bbh-direct", "bbh-direct-0-shot-1"),
        ("b/generations/final-bbh-direct", "bbh-direct-3-shot-1"),
    ):
        path = tmp_path / f"{name}.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**lines, "prompt_version": version}) + "\n")
    refused = openflan("compare", tmp_path / "a", tmp_path / "b")
    assert refused.returncode == 2
    assert "has bbh-direct-0-shot;" in refused.stderr
    assert "have no benchmark in common" in openflan("compare", tmp_path / "a", "paper:flan-t5-base").stderr
    shutil.copy(
        tmp_path / "a/generations/final-bbh-direct.jsonl",
        tmp_path / "b/generations/final-bbh-direct-0-shot.jsonl",
    )
    done = openflan("compare", tmp_path / "a", tmp_path / "b", "--json")
    assert [one["benchmark"] for one in json.loads(done.stdout)["benchmarks"]] == ["bbh-direct-0-shot"], (
        done.stderr
    )


def test_one_question_does_not_agree_with_the_paper(tmp_path: Path) -> None:
    path = tmp_path / "x-bbh-cot.jsonl"
    path.write_text(
        json.dumps({"task": "snarks", "index": 0, "generation": "So the answer is (A).", "target": "(A)"})
        + "\n"
    )
    shown = openflan("compare", path, "paper:flan-t5-base").stdout
    assert "interval too wide to say (n = 1)" in shown
    assert not any(verdict in shown for verdict in ("agrees", "above", "below"))
    assert BBH_TASKS["snarks"].size > 1


def test_a_run_of_0_1_is_compared(tmp_path: Path) -> None:
    done = openflan("compare", f"{RUN_0_1}:base", f"{RUN_0_1}:final", "--json")
    assert done.returncode == 0, done.stderr
    printed = {one["benchmark"]: one for one in json.loads(done.stdout)["benchmarks"]}
    ways = [
        "microflan-direct",
        "microflan-direct-3-shot",
        "microflan-direct-likelihood",
        "microflan-direct-t0.7-k40",
    ]
    assert sorted(printed) == [*ways, "mine-own-direct"]
    scores = {
        (item["model"], item["benchmark"], item.get("variant", ""), item["split"]): item
        for item in json.loads((RUN_0_1 / "scores.json").read_text())["scores"]
    }
    for name, variant, split in zip(
        ways, ("", "", "-likelihood", "-t0.7-k40"), ("", "few-shot", "", ""), strict=True
    ):
        averages = printed[name]["averages"]["average"]
        assert averages["a"] == pytest.approx(scores["base", "microflan", variant, split]["average"])
        assert averages["b"] == pytest.approx(scores["final", "microflan", variant, split]["average"])


def test_0_1_rows_are_judged_by_the_measure_of_their_scores(tmp_path: Path) -> None:
    """Its lines name no rule; of ROUGE-L the recorded scores tell."""
    run = tmp_path / "run"
    for label, answer in (("base", "red"), ("final", "red car")):
        _write(run / f"generations/{label}-mine-rows-direct.jsonl", [answer], ["red car"])
    task = {"accuracy": 0.0, "n": 1, "metric": "rouge_l", "rouge_l": 66.7}
    old = {
        "model": "base",
        "benchmark": "mine-rows",
        "mode": "direct",
        "average": 66.7,
        "tasks": {"mine/rows": task},
    }
    (run / "scores.json").write_text(json.dumps({"scores": [old]}))
    comparison = _average(f"{run}:base", f"{run}:final")
    assert (comparison["a"], comparison["b"]) == (pytest.approx(200 / 3), 100.0)
