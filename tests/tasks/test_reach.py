"""Which tasks a folder holds, what they are called, and that each opens by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.tasks.reach import reach
from openflan.tasks.sources import open_submixture

INSTRUCTIONS = json.dumps(
    {"Definition": ["Add."], "Categories": ["Sums"], "Instances": [{"input": "1 1", "output": ["2"]}]}
)
COT = "How many?\tfour\tTwo and two.\n"
ROW = '{"inputs": "a", "targets": "b"}\n'


def write(root: Path, contents: dict[str, str]) -> Path:
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return root


def names(data: Path, submixture: str | None = None) -> set[str]:
    return {task.name for task in reach(data, submixture)}


def problem(data: Path, name: str) -> str:
    (reached,) = [task for task in reach(data) if task.name == name]
    with pytest.raises(InputError) as caught:
        reached.open()
    return str(caught.value)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        {
            "gsm8k_train.tsv": COT,
            "task9_sums.json": INSTRUCTIONS,
            "my quiz.jsonl": ROW,
            "notes.json": "{}",
            "cot/qed_train.tsv": COT,
            "niv2/tasks/task7_more-sums.json": INSTRUCTIONS,
            "muffin/my_quiz.jsonl": ROW,
            "elsewhere/rte.jsonl": ROW,
        },
    )


def test_layouts_side_by_side_and_folders_of_submixtures_are_found_and_named(mixed: Path) -> None:
    assert names(mixed) == {
        "cot/gsm8k",
        "cot/qed",
        "niv2/task9_sums",
        "niv2/task7_more_sums",
        "own/my_quiz",
        "muffin/my_quiz",
    }
    for reached in reach(mixed):
        task = reached.open()
        assert task.name == reached.name
        assert len(task.rows) == 1


def test_a_folder_or_file_by_itself_gives_the_same_names(mixed: Path) -> None:
    assert names(mixed / "muffin") == names(mixed / "muffin" / "my_quiz.jsonl") == {"muffin/my_quiz"}
    assert names(mixed / "gsm8k_train.tsv", "mine") == {"cot/gsm8k"}
    assert names(mixed / "elsewhere") == {"own/rte"}
    assert names(mixed / "elsewhere", "mine") == {"mine/rte"}


def test_a_ready_made_copy_is_reached_whole(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "cot_zs_opt_train_part1.jsonl": ROW,
            "cot_zs_opt_train_part2.jsonl": ROW,
            "t0_fs_noopt_train.jsonl": ROW,
        },
    )
    tasks_by_name = {task.name: task.open() for task in reach(tmp_path)}
    assert {name: len(task.rows) for name, task in tasks_by_name.items()} == {
        "own/cot_zs_opt": 2,
        "own/t0_fs_noopt": 1,
    }


def test_a_file_that_no_task_can_be_found_in_hides_no_other(mixed: Path) -> None:
    write(mixed, {"qasc2_train.tsv": COT, "a b.jsonl": ROW, "a_b.jsonl": ROW})
    assert names(mixed) >= {"cot/gsm8k", "cot/qasc2", "own/a_b", "own/my_quiz"}
    assert "did you mean `qasc`" in problem(mixed, "cot/qasc2")


def test_of_two_tasks_of_one_name_the_second_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    write(tmp_path, {"a b.jsonl": ROW, "a_b.jsonl": ROW})
    first, second = reach(tmp_path)
    assert first.open().name == second.name == "own/a_b"
    with pytest.raises(InputError, match="rename or remove"):
        second.open()


@pytest.mark.parametrize(("name", "says"), [("absent", "no such file or folder"), ("", "unknown layout")])
def test_nothing_there_is_refused(tmp_path: Path, name: str, says: str) -> None:
    write(tmp_path, {"notes.txt": "hello"})
    with pytest.raises(InputError, match=says):
        reach(tmp_path / name)


# A folder named like the submixture


@pytest.mark.parametrize(
    ("submixture", "file", "content", "task"),
    [
        ("cot", "qed_train.tsv", COT, "cot/qed"),
        ("niv2", "tasks/task7_sums.json", INSTRUCTIONS, "niv2/task7_sums"),
        ("niv2", "task7_sums.json", INSTRUCTIONS, "niv2/task7_sums"),
        ("muffin", "my_quiz.jsonl", ROW, "muffin/my_quiz"),
        ("muffin", "rte.jsonl", '{"premise": "a", "hypothesis": "b", "label": 0}\n', "muffin/rte"),
        ("t0_sf", "t0_zs_opt_train.jsonl", ROW, "t0_sf/zs_opt"),
        ("house_rules", "quiz.jsonl", ROW, "house_rules/quiz"),
        ("own", "quiz.jsonl", ROW, "own/quiz"),
        ("dialogue", "data/part-0.jsonl", ROW, "dialogue/part-0"),
    ],
)
def test_a_submixture_is_found_in_the_folder_of_its_name(
    tmp_path: Path, submixture: str, file: str, content: str, task: str
) -> None:
    """Recipes and `openflan tasks --data` mean the same by a folder that holds one for each submixture."""
    write(tmp_path, {f"{submixture}/{file}": content, "elsewhere/notes.txt": "hello"})
    assert (
        list(open_submixture(submixture, tmp_path))
        == list(open_submixture(submixture, tmp_path / submixture))
        == [task]
    )
    assert names(tmp_path, submixture) == {task}


def test_the_folder_of_its_name_comes_before_what_lies_beside_it(mixed: Path) -> None:
    assert list(open_submixture("cot", mixed)) == ["cot/qed"]
    assert list(open_submixture("niv2", mixed)) == ["niv2/task7_more_sums"]


@pytest.mark.parametrize("submixture", ["data", "default", "train"])
def test_a_submixture_called_like_a_part_of_a_copy_reads_the_whole_of_it(
    tmp_path: Path, submixture: str
) -> None:
    write(tmp_path, {"quiz.jsonl": ROW, f"{submixture}/other.jsonl": ROW})
    assert names(tmp_path, submixture) == {f"{submixture}/quiz"}


def test_an_empty_folder_of_its_name_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"quiz.jsonl": ROW, "mine/notes.txt": "hello"})
    assert names(tmp_path, "mine") == {"mine/quiz"}
