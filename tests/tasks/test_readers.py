"""Readers of the sources: what they give, and what a person is told about a file that is broken."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks.cot import DATASETS, CotRows, find_cot
from openflan.tasks.custom import find_jsonl
from openflan.tasks.lines import Lines
from openflan.tasks.natural_instructions import find_natural_instructions
from openflan.tasks.records import JsonRecords
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Row, Task, select

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
GOOD = b"How many?\tfour\tTwo and two.\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file below the test's folder and gives its path."""

    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


File = Callable[[str, bytes | str], Path]


def cot_tasks(data: Path) -> dict[str, Task]:
    return {name: opener() for name, opener in find_cot(data).items()}


def natural_instructions_tasks(data: Path, submixture: str = "niv2") -> dict[str, Task]:
    return {name: opener() for name, opener in find_natural_instructions(data, submixture).items()}


def jsonl_tasks(data: Path, submixture: str = "mine") -> dict[str, Task]:
    return {name: opener() for name, opener in find_jsonl(data, submixture).items()}


def custom_rows(path: Path) -> list[Row]:
    (task,) = jsonl_tasks(path).values()
    return [task.rows[index] for index in range(len(task.rows))]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


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


# Super-NaturalInstructions


def document(**changes: Any) -> dict[str, Any]:
    """A task file in the layout of the public release."""
    return {
        "Contributors": ["A. Person"],
        "Source": ["mathset"],
        "URL": ["https://example.org"],
        "Categories": ["Question Answering"],
        "Reasoning": ["Numerical Reasoning"],
        "Definition": ["Answer the question.", "Write a digit."],
        "Input_language": ["English"],
        "Output_language": ["Spanish"],
        "Instruction_language": ["English"],
        "Domains": ["Mathematics"],
        "Positive Examples": [{"input": "1+1?", "output": "2", "explanation": "Sum."}],
        "Negative Examples": [],
        "Instances": [
            {"id": "task7-1", "input": " 2+2?\n", "output": ["4", " four "]},
            {"id": "task7-1", "input": "3+3?", "output": ["6"]},
            {"id": "task7-2", "input": "", "output": "free text"},
        ],
        "Instance License": ["MIT"],
        **changes,
    }


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


# JSON lines


def test_own_rows_are_read_as_they_are(file: File) -> None:
    rows = [
        {"inputs": "Caf\u00e9\u2028\\n", "targets": " a\n"},
        {"inputs": "{targets}", "targets": "b", "extra": "c"},
    ]
    path = file("own.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert custom_rows(path) == rows
    assert jsonl_tasks(path)["mine/own"].fields == {"inputs", "targets", "extra"}


def test_numbers_become_texts_and_options_stay_lists(file: File) -> None:
    read = custom_rows(
        file(
            "own.jsonl",
            '{"question": "2+2?", "answer": 4, "options": ["4", "5"], "references": ["4"], "weight": 0.5}\n',
        )
    )
    assert read[0] == {
        "question": "2+2?",
        "answer": "4",
        "options": ["4", "5"],
        "references": ["4"],
        "weight": "0.5",
    }


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            '{"input": "a", "target": "b"}',
            ":1: found the fields `input`, `target`; expected inputs and targets, `messages`, or fields "
            "for wordings with an `answer`; "
            "rename `target` to `targets`?",
        ),
        ('{"question": "a", "answr": "b"}', "rename `answr` to `answer`?"),
        ('{"text": "a"}', ":1: found the fields `text`; expected inputs and targets"),
    ],
)
def test_rows_without_anything_to_learn_are_refused(file: File, first: str, message: str) -> None:
    assert message in refusal(lambda: custom_rows(file("own.jsonl", first + "\n")))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ('{"question": "a", "answer": "b"', "not valid JSON (Expecting"),
        ("", "not valid JSON (Expecting value at column 1)"),
        ('["a", "b"]', 'expected a JSON object such as {"inputs": ..., "targets": ...}'),
        ("{}", "expected a JSON object"),
        (
            '{"question": "a"}',
            "missing `answer` (absent, null, NaN or infinite); there is nothing to learn from it",
        ),
        ('{"question": "a", "answer": " "}', "empty `answer`; there is nothing to learn from it"),
        ('{"question": "a", "answer": null}', "missing `answer`"),
        ('{"question": "a", "answer": true}', "`answer` is true or false; expected a text"),
        ('{"question": {"a": 1}, "answer": "b"}', "`question` is an object; expected a text"),
        (
            '{"question": "a", "answer": ["b"]}',
            "`answer` is a list; expected a text (only options and references are lists)",
        ),
        (
            '{"question": "a", "answer": "b", "options": "abc"}',
            '`options` must be a list of texts; found "abc"',
        ),
        (
            '{"question": "a", "answer": "b", "options": [1, 2]}',
            "`options` must be a list of texts; found [1, 2]",
        ),
        ('{"question": "a", "answer": "b", "options": []}', "`options` must be a list of texts; found []"),
        (
            '{"question": "a", "answer": "b", "options": ["c", "bb"]}',
            "the answer `b` is not among its options ['c', 'bb']",
        ),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(file: File, second: str, message: str) -> None:
    path = file(
        "own.jsonl", f'{{"question": "a", "answer": "b"}}\n{second}\n{{"question": "c", "answer": "d"}}\n'
    )
    assert f"{path}:2: {message}" in refusal(lambda: custom_rows(path))


def test_options_of_rows_that_are_already_worded_are_of_no_concern(file: File) -> None:
    assert len(custom_rows(file("own.jsonl", '{"inputs": "a", "targets": "b", "options": ["c"]}\n'))) == 1


def test_each_file_is_a_task(file: File, tmp_path: Path) -> None:
    row = '{"inputs": "a", "targets": "b"}\n'
    file("quiz.jsonl", row * 2)
    file("my data (1).jsonl", row)
    tasks = jsonl_tasks(tmp_path, "mine")
    assert {name: len(task.rows) for name, task in tasks.items()} == {"mine/my_data__1_": 1, "mine/quiz": 2}
    assert list(jsonl_tasks(tmp_path / "quiz.jsonl", "mine")) == ["mine/quiz"]
    assert "cannot name a task" in refusal(lambda: jsonl_tasks(tmp_path, "Mine!"))


def test_files_whose_tasks_would_have_one_name_are_refused(file: File, tmp_path: Path) -> None:
    for name in ("a b.jsonl", "a_b.jsonl"):
        file(name, '{"inputs": "a", "targets": "b"}\n')
    message = refusal(lambda: jsonl_tasks(tmp_path, "mine"))
    assert "`mine/a_b`" in message
    assert "a b.jsonl" in message
    assert "a_b.jsonl" in message


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    assert "no .jsonl files" in refusal(lambda: jsonl_tasks(tmp_path, "mine"))


# Selection


class NoRows:
    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Row:
        raise IndexError(index)


def catalogue(*names: str) -> dict[str, Task]:
    return {name: Task(name, NoRows(), frozenset(), name, "none") for name in names}


TASKS = catalogue("cot/gsm8k", "cot/creak", "mine/gsm8k", "mine/quiz_1")


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["cot/*"], ["cot/gsm8k", "cot/creak"]),
        (["mine/quiz_1", "cot/creak"], ["cot/creak", "mine/quiz_1"]),
        (["*/gsm8k"], ["cot/gsm8k", "mine/gsm8k"]),
        (["creak"], ["cot/creak"]),
        (["mine/quiz_[0-9]", "mine/*"], ["mine/gsm8k", "mine/quiz_1"]),
        (["*"], list(TASKS)),
    ],
)
def test_patterns_select_in_the_catalogues_order(patterns: Sequence[str], names: list[str]) -> None:
    assert list(select(TASKS, patterns)) == names


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("cot/gsm8", "no task matches `cot/gsm8`; did you mean `cot/gsm8k`?"),
        ("creek", "no task matches `creek`; did you mean `creak`?"),
        ("Creak", "did you mean `creak`?"),
        ("zzz*", "no task matches `zzz*`; there are 4: cot/gsm8k, cot/creak"),
        ("gsm8k", "`gsm8k` is not unique: write one of cot/gsm8k, mine/gsm8k"),
    ],
)
def test_a_pattern_that_selects_nothing_definite_is_refused(pattern: str, message: str) -> None:
    assert message in refusal(lambda: select(TASKS, ["cot/creak", pattern]))


def test_a_long_catalogue_is_not_listed_in_full() -> None:
    assert refusal(lambda: select(catalogue(*(f"a/t{number}" for number in range(50))), ["zzz*"])).endswith(
        "there are 50: a/t0, a/t1, a/t2, a/t3, a/t4, ..."
    )


@pytest.mark.parametrize("name", ["gsm8k", "Cot/gsm8k", "cot/", "/gsm8k", "cot/a b", "cot/a/b", "cot/a\n"])
def test_a_task_has_a_proper_name(name: str) -> None:
    assert "cannot name a task: use submixture/name" in refusal(lambda: catalogue(name))


# Layouts


def test_the_layout_of_a_file_or_folder_tells_its_reader(file: File, tmp_path: Path) -> None:
    tsv = file("a/gsm8k_train.tsv", GOOD)
    task = file("b/task1_x.json", json.dumps(document()))
    own = file("c/own.jsonl", '{"inputs": "a", "targets": "b"}\n')
    file("d/tasks/task2_y.json", json.dumps(document()))
    for data in (tsv, tsv.parent):
        assert list(open_submixture("cot", data)) == ["cot/gsm8k"]
    for data in (task, task.parent):
        assert list(open_submixture("niv2", data)) == ["niv2/task1_x"]
    assert list(open_submixture("mine", tmp_path / "d")) == ["mine/task2_y"]
    for data in (own, own.parent):
        assert list(open_submixture("cot", data)) == ["cot/own"]


def test_patterns_select_within_a_source(file: File, tmp_path: Path) -> None:
    file("gsm8k_train.tsv", GOOD)
    file("aqua_train.tsv", GOOD)
    assert list(open_submixture("cot", tmp_path, ["aqua"])) == ["cot/aqua"]
    assert "did you mean `cot/aqua`?" in refusal(lambda: open_submixture("cot", tmp_path, ["cot/aqa"]))


def test_chain_of_thought_files_need_the_submixture_they_name(file: File) -> None:
    """Their tasks are called cot/..., so another submixture's rates and styles would not find them."""
    path = file("gsm8k_train.tsv", GOOD)
    for data in (path, path.parent):
        message = refusal(partial(open_submixture, "reasoning", data))
        assert message == (
            f"{data}: chain-of-thought files (*_train.tsv) belong to the submixture `cot`, found under "
            "`reasoning`; rename the submixture"
        )


@pytest.mark.parametrize("data", [Path("missing"), Path("missing.tsv"), Path("missing.jsonl")])
def test_missing_data_is_named_with_its_submixture(tmp_path: Path, data: Path) -> None:
    assert (
        refusal(lambda: open_submixture("mine", tmp_path / data))
        == f"{tmp_path / data}: no such file or folder (the data of submixture `mine`)"
    )


def test_an_unknown_layout_is_refused(file: File, tmp_path: Path) -> None:
    assert "unknown layout; expected *_train.tsv, task*.json, " in refusal(
        lambda: open_submixture("mine", file("rows.csv", "a,b\n"))
    )
    assert "unknown layout" in refusal(lambda: open_submixture("mine", tmp_path))


def test_a_folder_of_several_layouts_is_refused_rather_than_read_in_part(file: File, tmp_path: Path) -> None:
    file("gsm8k_train.tsv", GOOD)
    file("own.jsonl", '{"inputs": "a", "targets": "b"}\n')
    assert "holds *_train.tsv and *.jsonl; put each kind into a folder" in refusal(
        lambda: open_submixture("cot", tmp_path)
    )


def test_only_the_embedded_world_needs_no_data() -> None:
    tasks = open_submixture("microflan", None)
    assert tasks
    assert all(task.submixture == "microflan" for task in tasks.values())
    some = list(tasks)[3]
    assert list(open_submixture("microflan", None, [some])) == [some]
    assert (
        "submixture `cot` needs `data:` (a file or folder, or "
        "hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]); only microflan"
    ) in refusal(lambda: open_submixture("cot", None))
