"""Rows that were found in a benchmark are left out and counted, and only those; benchmarks are held out by
name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_benchmarks import GSM8K, MMLU, write_benchmarks

from openflan.benchmark_data.items import benchmark_items
from openflan.errors import InputError
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.mixture.overlap.drop import without_overlaps
from openflan.mixture.overlap.index import build_index
from openflan.mixture.overlap.report import check_task, row_hash
from openflan.mixture.task_shares import shares_table
from openflan.recipe.load_recipe import dump_recipe, load_recipe
from openflan.recipe.schema import Mixture
from openflan.tasks.subset import RowsWithout
from openflan.tasks.task import Row, Task

ROWS: list[Row] = [{"inputs": f"What follows {number}?", "targets": f"{number + 1}"} for number in range(6)]
ROWS[2] = {"inputs": f"Solve: {GSM8K[0]}", "targets": "126"}
ROWS[4] = {"inputs": MMLU[0], "targets": "a chamber"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six rows, of which two are in a benchmark."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def mixture(data: Path, **keys: object) -> Mixture:
    return Mixture.model_validate(
        {"submixtures": {"own": {"data": str(data), "styles": {"few_shot": 0}}}, **keys}
    )


@pytest.fixture
def hits(tmp_path: Path, data: Path) -> Path:
    """What the overlap report writes about these rows."""
    index = build_index(benchmark_items(write_benchmarks(tmp_path / "benchmarks")))
    path = tmp_path / "hits.jsonl"
    with path.open("w") as file:
        check_task(
            open_tasks(mixture(data))["own/rows"], index, write=lambda hit: print(json.dumps(hit), file=file)
        )
    return path


def test_rows_with_hits_are_left_out_and_counted(data: Path, hits: Path) -> None:
    recipe_mixture = mixture(data, drop_overlaps=str(hits))
    tasks = open_tasks(recipe_mixture)
    kept = [ROWS[number] for number in (0, 1, 3, 5)]
    rows = tasks["own/rows"].rows
    assert [rows[number] for number in range(len(rows))] == kept
    stream = build_stream(recipe_mixture, tasks, seed=0)
    assert {stream[position].inputs for position in range(40)} == {str(row["inputs"]) for row in kept}
    (line,) = shares_table(recipe_mixture, tasks, stream, examples=8)
    assert (line["rows"], line["overlaps_dropped"], line["epochs"]) == (4, 2, 2.0)


def test_without_the_key_nothing_is_left_out(data: Path) -> None:
    recipe_mixture = mixture(data)
    tasks = open_tasks(recipe_mixture)
    (line,) = shares_table(recipe_mixture, tasks, build_stream(recipe_mixture, tasks, seed=0), examples=6)
    assert (line["rows"], line["overlaps_dropped"]) == (6, 0)


def test_stock_phrases_drop_nothing(data: Path, hits: Path) -> None:
    lines = [json.loads(line) for line in hits.read_text().splitlines()]
    hits.write_text(
        "".join(
            json.dumps({**line, "kind": "stock" if line["row"] == 2 else line["kind"]}) + "\n"
            for line in lines
        )
    )
    assert len(open_tasks(mixture(data, drop_overlaps=str(hits)))["own/rows"].rows) == 5


def test_other_rows_than_those_hit_are_refused(data: Path, hits: Path) -> None:
    """A row put in front moves all others by one."""
    data.write_text('{"inputs": "new", "targets": "row"}\n' + data.read_text())
    with pytest.raises(
        InputError,
        match=r"hits\.jsonl:1: row 2 of own/rows is not the one that was hit.*run `openflan overlap --out",
    ):
        open_tasks(mixture(data, drop_overlaps=str(hits)))
    data.write_text('{"inputs": "only", "targets": "row"}\n')
    with pytest.raises(InputError, match="is not the one that was hit"):
        open_tasks(mixture(data, drop_overlaps=str(hits)))


def test_rows_added_at_the_end_are_no_matter(data: Path, hits: Path) -> None:
    data.write_text(data.read_text() + '{"inputs": "new", "targets": "row"}\n')
    assert len(open_tasks(mixture(data, drop_overlaps=str(hits)))["own/rows"].rows) == 5


def test_a_file_about_other_tasks_is_refused_but_may_name_some(data: Path, hits: Path) -> None:
    more = hits.read_text() + json.dumps({"task": "cot/gsm8k", "row": 7, "row_hash": "x"}) + "\n"
    hits.write_text(more)
    assert len(open_tasks(mixture(data, drop_overlaps=str(hits)))["own/rows"].rows) == 4
    hits.write_text(more.replace("own/rows", "own/lines"))
    with pytest.raises(InputError, match=r"names none of the mixture's tasks, but cot/gsm8k, own/lines"):
        open_tasks(mixture(data, drop_overlaps=str(hits)))
    hits.write_text("")
    assert len(open_tasks(mixture(data, drop_overlaps=str(hits)))["own/rows"].rows) == 6


@pytest.mark.parametrize(
    "line",
    [
        '{"task": "own/rows"}',
        '{"task": "own/rows", "row": "2", "row_hash": "x"}',
        '{"task": "own/rows", "row": true, "row_hash": "x"}',
    ],
)
def test_lines_that_are_no_hits_are_named(line: str, data: Path, hits: Path) -> None:
    hits.write_text(hits.read_text() + line + "\n")
    with pytest.raises(
        InputError, match=r"hits\.jsonl:3: not a hit; expected the keys task, row and row_hash"
    ):
        open_tasks(mixture(data, drop_overlaps=str(hits)))


def test_a_missing_file_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl: no such file; `mixture.drop_overlaps` names"):
        open_tasks(mixture(data, drop_overlaps=str(tmp_path / "nowhere.jsonl")))


@given(count=st.integers(0, 60), dropped=st.sets(st.integers(0, 59)))
def test_what_is_left_is_in_order(count: int, dropped: set[int]) -> None:
    rows: list[Row] = [{"inputs": str(number)} for number in range(count)]
    dropped = {number for number in dropped if number < count}
    left = RowsWithout(rows, dropped)
    assert [left[number] for number in range(len(left))] == [
        row for index, row in enumerate(rows) if index not in dropped
    ]
    assert left.dropped == len(dropped)
    for beyond in (-1, len(left)):
        with pytest.raises(IndexError):
            left[beyond]


def test_a_row_is_known_by_all_of_its_fields() -> None:
    row: Row = {"question": "q", "answer": "a", "options": ("a", "b")}
    assert row_hash(row) == row_hash({"options": ["a", "b"], "answer": "a", "question": "q"})
    assert (
        len(
            {
                row_hash({**row, **other})
                for other in ({}, {"answer": "b"}, {"options": ["b", "a"]}, {"options": "ab"}, {"more": ""})
            }
        )
        == 5
    )


def test_dropping_is_for_the_tasks_that_have_hits(hits: Path) -> None:
    task = Task("own/rows", ROWS, frozenset(ROWS[0]), "x", "y")
    other = Task("own/other", ROWS, frozenset(ROWS[0]), "x", "y")
    left = without_overlaps({"own/rows": task, "own/other": other}, hits)
    assert left["own/other"] is other
    assert len(left["own/rows"].rows) == 4


RECIPE = """\
name: x
model: {base: google/t5-small}
mixture:
  submixtures: {own: {data: rows.jsonl}}
  drop_overlaps: hits.jsonl
training: {steps: 1}
"""


def test_a_recipe_names_the_file_beside_it(data: Path, hits: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE)
    recipe = load_recipe(path)
    assert recipe.mixture.drop_overlaps == hits
    path.write_text(dump_recipe(recipe))
    assert load_recipe(path) == recipe


@pytest.fixture
def instructions(tmp_path: Path) -> Path:
    """Two natural-instructions tasks, one made from MMLU."""
    for name in ("task685_mmmlu_answer_generation_x", "task001_quiz_question_answering"):
        task = {
            "Definition": ["Answer."],
            "Categories": ["Quiz"],
            "Instances": [{"input": "q", "output": ["a"]}],
        }
        (tmp_path / "niv2").mkdir(exist_ok=True)
        (tmp_path / "niv2" / f"{name}.json").write_text(json.dumps(task))
    return tmp_path / "niv2"


def names(data: Path, *patterns: str, **keys: object) -> set[str]:
    submixture = {"data": str(data), "tasks": list(patterns) or ["*"]}
    return set(open_tasks(Mixture.model_validate({"submixtures": {"niv2": submixture}, **keys})))


QUIZ, FROM_MMLU = "niv2/task001_quiz_question_answering", "niv2/task685_mmmlu_answer_generation_x"


def test_mmlu_is_held_out_unless_told_otherwise(instructions: Path) -> None:
    assert names(instructions) == {QUIZ}
    assert names(instructions, held_out=["mmlu", "bbh"]) == {QUIZ}
    assert names(instructions, held_out="mmlu") == {QUIZ}
    with pytest.raises(InputError, match=f"{FROM_MMLU} held out for evaluation"):
        names(instructions, QUIZ, FROM_MMLU)


def test_a_recipe_that_does_not_evaluate_on_mmlu_may_train_on_it(instructions: Path) -> None:
    for held_out in ([], ["bbh", "tydiqa"]):
        assert names(instructions, held_out=held_out) == {QUIZ, FROM_MMLU}
        assert names(instructions, FROM_MMLU, held_out=held_out) == {FROM_MMLU}


def test_the_embedded_worlds_own_held_out_tasks_are_never_trained_on() -> None:
    recipe_mixture = Mixture.model_validate({"submixtures": {"microflan": {}}, "held_out": []})
    assert all(task.held_out is None for task in open_tasks(recipe_mixture).values())


def test_an_unknown_benchmark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.replace("  drop_overlaps: hits.jsonl", "  held_out: [mlu]"))
    with pytest.raises(InputError, match=r"mine\.yaml:5: `mixture\.held_out.*did you mean `mmlu`"):
        load_recipe(path)
