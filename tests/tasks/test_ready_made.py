"""Copies of the collection that others rendered, in the layouts of the public ones, made here at small
size."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openflan.errors import InputError
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.mixture.rates import Capped, shares
from openflan.recipe.schema import Mixture
from openflan.tasks.ready_made import STYLES, TAKES
from openflan.tasks.sources import find_submixture, open_submixture
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import wordings_for

FOLDERS = (
    "cot_fsopt",
    "cot_zsopt",
    "dialog_fsopt",
    "dialog_zsopt",
    "flan_fsnoopt",
    "flan_fsopt",
    "flan_zsnoopt",
    "flan_zsopt",
    "niv2_zsopt",
    "t0_fsnoopt",
)
TASK_SOURCES = {"flan2021": "Flan2021", "t0": "P3", "niv2": "NIv2", "cot": "CoT", "dialog": "Dialog"}


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)


def jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def worded(mark: str, number: int, **others: Any) -> dict[str, Any]:
    return {"inputs": f"{mark} question {number}", "targets": f"{mark} answer {number}", **others}


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder for each source and style."""
    for name in FOLDERS:
        for part in range(2):
            rows = [
                worded(
                    name,
                    5 * part + index,
                    _template_idx=index,
                    _task_source="x",
                    _task_name=f"{name}_{index}",
                    _template_type="zs_opt",
                )
                for index in range(5)
            ]
            parquet(tmp_path / f"copy/{name}_data/part.{part}.parquet", rows)
    (tmp_path / "copy/README.md").write_text("a card")
    (tmp_path / "copy/.cache").mkdir()
    return tmp_path / "copy"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A JSONL file for each source and style."""
    for name in ("cot_fs_noopt", "cot_zs_opt", "t0_zs_opt"):
        jsonl(
            tmp_path / f"copy/{name}_train.jsonl",
            [worded(name, number, task=name.partition("_")[0]) for number in range(6)],
        )
    for part in (1, 2):
        jsonl(
            tmp_path / f"copy/flan_fs_opt_train_part{part}.jsonl",
            [worded(f"part{part}", number, task="flan") for number in range(3)],
        )
    return tmp_path / "copy"


@pytest.fixture
def submixtures(tmp_path: Path) -> Path:
    """A folder for each source, styles mixed in it."""
    for source, task_source in TASK_SOURCES.items():
        rows = [
            worded(
                source,
                index,
                task_source=task_source,
                task_name=f"{source}_task",
                template_type=STYLES[index % 4 if source == "t0" else index % 4 // 2 * 2],
            )
            for index in range(12)
        ]
        parquet(tmp_path / f"copy/{source}_submix_original/data/train-00000-of-00002-0a66.parquet", rows[:7])
        parquet(tmp_path / f"copy/{source}_submix_original/data/train-00001-of-00002-0b77.parquet", rows[7:])
    return tmp_path / "copy"


def texts(task: Task) -> list[str]:
    return [str(task.rows[index]["inputs"]) for index in range(len(task.rows))]


def refusal(name: str, data: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_submixture(name, data)
    return str(caught.value)


# The three layouts


def test_a_folder_for_each_source_and_style(folders: Path) -> None:
    tasks = open_submixture("flan2021", folders)
    assert sorted(tasks) == ["flan2021/fs_noopt", "flan2021/fs_opt", "flan2021/zs_noopt", "flan2021/zs_opt"]
    task = tasks["flan2021/zs_opt"]
    assert [task.rows[index] for index in range(len(task.rows))] == [
        {
            "inputs": f"flan_zsopt question {position}",
            "targets": f"flan_zsopt answer {position}",
            "source_task": f"flan_zsopt_{position % 5}",
        }
        for position in range(10)
    ]
    assert task.fields == {"inputs", "targets", "source_task"}
    assert task.refused == 0


def test_one_of_the_folders_alone(folders: Path) -> None:
    assert sorted(open_submixture("dialog", folders / "dialog_fsopt_data")) == ["dialog/fs_opt"]
    assert sorted(open_submixture("mine", folders / "dialog_fsopt_data")) == ["mine/dialog_fs_opt"]
    assert (
        "a ready-made Flan with dialog, of which the submixture `cot` takes none (it takes cot); rename"
        in refusal("cot", folders / "dialog_fsopt_data")
    )


def test_a_file_for_each_source_and_style(files: Path) -> None:
    assert {name: len(task.rows) for name, task in open_submixture("mine", files).items()} == {
        "mine/cot_fs_noopt": 6,
        "mine/cot_zs_opt": 6,
        "mine/flan2021_fs_opt": 6,
        "mine/t0_zs_opt": 6,
    }
    parts = open_submixture("flan2021", files)["flan2021/fs_opt"]
    assert texts(parts) == [f"part{part} question {number}" for part in (1, 2) for number in range(3)]
    assert parts.rows[0]["source_task"] == "flan"
    assert list(open_submixture("cot", files / "cot_zs_opt_train.jsonl")) == ["cot/zs_opt"]


def test_a_folder_for_each_source_with_styles_in_the_rows(submixtures: Path) -> None:
    tasks = open_submixture("t0", submixtures)
    assert sorted(tasks) == ["t0/fs_noopt", "t0/fs_opt", "t0/zs_noopt", "t0/zs_opt"]
    for shift, style in enumerate(STYLES):
        assert texts(tasks[f"t0/{style}"]) == [
            f"t0 question {index}" for index in range(12) if index % 4 == shift
        ]
    assert sorted(open_submixture("cot", submixtures / "cot_submix_original")) == ["cot/fs_opt", "cot/zs_opt"]
    assert sorted(open_submixture("niv2", submixtures)) == ["niv2/fs_opt", "niv2/zs_opt"]


def test_rows_that_say_where_they_come_from_need_no_name(submixtures: Path, tmp_path: Path) -> None:
    """As from the hub, or a file that a user renamed."""
    (submixtures / "dialog_submix_original/data").rename(tmp_path / "renamed")
    assert sorted(open_submixture("mine", tmp_path / "renamed")) == [
        "mine/dialog_fs_opt",
        "mine/dialog_zs_opt",
    ]
    assert sorted(open_submixture("dialog", tmp_path / "renamed")) == ["dialog/fs_opt", "dialog/zs_opt"]
    jsonl(
        tmp_path / "both.jsonl",
        [
            worded("a", index, task_source=["P3", "CoT"][index % 2], template_type="fs_opt")
            for index in range(4)
        ],
    )
    assert {name: texts(task) for name, task in open_submixture("mine", tmp_path / "both.jsonl").items()} == {
        "mine/cot_fs_opt": ["a question 1", "a question 3"],
        "mine/t0_fs_opt": ["a question 0", "a question 2"],
    }


# What a recipe does with them


@pytest.mark.parametrize("layout", ["folders", "submixtures"])
def test_submixtures_of_a_recipe_share_a_copy_without_overlap(
    layout: str, request: pytest.FixtureRequest
) -> None:
    copy = request.getfixturevalue(layout)
    taken = [
        text
        for name in ("muffin", "t0_sf", "niv2", "cot")
        for task in open_submixture(name, copy).values()
        for text in texts(task)
    ]
    everything = [text for task in open_submixture("all", copy).values() for text in texts(task)]
    assert sorted(taken) == sorted(everything)
    assert len(set(taken)) == len(taken)


def test_the_recipe_weighs_a_copy_whatever_its_sizes(folders: Path) -> None:
    rates = {"muffin": 46.0, "t0_sf": 27.9, "cot": 1.8, "niv2": 24.2}
    tasks = {
        name: task for submixture in rates for name, task in open_submixture(submixture, folders).items()
    }
    share = shares({name: Capped(task.submixture, len(task.rows)) for name, task in tasks.items()}, rates)
    for submixture, rate in rates.items():
        drawn = sum(value for name, value in share.items() if name.startswith(f"{submixture}/"))
        assert drawn == pytest.approx(rate / sum(rates.values()))


def test_every_name_of_a_source_takes_that_source() -> None:
    assert {source for takes in TAKES.values() for source in takes} == set(TASK_SOURCES)
    assert all(TAKES[source] == (source,) for source in TASK_SOURCES)


def test_rows_are_rendered_as_they_are(folders: Path) -> None:
    task = open_submixture("cot", folders)["cot/zs_opt"]
    renderer = Renderer(task, wordings_for("mine/cot", task.fields, []))
    rendered = renderer.render(7, Style(), seed=0, position=3)
    assert (rendered.inputs, rendered.targets) == ("cot_zsopt question 7", "cot_zsopt answer 7")


def test_rows_that_hold_exemplars_get_no_others(folders: Path, tmp_path: Path) -> None:
    jsonl(
        tmp_path / "chat.jsonl",
        [
            {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}]}
            for n in range(9)
        ],
    )
    jsonl(tmp_path / "own.jsonl", [worded("own", number) for number in range(9)])
    data = {"cot": folders, "chat": tmp_path / "chat.jsonl", "own": tmp_path / "own.jsonl"}
    mixture = Mixture.model_validate(
        {
            "submixtures": {
                name: {"data": str(path), "styles": {"few_shot": 1.0}} for name, path in data.items()
            }
        }
    )
    tasks = open_tasks(mixture)
    stream = build_stream(mixture, tasks, seed=0)
    seen = set()
    for position in range(60):
        rendered = stream[position]
        seen.add(tasks[rendered.task].submixture)
        assert bool(rendered.exemplars) == rendered.task.startswith("own/")
        assert tasks[rendered.task].finished != rendered.task.startswith("own/")
        if not rendered.exemplars:
            assert rendered.inputs == tasks[rendered.task].rows[rendered.row]["inputs"]
    assert seen == set(data)


# What is left out or refused


def test_rows_without_targets_and_held_out_tasks_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        worded("a", 0, task="task1_x"),
        {"inputs": "b", "targets": "", "task": "task1_x"},
        {"inputs": "c", "targets": " \n", "task": "task1_x"},
        {"inputs": "d", "targets": None, "task": "task1_x"},
        worded("e", 1, task="task685_mmmlu_answer_generation_anatomy"),
        worded("f", 2, task="task684_online_privacy"),
    ]
    jsonl(tmp_path / "niv2_zs_opt_train.jsonl", rows)
    (task,) = open_submixture("niv2", tmp_path).values()
    assert texts(task) == ["a question 0", "f question 2"]
    assert (task.refused, task.left_out) == (4, {"empty targets": 3, "held out (mmlu)": 1})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"prompt": "a", "targets": "b"}],
            ":1: found `prompt`, `targets`; expected the texts `inputs` and `targets`",
        ),
        ([{"inputs": 3, "targets": "b"}], ":1: found `inputs`, `targets`; expected the texts"),
    ],
)
def test_rows_of_other_columns_are_named(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    jsonl(tmp_path / "cot_zs_opt_train.jsonl", rows)
    assert f"{tmp_path}/cot_zs_opt_train.jsonl{message}" in refusal("cot", tmp_path)


def test_tables_of_other_columns_are_named(tmp_path: Path) -> None:
    parquet(tmp_path / "cot_zsopt_data/part.0.parquet", [{"prompt": "a", "completion": "b"}])
    message = refusal("cot", tmp_path)
    assert (
        f"{tmp_path}/cot_zsopt_data/part.0.parquet: lacks inputs and targets; found prompt, completion; "
        "expected inputs and targets"
    ) in message


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (
            {"task_source": "P3", "template_type": "zero"},
            "`template_type` is 'zero'; expected one of zs_opt, zs_noopt, fs_opt, fs_noopt",
        ),
        (
            {"task_source": "C4", "template_type": "zs_opt"},
            "`task_source` is 'C4'; expected Flan2021, P3, NIv2, CoT or Dialog",
        ),
    ],
)
def test_unknown_styles_and_sources_are_left_out_and_named_where_no_row_is_left(
    tmp_path: Path, others: Mapping[str, str], message: str
) -> None:
    jsonl(
        tmp_path / "rows.jsonl",
        [worded("a", 0, task_source="P3", template_type="fs_opt"), worded("a", 1, **others)],
    )
    (task,) = open_submixture("mine", tmp_path / "rows.jsonl").values()
    assert (texts(task), task.left_out) == (["a question 0"], {f"unknown {message.partition(' ')[0]}": 1})
    jsonl(tmp_path / "rows.jsonl", [worded("a", 1, **others)])
    assert f"{tmp_path}/rows.jsonl:1: {message}" in refusal("mine", tmp_path / "rows.jsonl")


def test_a_packed_file_is_to_be_unpacked_before_it_is_used(files: Path) -> None:
    packed = files / "dialog_zs_opt_train.jsonl.gz"
    with gzip.open(packed, "wt") as file:
        file.write(json.dumps(worded("d", 0, task="dialog")) + "\n")
    assert "cot/zs_opt" in open_submixture("cot", files)  # others are read
    assert (
        refusal("dialog", files)
        == f"{packed}: compressed, so its rows cannot be read by index; unpack it with `gunzip {packed}`"
    )
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    assert texts(open_submixture("dialog", files)["dialog/zs_opt"]) == ["d question 0"]


def test_strange_files_beside_a_copy_are_refused(files: Path) -> None:
    jsonl(files / "own.jsonl", [worded("a", 0)])
    assert f"{files}/own.jsonl: no name of a ready-made Flan" in refusal("mine", files)


def test_the_same_part_twice_is_refused(submixtures: Path) -> None:
    parquet(submixtures / "t0_zsopt_data/part.0.parquet", [worded("a", 0)])
    assert f"{submixtures}: `t0/zs_opt` is there twice" in refusal("t0", submixtures)


def test_an_empty_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "cot_zsopt_data").mkdir()
    assert f"{tmp_path}/cot_zsopt_data: no Parquet or JSONL files in this folder" in refusal("cot", tmp_path)


def test_parts_that_are_not_asked_for_are_not_opened(folders: Path) -> None:
    (folders / "cot_fsopt_data/part.0.parquet").write_bytes(b"damaged")
    assert list(open_submixture("cot", folders, ["cot/zs_opt"])) == ["cot/zs_opt"]
    assert sorted(find_submixture("cot", folders)) == ["cot/fs_opt", "cot/zs_opt"]
    assert "part.0.parquet: cannot be read as parquet" in refusal("cot", folders)
