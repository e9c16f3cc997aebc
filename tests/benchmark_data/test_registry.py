"""Every benchmark's data, and what recipes and evaluations make of it."""

import json
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.benchmark_data.data import BenchmarkData
from openflan.benchmark_data.items import benchmark_items, find_benchmark_files
from openflan.benchmark_data.registry import PAPER, benchmark_names, built_in_benchmarks, find_benchmark_data
from openflan.errors import InputError
from openflan.evaluation.known_benchmarks import find_benchmark
from openflan.evaluation.training_tasks import training_tasks_of, warn_of_training_tasks
from openflan.mixture.open_mixture import why_left_out
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Mixture
from openflan.run_folder import Run
from openflan.tasks.catalogue import catalogue

BENCHMARKS = list(built_in_benchmarks().values())
names = st.sampled_from([*built_in_benchmarks()])
tasks = st.sampled_from([*catalogue()])


def mixture(*held_out: str) -> Mixture:
    return Mixture.model_validate({"submixtures": {"cot": {}}, "held_out": list(held_out)})


def test_the_built_in_benchmarks() -> None:
    assert list(built_in_benchmarks()) == [*PAPER, "arc_challenge", "arc_easy", "hellaswag", "svamp"]
    assert set(built_in_benchmarks()) <= set(benchmark_names())
    with pytest.raises(InputError, match="there is no benchmark `hellaswg`; did you mean `hellaswag`"):
        find_benchmark_data("hellaswg")


@pytest.mark.parametrize("data", BENCHMARKS, ids=lambda data: data.name)
def test_data_and_evaluation_agree(data: BenchmarkData) -> None:
    for split in data.splits:
        benchmark = find_benchmark(data.name, data.modes[0], split=split if len(data.splits) > 1 else None)
        assert benchmark.name == data.name
        assert {name: (task.size, task.chance) for name, task in benchmark.tasks.items()} == {
            name: (task.num_questions[split], task.chance) for name, task in data.tasks.items()
        }
        assert benchmark.split == ("" if split == data.splits[0] else split)


@pytest.mark.parametrize("data", BENCHMARKS, ids=lambda data: data.name)
def test_every_pattern_of_training_tasks_matches_the_catalogue(data: BenchmarkData) -> None:
    for pattern in data.training_tasks:
        alone = BenchmarkData("x", {}, "x:x", lambda path: iter(()), (), training_tasks=(pattern,))
        assert any(alone.is_source_of(name) for name in catalogue()), pattern
    marked = {name for name, entry in catalogue().items() if entry.held_out == data.name}
    assert marked <= {name for name in catalogue() if data.is_source_of(name)}


@pytest.mark.parametrize(
    ("task", "benchmark"),
    [
        ("cot/gsm8k", "gsm8k"),
        ("muffin/arc_easy", "arc_easy"),
        ("niv2/task229_arc_answer_generation_hard", "arc_challenge"),
        ("niv2/task1389_hellaswag_completion", "hellaswag"),
        ("niv2/task753_svamp_addition_question_answering", "svamp"),
        ("niv2/task685_mmmlu_answer_generation_clinical_knowledge", "mmlu"),
    ],
)
def test_held_out_leaves_the_tasks_of_a_benchmark_out(task: str, benchmark: str) -> None:
    held_out = catalogue()[task].held_out
    assert why_left_out(mixture("bbh", benchmark), task, held_out, None) == f"held out ({benchmark})"
    assert why_left_out(mixture("bbh"), task, held_out, None) is None


@given(task=tasks, held_out=st.sets(names))
def test_a_task_is_held_out_only_if_the_recipe_names_its_benchmark(task: str, held_out: set[str]) -> None:
    reason = why_left_out(mixture(*held_out), task, catalogue()[task].held_out, None)
    sources = {name for name, data in built_in_benchmarks().items() if data.is_source_of(task)}
    assert (reason is not None) == bool(sources & held_out)


def test_a_kind_of_generalisation_is_always_held_out() -> None:
    assert why_left_out(mixture(), "microflan/x", "wording", None) == "held out (wording)"


def test_a_recipe_may_hold_out_any_known_benchmark(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for written in ("[arc_easy, svamp]", "hellaswag"):
        path.write_text(f"extends: flan-2022\nmixture:\n  held_out: {written}\n", encoding="utf-8")
        assert list(load_recipe(path).mixture.held_out) == written.strip("[]").split(", ")
    path.write_text("extends: flan-2022\nmixture:\n  held_out: [svanp]\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"mine\.yaml:3: .*there is no benchmark `svanp`; did you mean `svamp`"
    ):
        load_recipe(path)


def trained_run(folder: Path, *tasks: str) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(folder)
    run.ledger.write_text(json.dumps({"tasks": [{"task": task, "share": 0.5} for task in tasks]}))
    return run


def test_an_evaluation_names_the_training_tasks_made_from_its_benchmark(tmp_path: Path) -> None:
    run = trained_run(tmp_path, "cot/gsm8k", "niv2/task751_svamp_subtraction_question_answering", "cot/aqua")
    with pytest.warns(UserWarning, match="was trained on cot/gsm8k, made from the data of gsm8k"):
        warn_of_training_tasks(run, ["mmlu", "gsm8k", "gsm8k"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_training_tasks(run, ["mmlu", "arc_easy", "microflan", "mine/x"])
        warn_of_training_tasks(Run(tmp_path / "without"), ["gsm8k"])


@given(trained=st.lists(tasks, unique=True, max_size=6), name=names)
def test_training_tasks_of_a_run(
    trained: list[str], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = trained_run(tmp_path_factory.mktemp("run"), *trained)
    data = find_benchmark_data(name)
    assert training_tasks_of(run, name) == tuple(task for task in trained if data.is_source_of(task))


def test_the_overlap_report_reads_the_new_benchmarks(tmp_path: Path) -> None:
    (tmp_path / "arc/ARC-Easy").mkdir(parents=True)
    (tmp_path / "svamp").mkdir()
    question = {
        "stem": "What melts?",
        "choices": [{"label": "A", "text": "ice"}, {"label": "B", "text": "no"}],
    }
    (tmp_path / "arc/ARC-Easy/ARC-Easy-Test.jsonl").write_text(
        json.dumps({"question": question, "answerKey": "A"}) + "\n"
    )
    (tmp_path / "svamp/SVAMP.json").write_text(
        json.dumps([{"Body": "Ana has 3 pens.", "Question": "How many?", "Answer": 3.0}])
    )
    assert [(item.group, item.task, item.index, item.text) for item in benchmark_items(tmp_path)] == [
        ("arc_easy", "ARC-Easy-Test", 0, "What melts?"),
        ("arc_easy options", "ARC-Easy-Test", 0, "ice"),
        ("arc_easy options", "ARC-Easy-Test", 0, "no"),
        ("svamp", "SVAMP", 0, "Ana has 3 pens. How many?"),
    ]
    missing = find_benchmark_files(tmp_path).missing
    assert "arc/ARC-Easy/ARC-Easy-Dev.jsonl" in missing
    assert not any("ARC-Easy-Test" in pattern or "svamp" in pattern for pattern in missing)
