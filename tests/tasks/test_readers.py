"""Readers of lines, chain-of-thought files and natural instructions: rows, and errors for a broken file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reader_files import GOOD, File, custom_rows, document, refusal

from openflan.tasks.cot import DATASETS, CotRows, find_cot
from openflan.tasks.lines import Lines
from openflan.tasks.natural_instructions import find_natural_instructions
from openflan.tasks.records import JsonRecords
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))

REAL_COT = {
    "aqua": 2728,
    "creak": 6915,
    "ecqa": 7112,
    "gsm8k": 7473,
    "qasc": 1084,
    "sensemaking": 6070,
    "strategyqa": 2061,
}


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file below the test's folder and gives its path."""

    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def cot_tasks(data: Path) -> dict[str, Task]:
    return {name: opener() for name, opener in find_cot(data).items()}


def natural_instructions_tasks(data: Path, submixture: str = "niv2") -> dict[str, Task]:
    return {name: opener() for name, opener in find_natural_instructions(data, submixture).items()}


# Lines


@settings(deadline=None)
@given(
    lines=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\n")).filter(
            lambda text: not text.endswith("\r")
        ),
        min_size=1,
    ),
    last=st.booleans(),
)
def test_lines_end_at_newlines_and_nowhere_else(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], last: bool
) -> None:
    lines = ["first", *lines, "end"]
    for ending in ("\n", "\r\n"):
        path = tmp_path_factory.getbasetemp() / "lines.txt"
        path.write_bytes((ending.join(lines) + (ending if last else "")).encode())
        read = Lines(path)
        assert [read[index] for index in range(len(read))] == lines
        assert read.place(1) == f"{path}:2"


def test_a_byte_order_mark_is_no_part_of_the_first_line(file: File) -> None:
    assert Lines(file("marked.txt", b"\xef\xbb\xbfone\ntwo\n"))[0] == "one"
    assert CotRows(file("marked.tsv", b"\xef\xbb\xbf" + GOOD))[0]["question"] == "How many?"
    assert custom_rows(file("marked.jsonl", b'\xef\xbb\xbf{"inputs": "a", "targets": "b"}\n'))[0] == {
        "inputs": "a",
        "targets": "b",
    }


# Chain-of-thought files


def test_tsv_fields_are_kept_as_they_are_but_for_escaped_newlines(file: File) -> None:
    rows = CotRows(
        file(
            "gsm8k_train.tsv",
            'He said "no"\u2028and\u0085left\tit\'s "4"\tFirst.\\nThen: a\\\\nb\n"open\tyes\t  why \n',
        )
    )
    assert len(rows) == 2
    assert rows[0] == {
        "question": 'He said "no"\u2028and\u0085left',
        "answer": 'it\'s "4"',
        "rationale": "First.\nThen: a\nb",
    }
    assert rows[1] == {"question": '"open', "answer": "yes", "rationale": "why"}


@pytest.mark.parametrize(
    "content",
    [
        GOOD + GOOD,
        (GOOD + GOOD).replace(b"\n", b"\r\n"),
        GOOD + GOOD.rstrip(b"\n"),
        (GOOD + GOOD).replace(b"\n", b"\r\n")[:-2],
    ],
)
def test_line_endings_do_not_matter(file: File, content: bytes) -> None:
    rows = CotRows(file("gsm8k_train.tsv", content))
    assert [rows[index] for index in range(len(rows))] == [
        {"question": "How many?", "answer": "four", "rationale": "Two and two."}
    ] * 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b"question\tanswer",
            ":3: 2 columns, expected 3 (question, answer, rationale). Separate columns with one tab",
        ),
        (b"question", ":3: 1 column, expected 3"),
        (b"a\tb\tc\td", ":3: 4 columns, expected 3"),
        (b"", ":3: 1 column, expected 3"),
        (b"question\t\trationale", ":3: empty answer; every row needs"),
        (b"  \tanswer\trationale", ":3: empty question"),
        (b"question\tanswer\t\\n", ":3: empty rationale"),
        (
            b"caf\xe9\tanswer\trationale",
            ":3: not UTF-8 (byte 0xe9 at column 4); convert the file with `iconv -t UTF-8`",
        ),
    ],
)
def test_a_broken_tsv_row_is_left_out_and_counted_and_named_where_no_other_is_left(
    file: File, line: bytes, message: str
) -> None:
    path = file("gsm8k_train.tsv", GOOD + GOOD + line + b"\n" + GOOD)
    task = cot_tasks(path)["cot/gsm8k"]
    assert (len(task.rows), task.refused, [task.rows[index]["answer"] for index in range(3)]) == (
        3,
        1,
        ["four"] * 3,
    )
    path.write_bytes(line + b"\n")
    assert f"{path}{message.replace(':3:', ':1:')}" in refusal(lambda: cot_tasks(path))
    assert str(path) + message in refusal(
        lambda: CotRows(file("x.tsv", GOOD + GOOD + line + b"\n"))[2]
    ).replace("x.tsv", "gsm8k_train.tsv")


@pytest.mark.parametrize("reader", [CotRows, JsonRecords])
def test_files_that_hold_nothing_are_named(
    file: File, tmp_path: Path, reader: Callable[[Path], object]
) -> None:
    empty = file("empty.tsv", b"")
    assert refusal(lambda: reader(empty)) == f"{empty}: empty file; expected one example a line"
    assert "no such file" in refusal(lambda: reader(tmp_path / "missing.tsv"))
    assert "not a file" in refusal(lambda: reader(tmp_path))


def test_a_folder_gives_a_task_for_each_dataset(file: File, tmp_path: Path) -> None:
    file("gsm8k_train.tsv", GOOD * 3)
    file("aqua_train.tsv", GOOD)
    file("notes.txt", b"not a task")
    tasks = cot_tasks(tmp_path)
    assert {name: len(task.rows) for name, task in tasks.items()} == {"cot/aqua": 1, "cot/gsm8k": 3}
    assert (tasks["cot/gsm8k"].category, tasks["cot/gsm8k"].dataset, tasks["cot/gsm8k"].submixture) == (
        DATASETS["gsm8k"],
        "gsm8k",
        "cot",
    )
    assert tasks["cot/gsm8k"].fields == set(tasks["cot/gsm8k"].rows[0])


def test_an_unknown_dataset_is_refused_with_the_nearest(file: File) -> None:
    assert "`gsmk8` is not one of the chain-of-thought datasets; did you mean `gsm8k`?" in refusal(
        lambda: cot_tasks(file("gsmk8_train.tsv", GOOD))
    )
    assert "`zzz` is not one of the chain-of-thought datasets: aqua, creak" in refusal(
        lambda: cot_tasks(file("zzz_train.tsv", GOOD))
    )


def test_the_datasets_are_the_nine_of_the_paper() -> None:
    assert set(DATASETS) == {
        "aqua",
        "creak",
        "ecqa",
        "esnli",
        "gsm8k",
        "qasc",
        "qed",
        "sensemaking",
        "strategyqa",
    }


@pytest.mark.skipif(
    not (SHARED / "data/cot").is_dir(),
    reason="the public chain-of-thought files are not at hand (OPENFLAN_SHARED)",
)
def test_the_public_chain_of_thought_files_are_read_whole() -> None:
    tasks = open_submixture("cot", SHARED / "data/cot")
    assert {name: len(task.rows) for name, task in tasks.items()} == {
        f"cot/{name}": rows for name, rows in REAL_COT.items()
    }
    quotes = 0
    for name in REAL_COT:
        rows = tasks[f"cot/{name}"].rows
        raw = (SHARED / f"data/cot/{name}_train.tsv").read_bytes().decode().split("\n")
        for index in range(len(rows)):
            row = rows[index]
            values = [str(value) for value in row.values()]
            assert not any("\\n" in value or "\t" in value for value in values), (name, index)
            # Apart from white space and the escapes, every character of the file is there.
            assert "".join("".join(values).split()) == "".join(
                raw[index].replace("\\\\n", " ").replace("\\n", " ").split()
            ), (name, index)
            quotes += sum(value.count('"') for value in values)
    assert quotes > 1_000


def test_natural_instructions_are_read_from_their_lists(file: File, tmp_path: Path) -> None:
    file("tasks/task007_sums.json", json.dumps(document()))
    (task,) = natural_instructions_tasks(tmp_path).values()
    assert (task.name, task.dataset, task.category, task.licence, task.languages) == (
        "niv2/task007_sums",
        "mathset",
        "question answering",
        "MIT",
        ("English", "Spanish"),
    )
    shared = {
        "definition": "Answer the question. Write a digit.",
        "positive_input": "1+1?",
        "positive_output": "2",
        "positive_explanation": "Sum.",
    }
    assert [task.rows[index] for index in range(len(task.rows))] == [
        {**shared, "question": "2+2?", "answer": "4", "references": ("4", "four")},
        {**shared, "question": "3+3?", "answer": "6", "references": ("6",)},
        {**shared, "question": "", "answer": "free text", "references": ("free text",)},
    ]
    assert task.fields == set(task.rows[0])


def test_tasks_that_share_a_number_are_told_apart_by_name(file: File, tmp_path: Path) -> None:
    file("task184_one.json", json.dumps(document()))
    file("task184_two.json", json.dumps(document(Source=["other"])))
    file("README.json", "not a task")
    assert {name: task.dataset for name, task in natural_instructions_tasks(tmp_path, "mine").items()} == {
        "mine/task184_one": "mathset",
        "mine/task184_two": "other",
    }


def test_what_a_task_file_may_lack_has_a_plain_stand_in(file: File) -> None:
    path = file(
        "task1_x.json", json.dumps({"Definition": "Say it.", "Instances": [{"input": "a", "output": "b"}]})
    )
    (task,) = natural_instructions_tasks(path).values()
    assert (task.dataset, task.category, task.licence, task.languages) == (
        "task1_x",
        "uncategorised",
        None,
        ("English",),
    )
    assert task.rows[0]["definition"] == "Say it."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"Definition": ["a"],\n "Instances": [}', ":2: not valid JSON"),
        ("[]", ": expected one JSON object with Definition, Categories and Instances"),
        (json.dumps(document(Definition=None)), ": `Definition` is missing or empty"),
        (json.dumps(document(Definition=[" "])), ": `Definition` is missing or empty"),
        (json.dumps(document(Definition=5)), ": `Definition` is missing or empty"),
        (json.dumps(document(Instances=[])), ": `Instances` is missing or empty"),
        (json.dumps(document(Instances={"a": 1})), ": `Instances` must be a list"),
        (
            json.dumps(document(Instances=[{}])),
            ": Instances[0]: must have `input` (text) and `output` (list of texts)",
        ),
        (json.dumps(document(Instances=["a"])), ": Instances[0]: must have"),
        (json.dumps(document(Instances=[{"input": "a", "output": [1]}])), ": Instances[0]: must have"),
        (
            json.dumps(document(Instances=[{"input": "a", "output": []}])),
            ": Instances[0]: has no output that is not empty",
        ),
        (
            json.dumps(document(Instances=[{"input": "a", "output": ["", " "]}])),
            ": Instances[0]: has no output that is not empty",
        ),
        (b'{"Definition": "caf\xe9"}', ": not UTF-8 (byte 19)"),
    ],
)
def test_a_broken_task_file_is_named(file: File, content: str | bytes, message: str) -> None:
    path = file("task001_x.json", content)
    assert f"{path}{message}" in refusal(lambda: natural_instructions_tasks(path))


def test_missing_task_files_are_named(tmp_path: Path) -> None:
    assert "no task*.json files; expected the `tasks` folder" in refusal(
        lambda: natural_instructions_tasks(tmp_path)
    )
    assert "no such file" in refusal(lambda: natural_instructions_tasks(tmp_path / "task1.json"))
