"""Scores of saved generations: samples, what is missing or there twice, uncertainty, metrics."""

import json
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.evaluation import Benchmark, BenchmarkTask, mgsm_benchmark, score_file
from openflan.evaluation.benchmark import exactly
from openflan.evaluation.statistics import QuestionScore, average_score, task_score, wilson, wilson_intervals


def _overlap(answer: str, target: str) -> float:
    return len(set(answer) & set(target)) / len(set(answer) | set(target))


def _benchmark(sizes: dict[str, int], **changes: object) -> Benchmark:
    fields: dict[str, object] = {
        "name": "toy",
        "mode": "cot",
        "tasks": {task: BenchmarkTask(size, 50.0) for task, size in sizes.items()},
        "examples": lambda task: [],
        "extract": lambda task, generation: None if generation == "?" else generation,
        "compare": exactly,
        "averages": {"average": tuple(sizes)},
        "max_tokens": 7,
        "prompt_version": "toy-1",
    }
    return Benchmark(**{**fields, **changes})  # type: ignore[arg-type]


def _line(task: str, index: int, text: str, sample: int = 0, **more: object) -> str:
    return json.dumps(
        {"task": task, "index": index, "sample": sample, "generation": text, "target": "a", **more}
    )


SAID = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "?"]), min_size=3, max_size=3), min_size=4, max_size=4
)


@settings(max_examples=60)
@given(SAID, st.randoms(use_true_random=False))
def test_samples_are_decided_by_majority_in_any_order_of_lines(said: list[list[str]], random: object) -> None:
    benchmark = _benchmark({"x": 4})
    lines = [
        _line("x", index, text, sample)
        for index, texts in enumerate(said)
        for sample, text in enumerate(texts)
    ]
    score = score_file(lines, benchmark)
    right = extracted = 0
    for texts in said:
        votes = [text for text in texts if text != "?"]
        winner = max(votes, key=lambda text: (votes.count(text), -votes.index(text))) if votes else None
        right += winner == "a"
        extracted += winner is not None
    task = score.tasks["x"]
    assert (task.accuracy, task.extracted, task.samples) == (25.0 * right, 25.0 * extracted, 3)
    assert (score.key.decoding.samples, score.partial, list(score.curve)) == (3, False, ["1", "2", "3"])
    assert score.curve["3"] == pytest.approx(score.average)
    assert score.curve["1"] == pytest.approx(
        100 * Counter(text for texts in said for text in texts)["a"] / 12
    )
    shuffled = list(lines)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert json.dumps(score_file(shuffled, benchmark).to_json()) == json.dumps(score.to_json())


def test_agreement_and_cut_generations_count_samples() -> None:
    lines = [
        _line("x", 0, text, sample, finish=finish)
        for sample, (text, finish) in enumerate(
            [("a", "eos"), ("?", "length"), ("a", "eos"), ("b", "length")]
        )
    ]
    task = score_file(lines, _benchmark({"x": 1})).tasks["x"]
    assert (task.agreement, task.truncated, task.truncation, task.n) == (50.0, 2, 50.0, 1)


def test_what_is_missing_or_there_twice_is_counted_and_refused() -> None:
    benchmark = _benchmark({"x": 2, "y": 1})
    twice = [_line("x", 0, "a"), _line("x", 0, "b"), _line("y", 0, "a")]
    with pytest.raises(
        InputError,
        match=(
            r"lacks 1 of 3 generations \(x 1\) and holds 1 again \(line 2: x 0: there twice\): finish the "
            r"run and keep one.*--partial"
        ),
    ):
        score_file(twice, benchmark)
    score = score_file(twice, benchmark, partial=True)
    assert (score.missing, score.duplicates, score.partial) == (1, 1, True)
    assert score.average == 100.0, "the first of two lines counts"
    repaired = score_file([*twice[::2], _line("x", 1, "a")], benchmark)
    assert (repaired.missing, repaired.duplicates, repaired.partial) == (0, 0, False)
    with pytest.raises(InputError, match=r"holds 1 again \(line 4: x 1: there twice\): keep one"):
        score_file([*twice[::2], _line("x", 1, "a"), _line("x", 1, "a")], benchmark)


def test_a_question_with_fewer_samples_than_others_is_incomplete() -> None:
    lines = [_line("x", index, "a", sample) for index, sample in product(range(2), range(3))]
    benchmark = _benchmark({"x": 2})
    assert score_file(lines, benchmark).missing == 0
    with pytest.raises(InputError, match=r"lacks 1 of 2 generations with 3 samples each \(x 1\)"):
        score_file(lines[:-1], benchmark)
    score = score_file(lines[:-1], benchmark, partial=True)
    assert (score.missing, score.tasks["x"].n) == (1, 2)
    with pytest.raises(InputError, match=r"holds 1 again \(line 7: x 1 sample 2: there twice\)"):
        score_file([*lines, lines[-1]], benchmark)


def test_a_row_shown_as_exemplar_may_be_absent_and_the_result_says_so() -> None:
    benchmark = _benchmark({"x": 3}, tasks={"x": BenchmarkTask(3, 0.0, exemplar_row=1)})
    score = score_file([_line("x", 0, "a"), _line("x", 2, "b")], benchmark)
    assert (score.partial, score.exemplar_from_dev, score.tasks["x"].n) == (False, ("x",), 2)
    asked = score_file([_line("x", index, "a") for index in range(3)], benchmark)
    assert asked.exemplar_from_dev == ()
    with pytest.raises(InputError, match=r"lacks 1 of 3 generations \(x 2\)"):
        score_file([_line("x", 0, "a"), _line("x", 1, "b")], benchmark)
    own = [_line("x", index, "a", exemplars=1, exemplar_split="dev") for index in (0, 2)]
    assert score_file(own, benchmark).exemplar_from_dev == ("x",)
    from_train = [_line("x", index, "a", exemplars=1, exemplar_split="train") for index in (0, 2)]
    with pytest.raises(InputError, match=r"lacks 1 of 3 generations \(x 1\)"):
        score_file(from_train, benchmark)


def test_metrics_beside_accuracy() -> None:
    benchmark = _benchmark({"x": 3, "y": 1}, metrics={"overlap": _overlap})
    lines = [
        _line("x", 0, "ab"),
        _line("x", 1, "?"),
        _line("x", 2, "ab", target=["c", "abcd", "ab"]),
        _line("y", 0, "a"),
    ]
    score = score_file(lines, benchmark)
    x = score.tasks["x"]
    assert x.metrics["overlap"] == pytest.approx(100 * (0.5 + 0 + 1) / 3)
    assert x.accuracy == pytest.approx(100 / 3)
    assert score.averages["overlap"] == pytest.approx((x.metrics["overlap"] + 100) / 2)


def test_a_graded_measure_is_what_its_task_is_averaged_by() -> None:
    tasks = {"x": BenchmarkTask(2, 0.0, metric="overlap"), "y": BenchmarkTask(1)}
    score = score_file(
        [_line("x", 0, "ab"), _line("x", 1, "a"), _line("y", 0, "b")],
        _benchmark({"x": 2, "y": 1}, tasks=tasks, metrics={"overlap": _overlap}),
    )
    x = score.tasks["x"]
    assert (x.accuracy, x.metrics["overlap"], x.metric, x.normalized) == (50.0, 75.0, "overlap", 75.0)
    assert score.average == pytest.approx((75 + 0) / 2)
    assert x.ci95 is not None
    assert x.ci95[0] < 75 < x.ci95[1]


def test_prompts_that_lost_exemplars_are_counted() -> None:
    score = score_file(
        [_line("x", 0, "a", exemplars_dropped=2), _line("x", 1, "a", exemplars_dropped=0)],
        _benchmark({"x": 2}),
    )
    assert (score.prompts_shortened, score.exemplars_dropped) == (1, 2)


def test_mgsm_counts_source_questions_not_translations() -> None:
    """All languages right and wrong together: the average is as sure as one language's, not as that of ten
    times the questions."""
    languages = mgsm_benchmark("cot").averages["average"]
    lines = [
        _line(code, index, f"The answer is {1 if index % 2 else 2}.", target="1")
        for code in languages
        for index in range(250)
    ]
    score = score_file(lines, mgsm_benchmark("cot"), partial=True)
    task_score, average = score.tasks["de"], score.intervals["average"]
    assert (average.n, average.clusters) == (2_500, 250)
    assert average.stderr == pytest.approx(task_score.stderr)
    assert average.ci95 == pytest.approx(task_score.ci95, abs=0.05)
    independent = average_score(
        {code: [QuestionScore(True, index % 2 == 1) for index in range(250)] for code in languages}
    )
    assert independent.stderr == pytest.approx(task_score.stderr / 10**0.5), (
        "the negative control: without clusters the error is too small"
    )


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["p", "q", "r", None])), min_size=2, max_size=40))
def test_clustered_errors_by_brute_force(rows: list[tuple[bool, str | None]]) -> None:
    score = task_score([QuestionScore(True, correct, cluster=cluster) for correct, cluster in rows], 0.0)
    mean = sum(correct for correct, _ in rows) / len(rows)
    names = [cluster or f"alone {place}" for place, (_, cluster) in enumerate(rows)]
    parts = [
        sum(correct - mean for (correct, _), name in zip(rows, names, strict=True) if name == item)
        for item in set(names)
    ]
    assert score.stderr == pytest.approx(100 * sum(part**2 for part in parts) ** 0.5 / len(rows), abs=1e-6)
    plain = task_score([QuestionScore(True, correct) for correct, _ in rows], 0.0)
    assert score.ci95[0] <= plain.ci95[0] + 1e-9
    assert score.ci95[1] >= plain.ci95[1] - 1e-9


@given(
    st.lists(
        st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
        min_size=1,
        max_size=20,
    )
)
def test_intervals_of_arrays_solve_their_equation(counts: list[tuple[int, int]]) -> None:
    right, n = np.array(counts).T
    low, high = wilson_intervals(right, n)
    for (count, of), ends in zip(counts, zip(low.tolist(), high.tolist(), strict=True), strict=True):
        assert wilson(count, of) == pytest.approx(ends)
        share = count / of
        for end in (end / 100 for end in ends if 1e-9 < end < 100 - 1e-9):
            assert abs(share - end) == pytest.approx(1.959964 * (end * (1 - end) / of) ** 0.5, rel=1e-5)


def test_an_average_of_nothing_right_still_has_an_interval() -> None:
    interval = average_score({task: [QuestionScore(True, False)] * 250 for task in "abcd"})
    assert (interval.value, interval.stderr, interval.ci95[0]) == (0.0, 0.0, 0.0)
    assert 0.5 < interval.ci95[1] < wilson(0, 250)[1]
    translated = average_score(
        {task: [QuestionScore(True, False, cluster=str(index)) for index in range(250)] for task in "abcd"}
    )
    assert translated.ci95[1] == pytest.approx(wilson(0, 250)[1]), (
        "four translations of a question are one where nothing tells them apart"
    )


def test_the_interval_of_an_average_covers_as_often_as_it_says() -> None:
    """Four tasks of 60 questions with known accuracies, drawn 600 times."""
    generator, accuracies = np.random.default_rng(0), (0.1, 0.5, 0.7, 0.95)
    covered = 0
    for _ in range(600):
        drawn = {
            str(accuracy): [QuestionScore(True, bool(right)) for right in generator.random(60) < accuracy]
            for accuracy in accuracies
        }
        low, high = average_score(drawn).ci95
        covered += low <= 100 * sum(accuracies) / 4 <= high
    assert 0.92 < covered / 600 < 0.98
