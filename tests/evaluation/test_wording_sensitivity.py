"""Every question asked with every wording: mean, spread and worst wording."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.evaluation.comparison import comparison
from openflan.evaluation.decoding import Decoding
from openflan.evaluation.generations import Generation
from openflan.evaluation.rules import AnswerRules, benchmark_of_rules
from openflan.evaluation.score_record import EvaluationScore, RecordedOptions, ScoreKey
from openflan.evaluation.score_saved import score_file
from openflan.evaluation.statistics import QuestionScore
from openflan.evaluation.task_benchmark import task_benchmark
from openflan.evaluation.wording_sensitivity import wording_sensitivity
from openflan.reports.commands import evaluation_command
from openflan.tasks.task import Row, Task

ROWS: list[Row] = [
    {"definition": "Say how many.", "question": f"How many is {number}?", "answer": str(number)}
    for number in range(8)
]
TASK = Task("niv2/count", ROWS, frozenset(ROWS[0]), "toy", "counting")
METRIC = {TASK.name: "exact_match"}


def _benchmark(**changes: object):  # type: ignore[no-untyped-def]
    return task_benchmark({TASK.name: TASK}, metrics=METRIC, all_wordings=True, **changes)  # type: ignore[arg-type]


def test_each_wording_asks_the_same_questions_with_the_same_exemplars() -> None:
    benchmark = _benchmark(shots=2)
    assert len(benchmark.wordings) > 2
    prompts = [benchmark.examples(key)[3] for key in benchmark.tasks]
    assert len({example.prompt for example in prompts}) == len(prompts)
    assert {example.target for example in prompts} == {"3"}
    shown = [
        {number for number in range(8) if f"How many is {number}?" in example.prompt} for example in prompts
    ]
    assert all(numbers == shown[0] for numbers in shown)
    assert benchmark.name == "niv2-count-all-wordings"
    assert benchmark.cluster is not None
    assert {benchmark.cluster(key, 3) for key in benchmark.tasks} == {"niv2/count/3"}


def _answered(path: Path, right: dict[str, int]) -> EvaluationScore:
    """The score of a file in which each wording has its first questions right."""
    benchmark = _benchmark()
    lines = [
        {
            "task": key,
            "index": index,
            "benchmark": benchmark.name,
            "mode": "direct",
            "generation": str(index) if index < right.get(benchmark.wordings[key][1], 4) else "none",
            "target": str(index),
            "rule": benchmark.rules[key],
        }
        for key in benchmark.tasks
        for index in range(8)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return score_file(path, benchmark)


def test_mean_spread_and_worst_wording_by_hand(tmp_path: Path) -> None:
    ids = [wording for _, wording in _benchmark().wordings.values()]
    score = _answered(tmp_path / "x.jsonl", {ids[0]: 8, ids[1]: 0})
    effect = score.wordings["niv2/count"]
    shares = [100.0, 0.0, *[50.0] * (len(ids) - 2)]
    assert (effect.best, effect.worst, effect.n) == (ids[0], ids[1], 8)
    assert (effect.mean, effect.deviation) == pytest.approx((fmean(shares), stdev(shares)))
    assert (effect.difference, effect.ci95) == (-100.0, (-100.0, -100.0))
    assert effect.shown
    assert score.average == pytest.approx(fmean(shares))
    assert score.intervals["average"].clusters == 8  # not 8 for each wording
    assert EvaluationScore.from_json(json.loads(json.dumps(score.to_json()))) == score


def test_two_models_are_compared_by_question_and_not_by_wording(tmp_path: Path) -> None:
    """From the saved lines alone: they say which questions are the same."""
    for run, right in (("a", 2), ("b", 6)):
        ids = [wording for _, wording in _benchmark().wordings.values()]
        _answered(
            tmp_path / run / "generations" / "final-niv2-count-all-wordings-direct.jsonl",
            dict.fromkeys(ids, right),
        )
    result = comparison(str(tmp_path / "a"), str(tmp_path / "b"))["benchmarks"][0]["averages"]["average"]
    # Four of eight questions changed: the interval is that of eight questions, about 50 +- 35.
    assert result["difference"] == pytest.approx(50.0)
    assert result["ci95"][1] - result["ci95"][0] > 40


def test_the_rule_of_a_line_names_the_questions_it_shares() -> None:
    generation = Generation("a.x", 0, "1", "1", rule={"metric": "exact_match", "question_of": "a"})
    benchmark = benchmark_of_rules("toy", "direct", [AnswerRules.of([generation])])
    assert benchmark.cluster is not None
    assert benchmark.cluster("a.x", 0) == "a/0"
    plain = benchmark_of_rules("toy", "direct", [AnswerRules({"a": 1}, {})])
    assert plain.cluster is None


values = st.lists(st.booleans(), min_size=4, max_size=4)


@settings(max_examples=25, deadline=None)
@given(st.lists(values, min_size=2, max_size=5))
def test_worst_and_best_bound_the_mean(table: list[list[bool]]) -> None:
    scores = {
        (f"t.{wording}", index): QuestionScore(True, right)
        for wording, row in enumerate(table)
        for index, right in enumerate(row)
    }
    names = {f"t.{wording}": ("t", str(wording)) for wording in range(len(table))}
    effect = wording_sensitivity(scores, names)["t"]
    assert effect.wordings[effect.worst] <= effect.mean + 1e-9
    assert effect.mean <= effect.wordings[effect.best] + 1e-9
    assert effect.difference <= 0
    assert effect.ci95[0] <= effect.difference + 1e-9 <= effect.ci95[1] + 2e-9
    assert not math.isnan(effect.deviation)


def test_only_questions_asked_with_every_wording_count() -> None:
    scores = {("t.a", 0): QuestionScore(True, True), ("t.a", 1): QuestionScore(True, True)}
    scores |= {("t.b", 1): QuestionScore(True, False)}
    effect = wording_sensitivity(scores, {"t.a": ("t", "a"), "t.b": ("t", "b")})["t"]
    assert (effect.n, effect.wordings) == (1, {"a": 100.0, "b": 0.0})
    assert wording_sensitivity(scores, {"t.a": ("t", "a")}) == {}


def test_a_report_names_the_command_that_repeats_it() -> None:
    options = RecordedOptions(benchmark="niv2/count", metric="rouge_l", wordings="all", limit=3)
    key = ScoreKey(
        "final", "niv2-count-all-wordings", "direct", shots=0, decoding=Decoding(likelihood="gold")
    )
    command = evaluation_command(
        EvaluationScore(key, {"average": None}, usual_shots=0, options=options), "runs/x"
    )
    assert command == (
        "openflan evaluate runs/x --benchmark niv2/count --mode direct --bits-per-byte --metric rouge_l "
        "--wordings all --limit 3 --data DATA"
    )


def test_a_task_with_one_wording_is_refused() -> None:
    rows: list[Row] = [{"inputs": "Say 1.", "targets": "1"}]
    with pytest.raises(InputError, match="one wording in this mode"):
        task_benchmark(
            {"mine/one": Task("mine/one", rows, frozenset(rows[0]), "toy", "toy")}, all_wordings=True
        )
