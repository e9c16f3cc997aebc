"""Two models on the same questions, and one against print: against plain resampling and exact sums."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.evaluation import compare
from openflan.evaluation.compare import NO_DIFFERENCE, against_paper, compare_models, mcnemar
from openflan.evaluation.paper import PaperFigures
from openflan.evaluation.score_record import EvaluationScore, Interval, ScoreKey
from openflan.evaluation.statistics import QuestionScore, TaskScore, task_score

Outcomes = dict[tuple[str, int], QuestionScore]


def _outcomes(rights: dict[str, list[bool]], clusters: dict[str, list[str]] | None = None) -> Outcomes:
    return {
        (task, index): QuestionScore(True, right, cluster=clusters[task][index] if clusters else None)
        for task, values in rights.items()
        for index, right in enumerate(values)
    }


def _pair(n: int, accuracy: float, flips: float, seed: int, tasks: str = "xy") -> tuple[Outcomes, Outcomes]:
    """B repeats A, but on a share of questions it is drawn anew."""
    generator = np.random.default_rng(seed)
    first = {task: generator.random(n) < accuracy for task in tasks}
    second = {
        task: np.where(generator.random(n) < flips, generator.random(n) < accuracy, first[task])
        for task in tasks
    }
    return _outcomes({task: first[task].tolist() for task in tasks}), _outcomes(
        {task: second[task].tolist() for task in tasks}
    )


def test_differences_and_intervals_by_plain_resampling() -> None:
    a, b = _pair(120, 0.6, 0.4, 3)
    comparison = compare_models(a, b, {"average": ("x", "y")})
    generator = np.random.default_rng(1)
    drawn = []
    for task in "xy":
        differences = np.array(
            [float(b[task, index].correct) - a[task, index].correct for index in range(120)]
        )
        assert comparison.tasks[task].difference == pytest.approx(100 * differences.mean())
        resampled = 100 * differences[generator.integers(0, 120, size=(10_000, 120))].mean(axis=1)
        assert comparison.tasks[task].ci95 == pytest.approx(np.percentile(resampled, [2.5, 97.5]), abs=1.0)
        drawn.append(resampled)
    assert comparison.averages["average"].ci95 == pytest.approx(
        np.percentile(np.mean(drawn, axis=0), [2.5, 97.5]), abs=0.6
    )
    unpaired = 1.96 * 100 * (2 * 0.24 / 240) ** 0.5
    assert (
        comparison.averages["average"].ci95[1] - comparison.averages["average"].ci95[0]
    ) / 2 < 0.8 * unpaired, "pairing must pay where models agree"


def test_clusters_are_drawn_together() -> None:
    a, b = _pair(80, 0.5, 0.8, 5, tasks="x")
    tenfold = [
        {
            ("x", 10 * index + copy): QuestionScore(True, item.correct, cluster=str(index))
            for (_, index), item in side.items()
            for copy in range(10)
        }
        for side in (a, b)
    ]
    plain, clustered = (
        compare_models(a, b, {"average": ("x",)}),
        compare_models(*tenfold, {"average": ("x",)}),
    )  # type: ignore[misc]
    assert clustered.tasks["x"].difference == pytest.approx(plain.tasks["x"].difference)
    assert clustered.tasks["x"].ci95 == pytest.approx(plain.tasks["x"].ci95, abs=0.8)
    alone = compare_models(
        *[{key: QuestionScore(True, one.correct) for key, one in side.items()} for side in tenfold],
        {"average": ("x",)},
    )  # type: ignore[misc]
    wide, narrow = (one.tasks["x"].ci95[1] - one.tasks["x"].ci95[0] for one in (clustered, alone))
    assert wide > 2.5 * narrow, (
        "the negative control: as independent questions they look surer by the root of ten"
    )


def test_clusters_over_tasks_move_the_average_together() -> None:
    """Ten translations of the same questions: the average is as unsure as one language, and drawn apart it
    would be surer by the root of ten."""
    a, b = _pair(100, 0.5, 0.8, 7, tasks="x")
    tasks = [f"t{place}" for place in range(10)]

    def copied(side: Outcomes, cluster: bool) -> Outcomes:
        return {
            (task, index): QuestionScore(True, item.correct, cluster=str(index) if cluster else None)
            for task, ((_, index), item) in product(tasks, side.items())
        }

    together = compare_models(copied(a, True), copied(b, True), {"average": tuple(tasks)})
    apart = compare_models(copied(a, False), copied(b, False), {"average": tuple(tasks)})
    assert together.averages["average"].ci95 == pytest.approx(together.tasks["t3"].ci95, abs=1e-9)
    wide, narrow = (
        item.averages["average"].ci95[1] - item.averages["average"].ci95[0] for item in (together, apart)
    )
    assert wide > 2.5 * narrow


def test_groups_of_tasks_that_share_clusters_in_a_chain() -> None:
    rights = {"x": [True, False], "y": [False, True], "z": [True, True], "w": [True, False]}
    clusters = {"x": ["1", "2"], "y": ["2", "3"], "z": ["3", "4"], "w": ["8", "9"]}
    a, b = (
        _outcomes(rights, clusters),
        _outcomes({task: [not one for one in values] for task, values in rights.items()}, clusters),
    )
    comparison = compare_models(a, b, {"average": tuple(rights)})
    assert comparison.tasks["z"].ci95 == (-100.0, -100.0)
    assert comparison.tasks["x"].ci95 == (-100.0, 100.0)


@settings(max_examples=25)
@given(st.integers(1, 25), st.integers(0, 3), st.randoms(use_true_random=False))
def test_pairs_are_matched_by_question_whatever_their_order(n: int, seed: int, random: object) -> None:
    a, b = _pair(n, 0.5, 0.7, seed)
    comparison = compare_models(a, b, {"average": ("x", "y")})
    keys = list(b)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert compare_models(a, {key: b[key] for key in keys}, {"average": ("x", "y")}) == comparison
    turned = compare_models(b, a, {"average": ("x", "y")})
    for name in ("x", "y"):
        task_score, other = comparison.tasks[name], turned.tasks[name]
        assert (task_score.difference, task_score.only_a, task_score.only_b, task_score.p) == (
            -other.difference,
            other.only_b,
            other.only_a,
            other.p,
        )
        assert task_score.only_a == sum(
            a[name, index].correct and not b[name, index].correct for index in range(n)
        )
    same = compare_models(a, a, {"average": ("x", "y")})
    assert all(
        (task_score.difference, task_score.ci95, task_score.p, task_score.verdict)
        == (0.0, (0.0, 0.0), 1.0, NO_DIFFERENCE)
        for task_score in same.tasks.values()
    )


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _pair(40, 0.5, 0.7, 2)
    comparison = compare_models(a, b, {"average": ("x", "y")})
    monkeypatch.setattr(compare, "_CELLS", 100)
    assert compare_models(a, b, {"average": ("x", "y")}) == comparison
    assert compare_models(a, b, {"average": ("x", "y")}, seed=1) != comparison


def test_only_common_questions_are_compared() -> None:
    a, b = _outcomes({"x": [True, True, False], "y": [True]}), _outcomes({"x": [False, True]})
    comparison = compare_models(a, b, {"average": ("x", "y"), "other": ("y",)})
    assert (
        list(comparison.tasks),
        comparison.tasks["x"].n,
        list(comparison.averages),
        comparison.unmatched,
    ) == (
        ["x"],
        2,
        ["average"],
        (2, 0),
    )
    with pytest.raises(InputError, match="no question in common"):
        compare_models(_outcomes({"x": [True]}), _outcomes({"y": [True]}), {})


def test_a_handful_of_questions_proves_nothing() -> None:
    comparison = compare_models(
        _outcomes({"x": [True] * 4}), _outcomes({"x": [False] * 4}), {"average": ("x",)}
    )
    assert (comparison.tasks["x"].ci95, comparison.tasks["x"].p, comparison.tasks["x"].verdict) == (
        (-100.0, -100.0),
        pytest.approx(0.125),
        NO_DIFFERENCE,
    )
    more = compare_models(_outcomes({"x": [True] * 8}), _outcomes({"x": [False] * 8}), {"average": ("x",)})
    assert (more.tasks["x"].verdict, more.averages["average"].verdict) == ("a is higher", "a is higher")
    assert (
        compare_models(_outcomes({"x": [False] * 8}), _outcomes({"x": [True] * 8}), {}).tasks["x"].verdict
        == "b is higher"
    )


def test_graded_measures_are_compared_by_their_values() -> None:
    def graded(values: list[float]) -> Outcomes:
        return {
            ("x", index): QuestionScore(True, False, metrics={"f": value}, metric="f")
            for index, value in enumerate(values)
        }

    comparison = compare_models(graded([0.5, 1.0, 0.2]), graded([0.25, 0.5, 0.2]), {})
    assert (comparison.tasks["x"].a, comparison.tasks["x"].difference) == (
        pytest.approx(170 / 3),
        pytest.approx(-25.0),
    )
    assert (comparison.tasks["x"].only_a, comparison.tasks["x"].only_b) == (2, 0)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=10))
def test_mcnemar_by_exact_sums(pairs: list[tuple[int, int]]) -> None:
    p_values = mcnemar([a for a, _ in pairs], [b for _, b in pairs])
    for (a, b), p in zip(pairs, p_values.tolist(), strict=True):
        exact = min(1.0, 2 * sum(math.comb(a + b, few) for few in range(min(a, b) + 1)) / 2 ** (a + b))
        assert p == pytest.approx(exact, rel=1e-9)


def _score(half_width: float = 4.0, split: str = "", **changes: Any) -> EvaluationScore:
    tasks = {
        task: TaskScore(value, 600, value=value, ci95=(value - half_width, value + half_width))
        for task, value in {"x": 40.0, "y": 60.0}.items()
    }
    key = ScoreKey("final", "bbh", "cot", split)
    intervals = {"average": Interval((46.0, 54.0), 500)}
    return EvaluationScore(key, {"average": 50.0, "other": None}, tasks, intervals=intervals, **changes)


def test_printed_figures_against_our_interval() -> None:
    figures = PaperFigures(
        {"average": 54.04, "other": 1.0, "test": 20.0},
        {"x": 35.9, "y": 50.0, "z": 1.0},
        frozenset({"y"}),
        ("somewhere",),
    )
    comparison = against_paper(_score(), figures)
    assert list(comparison["tasks"]) == ["x", "y"]
    assert (comparison["tasks"]["x"]["verdict"], comparison["tasks"]["y"]["verdict"]) == (
        "above the paper",
        "above the paper",
    )
    assert (comparison["tasks"]["x"]["difference"], comparison["tasks"]["y"]["computed"]) == (
        pytest.approx(4.1),
        True,
    )
    assert {name: one["verdict"] for name, one in comparison["averages"].items()} == {
        "average": "agrees with the paper"
    }
    assert (
        against_paper(_score(), PaperFigures({"average": 54.2}))["averages"]["average"]["verdict"]
        == "below the paper"
    )
    assert (
        against_paper(_score(), PaperFigures({}, {"x": 35.96}))["tasks"]["x"]["verdict"]
        == "agrees with the paper"
    ), "print is rounded"


def test_parts_and_other_splits_are_not_held_against_the_printed_mean() -> None:
    figures = PaperFigures({"average": 50.0, "test": 47.0})
    assert against_paper(_score(partial=True), figures)["averages"] == {}
    assert against_paper(_score(split="test"), figures)["averages"]["average"]["paper"] == 47.0
    assert against_paper(_score(split="test"), PaperFigures({"average": 50.0}))["averages"] == {}


@given(right=st.integers(0, 3_000), n=st.integers(1, 3_000), paper=st.floats(0, 100))
def test_one_question_agrees_with_nothing(right: int, n: int, paper: float) -> None:
    """A verdict needs an interval of at most five points to both sides, whatever the figures are."""
    task = task_score([QuestionScore(True, index < right) for index in range(n)], 0.0)
    score = EvaluationScore(
        ScoreKey("final", "bbh", "cot"),
        {"average": task.accuracy},
        {"x": task},
        intervals={"average": Interval(task.ci95 or (0, 0), n)},
    )
    comparison = against_paper(score, PaperFigures({"average": paper}, {"x": paper}))
    low, high = task.ci95 or (0.0, 0.0)
    for item in (comparison["tasks"]["x"], comparison["averages"]["average"]):
        if (high - low) / 2 > 5:
            assert item["verdict"] == f"interval too wide to say (n = {n:,})"
        else:
            inside = low - 0.05 <= paper <= high + 0.05
            assert item["verdict"] == (
                "agrees with the paper, and with chance"
                if inside and low == 0
                else "agrees with the paper"
                if inside
                else "above the paper"
                if task.accuracy > paper
                else "below the paper"
            )
