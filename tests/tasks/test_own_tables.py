"""A user's own rows beyond JSON lines: Parquet, Arrow, saved data sets, conversations; and what is
refused."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openflan.errors import InputError
from openflan.tasks import records as records_module
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.recent_blocks import RecentBlocks
from openflan.tasks.sources import find_submixture, open_submixture
from openflan.tasks.table_files import open_table
from openflan.tasks.task import Row, Task

Rows = Sequence[Mapping[str, Any]]
WORDED = [{"inputs": f"Caf\u00e9 {number}\u2028", "targets": f"answer {number}"} for number in range(50)]


def parquet(path: Path, rows: Rows, group: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=group)
    return path


def arrow(path: Path, rows: Rows, stream: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(rows))
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=8)
    return path


def jsonl(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def only(data: Path) -> Task:
    (task,) = open_submixture("mine", data).values()
    return task


def rows_of(task: Task) -> list[Row]:
    return [task.rows[index] for index in range(len(task.rows))]


def refusal(data: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_submixture("mine", data)
    return str(caught.value)


# Tables


@pytest.mark.parametrize("kind", ["parquet", "file", "stream", "jsonl"])
def test_a_table_gives_the_rows_that_json_lines_give(tmp_path: Path, kind: str) -> None:
    rows = [
        {"question": f"{index}?", "answer": index, "options": [str(index), "other"], "weight": 0.5}
        for index in range(30)
    ]
    path = tmp_path / f"quiz.{'arrow' if kind in ('file', 'stream') else kind}"
    {"parquet": parquet, "jsonl": jsonl}.get(kind, arrow)(
        path, rows, **({"stream": kind == "stream"} if path.suffix == ".arrow" else {})
    )
    task = only(path)
    assert (task.name, task.fields) == ("mine/quiz", {"question", "answer", "options", "weight"})
    assert rows_of(task) == [{**row, "answer": str(row["answer"]), "weight": "0.5"} for row in rows]


def test_rows_are_found_in_any_order_across_shards_and_row_groups(tmp_path: Path) -> None:
    parquet(tmp_path / "big/part-0.parquet", WORDED[:20])
    parquet(tmp_path / "big/part-1.parquet", WORDED[20:21])
    parquet(tmp_path / "big/part-2.parquet", WORDED[21:])
    task = only(tmp_path / "big")
    order = [*range(50)] * 2
    random.Random(0).shuffle(order)
    assert [task.rows[index] for index in order] == [WORDED[index] for index in order]
    for index in (-1, 50):
        with pytest.raises(IndexError):
            task.rows[index]


def test_only_recent_row_groups_are_kept(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "rows.parquet",
        [{"inputs": "x" * 100_000, "targets": str(number)} for number in range(100)],
        group=10,
    )
    order = [*range(100), *range(99, -1, -1)]
    held = {}
    for max_bytes in (1, 2_500_000, 100_000_000):
        records = ColumnRecords([open_table(path)], recent=RecentBlocks(max_bytes))
        before = pa.total_allocated_bytes()
        assert [records[index]["targets"] for index in order] == [str(index) for index in order]
        held[max_bytes] = pa.total_allocated_bytes() - before
    # A row group takes a megabyte.
    assert held[1] < 1_500_000
    assert held[2_500_000] < 3_500_000
    assert held[100_000_000] > 9_000_000


@pytest.mark.parametrize("below", [".", "data", "train", "default/train"])
def test_a_hub_copy_is_read_from_the_folder_that_holds_its_training_rows(tmp_path: Path, below: str) -> None:
    parquet(tmp_path / "copy" / below / "train-00000-of-00001.parquet", WORDED[:3])
    parquet(tmp_path / "copy" / below / "test-00000-of-00001.parquet", WORDED[3:5])
    (tmp_path / "copy/README.md").write_text("a card")
    with pytest.warns(UserWarning, match="1 file left aside and not trained on.*test-00000-of-00001.parquet"):
        assert rows_of(only(tmp_path / "copy")) == WORDED[:3]


def test_columns_that_are_no_fields_are_left_out(tmp_path: Path) -> None:
    row = {"inputs": "a", "targets": "b", "flag": True, "meta": {"x": 1}, "tags": ["c"], "blob": b"d", "n": 3}
    task = only(parquet(tmp_path / "rows.parquet", [row]))
    assert rows_of(task) == [{"inputs": "a", "targets": "b", "n": "3"}]


def test_a_folder_that_save_to_disk_wrote_is_read(tmp_path: Path) -> None:
    arrow(tmp_path / "saved/data-00000-of-00002.arrow", WORDED[:10], stream=True)
    arrow(tmp_path / "saved/data-00001-of-00002.arrow", WORDED[10:], stream=True)
    arrow(tmp_path / "saved/cache-123.arrow", WORDED[:1], stream=True)
    state = {"_data_files": [{"filename": f"data-0000{number}-of-00002.arrow"} for number in range(2)]}
    (tmp_path / "saved/state.json").write_text(json.dumps(state))
    assert rows_of(only(tmp_path / "saved")) == WORDED
    (tmp_path / "saved/state.json").write_text(
        json.dumps({**state, "_indices_data_files": [{"filename": "indices.arrow"}]})
    )
    assert "call `flatten_indices()` before `save_to_disk`" in refusal(tmp_path / "saved")
    (tmp_path / "saved/state.json").write_text("{}")
    assert "state.json does not name its files" in refusal(tmp_path / "saved")


def test_what_datasets_saves_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra `data` (datasets) is not installed")
    datasets.disable_progress_bars()
    dataset = datasets.Dataset.from_list(WORDED)
    dataset.select([4, 2, 0]).save_to_disk(tmp_path / "some")
    datasets.DatasetDict(train=dataset, test=dataset.select([1])).save_to_disk(
        tmp_path / "splits", num_shards={"train": 2, "test": 1}
    )
    datasets.DatasetDict(test=dataset).save_to_disk(tmp_path / "untrained")
    assert rows_of(only(tmp_path / "some")) == [WORDED[4], WORDED[2], WORDED[0]]
    with pytest.warns(UserWarning, match="left aside and not trained on.*: test;"):
        assert rows_of(only(tmp_path / "splits")) == WORDED
    assert "with the splits test and no train" in refusal(tmp_path / "untrained")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"input": "a", "target": "b"}],
            (
                ": found the fields `input`, `target`; expected those of a known format, of which "
                "inputs-targets (inputs, targets) is nearest"
            ),
        ),
        (
            [{"answer": "a", "b": "c"}, {"answer": None, "b": "c"}],
            ", row 1: missing `answer` (absent, null, NaN or infinite)",
        ),
        (
            [{"answer": "a"}, {"answer": " "}, {"answer": ""}],
            ", row 1: empty `answer`, as in 1 more of 3 rows; there is nothing to learn from them",
        ),
        ([{"answer": "a", "options": ["b"]}], ", row 0: the answer `a` is not among its options ['b']"),
        ([{"answer": True}], ", row 0: `answer` is true or false; expected a text"),
    ],
)
def test_a_bad_table_is_named_by_file_and_row(tmp_path: Path, rows: Rows, message: str) -> None:
    path = parquet(tmp_path / "rows.parquet", rows)
    assert f"{path}{message}" in refusal(path)


def test_rows_are_counted_within_their_shard(tmp_path: Path) -> None:
    parquet(tmp_path / "two/a.parquet", WORDED[:20])
    parquet(tmp_path / "two/b.parquet", [*WORDED[:9], {"inputs": "a", "targets": None}])
    assert f"{tmp_path}/two/b.parquet, row 9: missing `targets`" in refusal(tmp_path / "two")


def test_damaged_empty_and_ill_matched_tables_are_named(tmp_path: Path) -> None:
    for suffix in ("parquet", "arrow"):
        (tmp_path / f"bad.{suffix}").write_bytes(b"no table at all")
        assert f"bad.{suffix}: cannot be read as {suffix}" in refusal(tmp_path / f"bad.{suffix}")
    empty = tmp_path / "empty.parquet"
    pq.write_table(
        pa.table({"inputs": pa.array([], pa.string()), "targets": pa.array([], pa.string())}), empty
    )
    assert refusal(empty) == f"{empty}: a table without rows; expected one example a row"
    parquet(tmp_path / "two/a.parquet", WORDED[:2])
    parquet(tmp_path / "two/b.parquet", [{"inputs": "a"}])
    assert f"{tmp_path}/two/b.parquet, row 0: missing `targets`" in refusal(tmp_path / "two")


def test_files_of_several_kinds_in_a_folder_are_tasks_of_their_own(tmp_path: Path) -> None:
    parquet(tmp_path / "mixed/a.parquet", WORDED)
    jsonl(tmp_path / "mixed/b.jsonl", WORDED)
    assert sorted(open_submixture("mine", tmp_path / "mixed")) == ["mine/b", "mine/mixed"]


@pytest.mark.parametrize("kinds", [("parquet", "arrow"), ("train.jsonl", "train.parquet")])
def test_the_same_rows_twice_in_a_folder_are_refused(tmp_path: Path, kinds: tuple[str, str]) -> None:
    for kind in kinds:
        write = {"parquet": parquet, "arrow": arrow, "jsonl": jsonl}[kind.rpartition(".")[2]]
        write(tmp_path / f"mixed/{kind if '.' in kind else f'rows.{kind}'}", WORDED)
    assert "its task would be named `mine/mixed`, as that of" in refusal(tmp_path / "mixed")


# JSON lines of unusual size and content


def test_a_row_of_ten_megabytes_is_read(tmp_path: Path) -> None:
    rows = [WORDED[0], {"inputs": "a" * 10_000_000, "targets": "b"}, WORDED[1]]
    assert rows_of(only(jsonl(tmp_path / "long.jsonl", rows))) == rows


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"inputs": "a", "targets": "caf\xe9"}', "not UTF-8 (byte 0xe9 at column 32)"),
        (b'{"inputs": "\\ud83d", "targets": "b"}', "holds half of a surrogate pair"),
        (
            b'{"inputs": "a", "targets": "b", "n": ' + b"9" * 5_000 + b"}",
            "holds a whole number of more than 4,300 digits",
        ),
    ],
)
def test_lines_that_cannot_be_text_are_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(b'{"inputs": "caf\xc3\xa9", "targets": "b"}\n' * 20 + line + b"\n")
    assert f"{path}:21: {message}" in refusal(path)


def test_empty_answers_are_counted(tmp_path: Path) -> None:
    rows = [{"inputs": "a", "targets": "" if number % 4 == 3 else "b"} for number in range(4_000)]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    assert refusal(path) == (
        f"{path}:4: empty `targets`, as in 999 more of 4,000 rows; there is nothing to learn from them, "
        "remove them"
    )


def test_only_chosen_tasks_are_opened(tmp_path: Path) -> None:
    jsonl(tmp_path / "good.jsonl", WORDED)
    (tmp_path / "broken.jsonl").write_text("{")
    assert list(open_submixture("mine", tmp_path, ["mine/good"])) == ["mine/good"]
    openers = find_submixture("mine", tmp_path)
    assert sorted(openers) == ["mine/broken", "mine/good"]
    assert len(openers["mine/good"]().rows) == 50
    with pytest.raises(InputError, match=r"broken\.jsonl:1: not valid JSON"):
        openers["mine/broken"]()


# Conversations


def said(*turns: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


@pytest.mark.parametrize(
    ("row", "inputs", "targets"),
    [
        (said(("user", " Hello? "), ("assistant", "  Hi.\n")), " Hello? ", "  Hi.\n"),
        (said(("system", "Be kind."), ("user", "Hello?"), ("assistant", "Hi.")), "Be kind.\n\nHello?", "Hi."),
        (
            said(
                ("system", "Be kind."),
                ("user", "Hello?"),
                ("assistant", "Hi."),
                ("user", "And?"),
                ("assistant", "Well."),
                ("user", "Bye"),
            ),
            "Be kind.\n\nUser: Hello?\n\nAssistant: Hi.\n\nUser: And?\n\nAssistant:",
            "Well.",
        ),
        (
            said(
                ("user", [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]),
                ("assistant", "Hi."),
            ),
            "One\ntwo",
            "Hi.",
        ),
    ],
)
def test_a_conversation_asks_for_its_last_answer(
    tmp_path: Path, row: dict[str, Any], inputs: str, targets: str
) -> None:
    task = only(jsonl(tmp_path / "chat.jsonl", [{"id": 7, "source": None, **row}]))
    (found,) = rows_of(task)
    assert (found["inputs"], found["targets"]) == (inputs, targets)
    # A single turn says all of its conversation.
    assert ("conversation" in task.fields) == (len(row["messages"]) > 2)


def test_conversations_of_a_table_are_read(tmp_path: Path) -> None:
    rows = [
        {**said(("user", f"{index}?"), ("assistant", f"{index}!")), "id": str(index)} for index in range(20)
    ]
    assert rows_of(only(parquet(tmp_path / "chat.parquet", rows))) == [
        {"inputs": f"{index}?", "targets": f"{index}!"} for index in range(20)
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": []}, "`messages` must be a list of {role, content}; found []"),
        ({"messages": "Hi"}, '`messages` must be a list of {role, content}; found "Hi"'),
        ({"messages": ["Hi"]}, '`messages[0]` must be an object {role, content}; found "Hi"'),
        (
            said(("human", "a"), ("assistant", "b")),
            '`messages[0].role` must be system, developer, user, assistant or tool; found "human"',
        ),
        (said(("user", None), ("assistant", "b")), "`messages[0].content` must be a text; found null"),
        (said(("user", [{"type": "image"}]), ("assistant", "b")), "`messages[0].content` must be a text"),
        (said(("user", " "), ("assistant", "b")), "`messages[0]` is empty"),
        (said(("user", "a")), "has no message of the assistant"),
        (said(("assistant", "a")), "has no user's message before the assistant's last"),
        (
            said(("user", "a"), ("system", "c"), ("assistant", "b")),
            "`messages[1]` is of the system; only the first may be",
        ),
        (said(("user", "a"), ("assistant", "")), "empty `messages[1]`; there is nothing to learn from it"),
    ],
)
def test_a_conversation_that_makes_no_sense_is_named_by_line(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    path = jsonl(tmp_path / "chat.jsonl", [said(("user", "a"), ("assistant", "b")), row])
    assert f"{path}:2: " in refusal(path)
    assert message in refusal(path)


# Progress and documentation


@pytest.mark.parametrize("long", [1, 10**9])
def test_a_long_source_is_read_as_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], long: int
) -> None:
    monkeypatch.setattr(records_module, "LONG", long)
    assert rows_of(only(jsonl(tmp_path / "rows.jsonl", WORDED))) == WORDED
    assert capsys.readouterr() == ("", "")  # progress is for terminals


def test_the_way_from_parquet_to_arrow_in_the_documentation_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
    (code,) = [block.removeprefix("python\n") for block in text.split("```") if block.startswith("python\n")]
    parquet(tmp_path / "rows.parquet", WORDED)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/data.md", "exec"), {})  # noqa: S102
    assert rows_of(only(tmp_path / "rows.arrow")) == WORDED


def test_the_rows_in_the_documentation_are_read(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs"
    text = "".join((docs / name).read_text(encoding="utf-8") for name in ("data.md", "collection-data.md"))
    blocks = [block.removeprefix("json\n") for block in text.split("```") if block.startswith("json\n")]
    assert len(blocks) == 5
    for index, block in enumerate(blocks):
        path = tmp_path / f"{index}.{'json' if 'Instances' in block else 'jsonl'}"
        path.write_text(block, encoding="utf-8")
        assert len(only(path).rows) == 1
