"""Any tasks as a benchmark, each with its own measure."""

import sys
from dataclasses import replace

import pytest

from openflan.errors import InputError, SetupError
from openflan.evaluation.held_out import held_out_benchmark
from openflan.evaluation.task_benchmark import metric_of, task_benchmark
from openflan.microflan.world import microflan_tasks
from openflan.tasks.task import Row, Task


def _task(name: str, rows: list[Row] | None = None, **changes: object) -> Task:
    rows = rows or [{"inputs": f"How many is {number}?", "targets": str(number)} for number in range(6)]
    fields = frozenset(rows[0])
    return Task(
        **{"name": name, "rows": rows, "fields": fields, "dataset": "toy", "category": "toy", **changes}
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        (_task("mine/quiz"), "exact_match"),
        (_task("mine/quiz", [{"question": "q", "answer": "a", "options": ["a", "b"]}]), "accuracy"),
        (_task("niv2/task1"), "rouge_l_stemmed"),
        (_task("niv2/task1", languages=("English", "Hindi")), "rouge_l"),
        (_task("muffin/cnn", category="summarization"), "rouge_l"),
        (_task("muffin/wmt", category="translation"), "translation"),
        (_task("cot/gsm8k", category="grade school math word problems"), "numeric"),
        (_task("niv2/task2", metric="exact_match", category="toy"), "rouge_l_stemmed"),
        (_task("mine/spans", metric="squad"), "squad"),
    ],
)
def test_the_measure_follows_the_task(task: Task, metric: str) -> None:
    assert metric_of(task) == metric


def test_prompts_with_and_without_exemplars() -> None:
    tasks = {"mine/quiz": _task("mine/quiz")}
    zero = task_benchmark(tasks, limit=2).examples("mine/quiz")
    few = task_benchmark(tasks, shots=3).examples("mine/quiz")
    assert (len(zero), len(few), zero[0].exemplars, few[0].exemplars) == (2, 6, 0, 3)
    assert "How many is 0?" in zero[0].prompt
    assert few[4].prompt.count("How many is") == 4
    assert few[4].fewer is not None
    assert [few[4].fewer(count).count("How many is") for count in range(4)] == [1, 2, 3, 4]
    assert few[4].fewer(3) == few[4].prompt
    assert zero[0].fewer is None
    assert [example.prompt for example in task_benchmark(tasks, shots=3).examples("mine/quiz")] == [
        example.prompt for example in few
    ]


def test_rouge_l_is_the_tasks_own_score_and_exact_match_stands_beside() -> None:
    instructed = _task("niv2/task1", [{"definition": "Say how many.", "question": "Five?", "answer": "five"}])
    benchmark = task_benchmark(
        {"niv2/task1": instructed, "mine/quiz": _task("mine/quiz")}, metrics={"niv2/task1": "rouge_l"}
    )
    assert {name: task.metric for name, task in benchmark.tasks.items()} == {
        "niv2/task1": "rouge_l",
        "mine/quiz": "accuracy",
    }
    assert benchmark.correct("niv2/task1", "Five.", "five")
    assert benchmark.metrics["rouge_l"]("the five", "five") == pytest.approx(2 / 3)
    assert benchmark.name == "held-out"
    assert task_benchmark({"niv2/task1": instructed}, metrics={"niv2/task1": "rouge_l"}).name == "niv2-task1"


@pytest.mark.parametrize(
    ("name", "category", "missing"),
    [("niv2/task1", "toy", "rouge-score"), ("muffin/wmt", "translation", "sacrebleu")],
)
def test_a_library_that_is_missing_is_named_with_its_pip_line(
    name: str, category: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a model is loaded, with a metric that needs no library."""
    for module in ("rouge_score", "rouge_score.rouge_scorer", "sacrebleu"):
        monkeypatch.setitem(sys.modules, module, None)
    rows: list[Row] = [{"definition": "Say it.", "question": "Five?", "answer": "five"}]
    task = _task(name, rows, category=category) if name.startswith("niv2") else _task(name, category=category)
    with pytest.raises(SetupError, match=rf"{missing}: pip install 'openflan\[metrics\]'.*--metric rouge_l"):
        task_benchmark({name: task})
    assert task_benchmark({name: task}, metrics={name: "rouge_l"}).tasks[name].metric == "rouge_l"


def test_numbers_are_a_benchmark_of_their_own() -> None:
    sums = _task("mine/sums", category="grade school math word problems")
    benchmark = task_benchmark({"mine/sums": sums})
    assert benchmark.correct("mine/sums", "$5.00", "5")
    with pytest.raises(InputError, match="compared by 2 rules"):
        task_benchmark({"mine/sums": sums, "mine/quiz": _task("mine/quiz")})
    assert (
        task_benchmark(
            {"mine/sums": sums, "mine/quiz": _task("mine/quiz")}, metrics={"mine/sums": "exact_match"}
        ).metrics
        == {}
    )


def test_the_embedded_world_with_rationales() -> None:
    tasks = {name: task for name, task in microflan_tasks().items() if "rationale" in task.fields}
    name, task = next(iter(tasks.items()))
    benchmark = task_benchmark({name: task}, "cot", shots=2, limit=3)
    assert [example.exemplars for example in benchmark.examples(name)] == [2, 2, 2]


def test_what_cannot_be_asked() -> None:
    with pytest.raises(InputError, match="mine/quiz has no rationales"):
        task_benchmark({"mine/quiz": _task("mine/quiz")}, "cot")
    with pytest.raises(InputError, match="no task to evaluate"):
        task_benchmark({})
    with pytest.raises(InputError, match="no metric `rouge`; did you mean `rouge_l`"):
        held_out_benchmark({"a/b": replace(_task("mine/quiz"), metric="rouge")}, lambda task, index: task)
