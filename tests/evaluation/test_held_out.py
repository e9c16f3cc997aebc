"""Any task as a benchmark."""

import sys
from dataclasses import dataclass
from subprocess import run

import pytest

from openflan.evaluation import held_out_benchmark
from openflan.microflan.benchmarks import microflan_benchmark
from openflan.tasks.task import Row, Task


@dataclass(frozen=True)
class Prompt:
    inputs: str
    answer: str
    exemplars: tuple[int, ...] = (4, 5)


def _task(name: str, rows: list[Row]) -> Task:
    return Task(name=name, rows=rows, fields=frozenset({"question", "answer"}), dataset="toy", category="toy")


TASKS = {
    "mine/quiz": _task(
        "mine/quiz",
        [
            {"question": "Up?", "answer": "Yes", "options": ["Yes", "No"]},
            {"question": "Which?", "answer": "b", "options": ["a", "b", "c", "d"]},
            {"question": "Who?", "answer": "Ada", "references": ["Ada", "Ada Lovelace"]},
        ],
    ),
    "mine/sums": _task("mine/sums", [{"question": "1+1?", "answer": "2"}]),
}


def _render(task: Task, index: int) -> Prompt:
    row = task.rows[index]
    return Prompt(f"Q: {row['question']}", str(row["answer"]))


def test_rows_become_examples() -> None:
    benchmark = held_out_benchmark(TASKS, _render, limit=2)
    assert {name: (task.size, task.chance) for name, task in benchmark.tasks.items()} == {
        "mine/quiz": (2, pytest.approx(37.5)),
        "mine/sums": (1, 0.0),
    }
    second = benchmark.examples("mine/quiz")[1]
    assert (second.prompt, second.target, second.index, second.exemplars) == ("Q: Which?", "b", 1, 2)
    assert held_out_benchmark(TASKS, _render).examples("mine/quiz")[2].target == ("Ada", "Ada Lovelace")
    assert held_out_benchmark(TASKS, _render).tasks["mine/quiz"].chance == pytest.approx(25.0)
    assert benchmark.averages["average"] == ("mine/quiz", "mine/sums")


@pytest.mark.parametrize(
    ("mode", "generation", "target", "right"),
    [
        ("direct", " yes.\n", "Yes", True),
        ("direct", "STRASSE", "Straße", True),
        ("direct", "yes, surely", "Yes", False),
        ("direct", "yes..", "Yes", False),
        ("direct", "ada lovelace", ("Ada", "Ada Lovelace"), True),
        ("direct", "", "", False),
        ("cot", "It is up. So the answer is yes.", "Yes", True),
        ("cot", "The answer is no. But the answer is: Yes", "Yes", True),
        ("cot", "Yes", "Yes", False),
        ("cot", "The answer is", "", False),
    ],
)
def test_answers(mode: str, generation: str, target: str | tuple[str, ...], right: bool) -> None:
    assert held_out_benchmark(TASKS, _render, mode=mode).correct("mine/quiz", generation, target) is right


@pytest.mark.parametrize("shots", [0, 3])
def test_just_one_option_that_may_follow_a_prompt_is_right(shots: int) -> None:
    benchmark = microflan_benchmark("direct", name="microflan-dev", shots=shots, limit=4)
    examples = [
        example for task in benchmark.tasks for example in benchmark.examples(task) if example.options
    ]
    assert len(examples) > 100
    for item in examples:
        right = [option for option in item.options if benchmark.correct(item.task, option, item.target)]
        assert len(right) == 1, (item.prompt, item.options, item.target)


def test_evaluation_and_inference_load_no_model_library() -> None:
    code = (
        "import sys, openflan.evaluation, openflan.inference; print([m for m in ('torch', "
        "'transformers') if m in sys.modules])"
    )
    assert (
        run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
