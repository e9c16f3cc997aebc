"""Scores as they are kept: known by everything that was asked differently, and read in the form of version
0.1 too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example
from openflan.evaluation.decoding import GREEDY, Decoding, decoding_of_variant
from openflan.evaluation.printed_score import printed
from openflan.evaluation.record import evaluate_into
from openflan.evaluation.score_record import EvaluationScore, Interval, RecordedOptions, ScoreKey, read_scores
from openflan.evaluation.score_saved import score_file
from openflan.evaluation.statistics import TaskScore
from openflan.inference.protocol import Completion, LikelihoodRequest, OptionScores, Request
from openflan.run_folder import Run

RUN_0_1 = Path(__file__).parent / "run_of_0_1"
"""Two models on two benchmarks, evaluated by version 0.1: greedily, by likelihood, by samples and with
exemplars."""

WAYS = [
    GREEDY,
    Decoding(likelihood="sum"),
    Decoding(likelihood="mean"),
    Decoding(2, 0.7, 40),
    Decoding(2, 0.7, 40, seed=1),
]

percent = st.floats(0, 100)
names = st.text(min_size=1, max_size=12)
decodings = st.one_of(
    st.just(GREEDY),
    st.sampled_from(WAYS),
    st.builds(Decoding, st.integers(1, 40), st.floats(0.01, 2), st.integers(0, 100), st.integers(0, 9)),
)
keys = st.builds(
    ScoreKey,
    names,
    names,
    st.sampled_from(["direct", "cot"]),
    st.sampled_from(["", "test"]),
    st.none() | st.integers(0, 9),
    decodings,
)
tasks = st.builds(
    TaskScore,
    percent,
    st.integers(1, 9),
    value=percent,
    ci95=st.none() | st.tuples(percent, percent),
    metrics=st.dictionaries(names, percent, max_size=2),
)
scores = st.builds(
    EvaluationScore,
    keys,
    st.dictionaries(
        st.sampled_from(["average", "normalized", "samples", "partial", "model", "missing", "nlp"]),
        st.none() | percent,
    ),
    st.dictionaries(names, tasks, max_size=2),
    normalized=st.none() | st.floats(-50, 100),
    intervals=st.dictionaries(
        names, st.builds(Interval, st.tuples(percent, percent), st.integers(1, 9)), max_size=2
    ),
    partial=st.booleans(),
    curve=st.dictionaries(names, percent, max_size=2),
    exemplar_from_dev=st.lists(names, max_size=2).map(tuple),
    options=st.builds(
        RecordedOptions,
        limit=st.none() | st.integers(1, 9),
        subset=st.none() | st.tuples(names),
        chat=st.booleans(),
        dtype=st.none() | names,
    ),
)


@given(scores)
def test_a_score_is_the_same_after_it_was_written_and_read(score: EvaluationScore) -> None:
    """An average may have any name, also one of a key beside it: that is how likelihood once came to stand
    for something else."""
    assert EvaluationScore.from_json(json.loads(json.dumps(score.to_json()))) == score


@given(decodings)
def test_the_name_of_a_file_tells_the_decoding(decoding: Decoding) -> None:
    read = decoding_of_variant(decoding.variant, decoding.samples)
    assert read.variant == decoding.variant
    assert (read.kind, read.samples, read.seed) == (decoding.kind, decoding.samples, decoding.seed)


@given(st.text(max_size=20))
def test_any_other_name_of_a_file_tells_no_decoding(variant: str) -> None:
    read = decoding_of_variant(f"-x{variant}", 3)
    assert read == Decoding(3)


class Guessing:
    """Answers `a` when it generates, and prefers the last option."""

    fingerprint = "g" * 16

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for index, request in enumerate(requests):
            for sample in range(request.samples):
                yield index, Completion("a", 1, "eos", sample)

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> Iterator[tuple[int, OptionScores]]:
        for index, request in enumerate(requests):
            yield (
                index,
                OptionScores(
                    tuple(-1.0 - (place == 0) for place in range(len(request.options))),
                    (1,) * len(request.options),
                ),
            )


def _asking(shots: int, *, usual: int = 2, split: str = "") -> Benchmark:
    """Four questions; right are `a`, `b`, `b` and `b`."""
    targets = ("a", "b", "b", "b")
    return Benchmark(
        name="toy",
        mode="direct",
        tasks={"t": BenchmarkTask(4, 50.0)},
        examples=lambda task: [
            Example("t", index, f"{'x' * shots} {index}?", target, shots, options=(" a", " b"))
            for index, target in enumerate(targets)
        ],
        extract=lambda task, text: text.strip(),
        compare=lambda answer, target: answer == target,
        averages={"average": ("t",)},
        max_tokens=4,
        prompt_version=f"toy-direct-{shots}-shot-1",
        shots=shots,
        usual_shots=usual,
        split=split,
    )


def test_every_way_of_asking_has_a_file_and_a_score_of_its_own(tmp_path: Path) -> None:
    run, expected = Run(tmp_path), {}
    for shots, decoding, split in product((0, 1, 2), WAYS, ("", "test")):
        score = evaluate_into(run, "final", _asking(shots, split=split), Guessing(), decoding=decoding)
        assert score.average == (75.0 if decoding.likelihood else 25.0)
        expected[score.key] = score
    assert len(expected) == 3 * len(WAYS) * 2
    assert {score.key: score for score in read_scores(run.scores)} == expected
    assert len(list(run.generations.rglob("*.jsonl"))) == len(expected)
    again = evaluate_into(run, "final", _asking(2), Guessing())
    assert again.key == ScoreKey("final", "toy", "direct", "", 2)
    assert len(read_scores(run.scores)) == len(expected), "the same way takes its own place"


def test_more_samples_stand_beside_fewer(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for samples in (2, 5):
        evaluate_into(run, "final", _asking(2), Guessing(), decoding=Decoding(samples, 0.7, 40))
    assert [score.key.decoding.samples for score in read_scores(run.scores)] == [2, 5]


def test_averages_stand_under_one_key(tmp_path: Path) -> None:
    run = Run(tmp_path)
    evaluate_into(run, "final", _asking(0), Guessing(), limit=3, max_tokens=3)
    (written,) = json.loads(run.scores.read_text())["scores"]
    assert written["averages"] == {"average": pytest.approx(100 / 3)}
    assert {"model", "benchmark", "mode", "split", "shots", "decoding", "averages", "tasks"} <= written.keys()
    assert "average" not in written
    assert written["options"] == {"limit": 3, "max_tokens": 3}
    older = {("asked" if key == "options" else key): value for key, value in written.items()}
    assert EvaluationScore.from_json(older) == EvaluationScore.from_json(written)


def test_what_score_prints_has_its_averages_beside_the_rest(tmp_path: Path) -> None:
    """Other programs read that form: it stays."""
    run = Run(tmp_path)
    evaluate_into(run, "final", _asking(1), Guessing(), decoding=Decoding(likelihood="sum"))
    value = printed(score_file(run.generations / "final-toy-direct-1-shot-likelihood.jsonl", _asking(2)))
    assert (value["benchmark"], value["mode"], value["average"]) == ("toy", "direct", 75.0)
    assert (value["shots"], value["decoding"]) == (1, "likelihood"), (
        "lines tell how they were asked, whatever the benchmark's own number is"
    )


def test_scores_of_0_1_are_read() -> None:
    read = {score.key: score for score in read_scores(RUN_0_1 / "scores.json")}
    sampled = Decoding(3, 0.7, 40)
    ways = [("", 0, GREEDY), ("", 0, Decoding(likelihood="sum")), ("", 0, sampled), ("", 3, GREEDY)]
    expected = {
        ScoreKey(model, "microflan", "direct", *way) for model, way in product(("base", "final"), ways)
    }
    assert set(read) == expected | {
        ScoreKey(model, "mine-own", "direct", "", 0) for model in ("base", "final")
    }
    for old in json.loads((RUN_0_1 / "scores.json").read_text())["scores"]:
        shots = 3 if old["split"] == "few-shot" else 0
        score = read[
            ScoreKey(
                old["model"],
                old["benchmark"],
                "direct",
                "",
                shots,
                decoding_of_variant(old.get("variant", ""), old["samples"]),
            )
        ]
        assert (score.average, score.normalized, score.partial) == (
            old["average"],
            old["normalized"],
            old["partial"],
        )
        groups = ["form", "wording", "skill", "composition"] if old["benchmark"] == "microflan" else []
        assert list(score.averages) == ["average", *groups], "counts are no averages"
        for name, task in score.tasks.items():
            assert (task.accuracy, task.n, task.ci95) == (
                old["tasks"][name]["accuracy"],
                old["tasks"][name]["n"],
                tuple(old["tasks"][name]["ci95"]),
            )


def test_a_new_evaluation_keeps_the_scores_of_0_1(tmp_path: Path) -> None:
    run = Run(tmp_path)
    shutil.copy(RUN_0_1 / "scores.json", run.scores)
    before = json.loads(run.scores.read_text())["scores"]
    evaluate_into(run, "final", _asking(2), Guessing())
    after = json.loads(run.scores.read_text())["scores"]
    assert after[:-1] == before
    assert len(read_scores(run.scores)) == len(before) + 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"averages": {"average": "high"}}, "`0.averages.average`"),
        ({"decoding": {"samples": "many"}}, "`0.decoding.samples`"),
        ({"shots": "few"}, "`0.shots`"),
        ({"model": None}, "`0.model`"),
        ({"tasks": {"t": {"n": 3}}}, "`0.tasks.t.accuracy`"),
        ({"averages": 3}, "`0.averages`"),
    ],
)
def test_a_damaged_score_is_named_with_file_and_key(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    value = EvaluationScore(ScoreKey("final", "toy", "direct"), {"average": 1.0}).to_json() | changes
    (tmp_path / "scores.json").write_text(json.dumps({"scores": [value]}))
    with pytest.raises(InputError) as caught:
        read_scores(tmp_path / "scores.json")
    assert said in str(caught.value)
    assert str(tmp_path / "scores.json") in str(caught.value)
