"""Super-NaturalInstructions: task files of any spelling, its form as rows, its examples, and what is held
out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.mixture.open_mixture import open_tasks
from openflan.recipe.schema import Mixture
from openflan.tasks.natural_instructions import read_task
from openflan.tasks.natural_instructions_rows import is_mmlu
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task

MMLU = "task685_mmmlu_answer_generation_clinical_knowledge"


def row(task: str, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "task_name": task,
        "id": f"{task.partition('_')[0]}-{number:032x}-0",
        "definition": f"Do {task}.",
        "inputs": f"{task} question {number}",
        "targets": f"answer {number}",
        **changes,
    }


def jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")


def questions(task: Task) -> list[str]:
    return [str(task.rows[index]["question"]) for index in range(len(task.rows))]


def refusal(data: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_submixture("niv2", data)
    return str(caught.value)


# Rows with a task's name


def test_files_of_one_task_each_in_train_and_test(tmp_path: Path) -> None:
    for folder, task in (
        ("train", "task001_a_generation"),
        ("train", "task002_b_generation"),
        ("test", "task003_c_generation"),
    ):
        jsonl(tmp_path / f"{folder}/{task}_{folder}.jsonl", [row(task, number) for number in range(3)])
    tasks = open_submixture("niv2", tmp_path)
    assert sorted(tasks) == [
        "niv2/task001_a_generation",
        "niv2/task002_b_generation",
        "niv2/task003_c_generation",
    ]
    task = tasks["niv2/task002_b_generation"]
    assert task.rows[2] == {
        "definition": "Do task002_b_generation.",
        "question": "task002_b_generation question 2",
        "answer": "answer 2",
        "references": ("answer 2",),
    }
    assert task.fields == {"definition", "question", "answer", "references"}
    assert sorted(open_submixture("niv2", tmp_path / "train")) == [
        "niv2/task001_a_generation",
        "niv2/task002_b_generation",
    ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_tasks_mixed_in_one_table_are_told_apart(tmp_path: Path, kind: str) -> None:
    names = ["task001_a-b_generation", "task002_c", "task001_a_b_generation"]
    rows = [row(names[number % 3], number) for number in range(30)]
    if kind == "jsonl":
        jsonl(tmp_path / "all.jsonl", rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "all.parquet", row_group_size=4)
    tasks = open_submixture("niv2", tmp_path)
    assert questions(tasks["niv2/task002_c"]) == [f"task002_c question {index}" for index in range(1, 30, 3)]
    assert questions(tasks["niv2/task001_a_b_generation"]) == [
        f"{names[index % 3]} question {index}" for index in range(30) if index % 3 != 1
    ]
    assert len(tasks) == 2


def test_rows_without_targets_are_left_out_and_counted(tmp_path: Path) -> None:
    jsonl(
        tmp_path / "a.jsonl",
        [row("task001_a", 0), row("task001_a", 1, targets=" "), row("task001_a", 2, inputs="")],
    )
    (task,) = open_submixture("niv2", tmp_path).values()
    assert questions(task) == ["task001_a question 0", ""]
    assert task.left_out == {"empty targets": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task_name": None}, "`task_name` must be a text; found None"),
        ({"inputs": None}, "`inputs` must be a text; found None"),
        ({"targets": ["a"]}, "`targets` must be a text; found ['a']"),
        ({"definition": ["a"]}, "`definition` must be a text; found ['a']"),
    ],
)
def test_a_row_that_lacks_something_is_left_out_and_named_by_line_where_no_other_is_left(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    jsonl(tmp_path / "a.jsonl", [row("task001_a", 0), row("task001_a", 1, **changes)])
    (task,) = open_submixture("niv2", tmp_path).values()
    assert (questions(task), task.left_out) == (
        ["task001_a question 0"],
        {f"{message.partition(' ')[0]} not as expected": 1},
    )
    jsonl(tmp_path / "a.jsonl", [row("task001_a", 1, **changes)])
    assert f"{tmp_path}/a.jsonl:1: {message}" in refusal(tmp_path)


def test_own_rows_named_as_a_task_of_the_collection_are_refused(tmp_path: Path) -> None:
    jsonl(tmp_path / "rows.jsonl", [row("task001_a", 0)])
    jsonl(tmp_path / "task001_a.jsonl", [{"inputs": "a", "targets": "b"}])
    assert "task001_a.jsonl: its task would be named `niv2/task001_a`" in refusal(tmp_path)


# Task files


def document(**changes: Any) -> dict[str, Any]:
    return {"Definition": ["Do it."], "Instances": [{"id": "1", "input": "a", "output": ["b"]}], **changes}


def task_file(path: Path, content: dict[str, Any], **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, **how), encoding="utf-8")
    return path


def test_the_first_examples_are_fields_as_far_as_they_are_there(tmp_path: Path) -> None:
    positive = [
        {"input": "1+1?", "output": "2", "explanation": " Sum. "},
        {"input": "x", "output": "y", "explanation": "z"},
    ]
    path = task_file(
        tmp_path / "task1_x.json",
        document(
            **{
                "Positive Examples": positive,
                "Negative Examples": [{"input": "1+2?", "output": ["5", "6"], "explanation": ""}],
            }
        ),
    )
    task = read_task(path, "niv2")
    assert task.rows[0] == {
        "definition": "Do it.",
        "positive_input": "1+1?",
        "positive_output": "2",
        "positive_explanation": "Sum.",
        "negative_input": "1+2?",
        "negative_output": "5",
        "question": "a",
        "answer": "b",
        "references": ("b",),
    }
    assert task.fields == set(task.rows[0])
    for examples in ([], None, ["a"], [{}], "a"):
        bare = read_task(task_file(path, document(**{"Positive Examples": examples})), "niv2")
        assert bare.fields == {"definition", "question", "answer", "references"}


texts = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@settings(deadline=None)
@given(
    instances=st.lists(
        st.fixed_dictionaries(
            {"input": st.text(st.characters(codec="utf-8")), "output": st.lists(texts, min_size=1)}
        ),
        min_size=1,
        max_size=5,
    ),
    others=st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=5).filter(
            lambda key: key not in ("Definition", "Instances")
        ),
        st.integers() | texts,
    ),
    indent=st.none() | st.integers(0, 4),
    plain=st.booleans(),
    first=st.booleans(),
    marked=st.booleans(),
)
def test_instances_are_found_in_any_file_as_json_finds_them(
    tmp_path_factory: pytest.TempPathFactory,
    instances: list[dict[str, Any]],
    others: dict[str, Any],
    indent: int | None,
    plain: bool,
    first: bool,
    marked: bool,
) -> None:
    content = (
        {"Instances": instances, "Definition": "Do it.", **others}
        if first
        else {"Definition": "Do it.", **others, "Instances": instances}
    )
    path = tmp_path_factory.getbasetemp() / "task1_any.json"
    path.write_bytes(
        (b"\xef\xbb\xbf" if marked else b"") + json.dumps(content, indent=indent, ensure_ascii=plain).encode()
    )
    task = read_task(path, "niv2")
    assert [
        (task.rows[index]["question"], task.rows[index]["references"]) for index in range(len(task.rows))
    ] == [
        (instance["input"].strip(), tuple(text.strip() for text in instance["output"]))
        for instance in instances
    ]


@pytest.mark.parametrize("cut", range(1, 64, 3))
def test_a_file_that_ends_early_is_refused_at_the_line_json_names(tmp_path: Path, cut: int) -> None:
    text = json.dumps(document(), indent=0)
    path = tmp_path / "task1_cut.json"
    path.write_text(text[: -min(cut, len(text) - 1)])
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(path.read_text())
    assert f"{path}:{expected.value.lineno}: not valid JSON" in refusal(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"Definition": "a", "Instances": [{"input": "a", "output": "b"},]}',
        '{"Definition": "a",}',
        '{"Definition": "a"} x',
        "{1: 2}",
        '{"a" 1}',
        "",
        '{"Definition": "a" "Instances": []}',
    ],
)
def test_what_json_refuses_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "task1_bad.json"
    path.write_text(text)
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    assert f"{path}:1: not valid JSON" in refusal(path)


def test_names_are_folded_and_must_differ_after_that(tmp_path: Path) -> None:
    task_file(tmp_path / "task1_a-b.json", document())
    assert list(open_submixture("niv2", tmp_path)) == ["niv2/task1_a_b"]
    task_file(tmp_path / "task1_a_b.json", document())
    assert (
        "its task would be named `niv2/task1_a_b`, as that of task1_a-b.json; rename one of the files"
        in refusal(tmp_path)
    )


# What is held out


@pytest.mark.parametrize(
    ("name", "held_out"),
    [
        (MMLU, True),
        ("task664_mmmlu_answer_generation_abstract_algebra", True),
        ("task667-mmmlu_answer-generation", True),
        ("task737_mmmlu_answer_generation_world_religions", True),
        ("task668_mmmlu_x", False),
        ("task684_mmmlu_x", False),
        ("task738_mmmlu_x", False),
        ("task700_other", False),
        ("task062_bigbench_repeat_copy_logic", False),
    ],
)
def test_tasks_made_from_mmlu_are_known_by_number_and_name(name: str, held_out: bool) -> None:
    assert is_mmlu(name) is held_out


def test_there_are_57_of_them() -> None:
    assert sum(is_mmlu(f"task{number}_mmmlu_answer_generation") for number in range(2_000)) == 57


@pytest.mark.parametrize("form", ["files", "rows"])
def test_they_are_never_trained_on(tmp_path: Path, form: str) -> None:
    for name in (MMLU, "task001_a"):
        if form == "files":
            task_file(tmp_path / f"{name}.json", document())
        else:
            jsonl(tmp_path / f"{name}.jsonl", [row(name, 0)])
    assert {name: task.held_out for name, task in open_submixture("niv2", tmp_path).items()} == {
        f"niv2/{MMLU}": "mmlu",
        "niv2/task001_a": None,
    }
    assert list(open_tasks(Mixture.model_validate({"submixtures": {"niv2": {"data": str(tmp_path)}}}))) == [
        "niv2/task001_a"
    ]
    with pytest.raises(InputError, match="held out for evaluation"):
        open_tasks(
            Mixture.model_validate(
                {"submixtures": {"niv2": {"data": str(tmp_path), "tasks": f"niv2/{MMLU}"}}}
            )
        )
