"""Rows as people have them: which format a file has is told by the fields of all its rows, named, and never
guessed."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from row_forms import CHAT_FORMS, TEXT_FORMS, only, pairs_of, rows_of, said, write

from openflan.errors import InputError
from openflan.tasks.formats.conversations import ROLES, from_messages, from_sharegpt
from openflan.tasks.formats.reading import make_reading
from openflan.tasks.rows import BadRow

CASES = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared")) / "cases"
NEEDS_CASES = pytest.mark.skipif(
    not CASES.is_dir(), reason="the shared cases are not at hand (OPENFLAN_SHARED)"
)
PAIRS = [(f"Capital {number}?", f"City {number}") for number in range(6)]


def refusal(data: Path, form: str | None = None, columns: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        only(data, make_reading(form, columns))
    return str(caught.value)


@NEEDS_CASES
@pytest.mark.parametrize(
    ("name", "form", "first"),
    [
        (
            "alpaca.json",
            "alpaca (instruction, input, output)",
            ("Name the capital of Norway.\n\nAnswer with one word.", "Oslo"),
        ),
        (
            "alpaca.jsonl",
            "alpaca (instruction, input, output)",
            ("Name the capital of Norway.\n\nAnswer with one word.", "Oslo"),
        ),
        (
            "prompt_completion.jsonl",
            "prompt-completion (prompt, completion)",
            ("Capital of Norway:", " Oslo"),
        ),
        (
            "prompt_completion_chat.jsonl",
            "prompt-completion (prompt, completion)",
            ("Capital of Norway?", "Oslo"),
        ),
        ("preference.jsonl", "preference (prompt, chosen, rejected)", ("Capital of Norway?", "Oslo")),
        (
            "qa.csv",
            "question-answer (question, answer)",
            ("What is the capital of Norway, in one word?", "Oslo"),
        ),
        ("qa.tsv", "question-answer (question, answer)", ("What is the capital of Norway?", "Oslo")),
        ("rows.ndjson", "inputs-targets (inputs, targets)", ("Capital of Norway?", "Oslo")),
        ("ROWS.JSONL", "inputs-targets (inputs, targets)", ("Capital of Norway?", "Oslo")),
        ("array.json", "inputs-targets (inputs, targets)", ("Capital of Norway?", "Oslo")),
        ("trailing_blank.jsonl", "inputs-targets (inputs, targets)", ("Capital of Norway?", "Oslo")),
        ("side_columns.jsonl", "inputs-targets (inputs, targets)", ("Capital of Norway?", "Oslo")),
    ],
)
def test_files_as_people_have_them_are_read(name: str, form: str, first: tuple[str, str]) -> None:
    task = only(CASES / "formats" / name)
    assert (len(task.rows), task.form, pairs_of(task)[0]) == (12, form, first)


@NEEDS_CASES
@pytest.mark.parametrize("name", ["sharegpt", "alpaca_system"])
def test_conversations_keep_their_system_message_and_their_turns(name: str) -> None:
    task = only(CASES / f"formats/{name}.jsonl")
    assert task.finished
    assert len(task.rows) == 12
    inputs = str(task.rows[0]["inputs"])
    assert inputs.startswith("You answer briefly.")
    assert ("Oslo" in inputs) == (name == "sharegpt")
    assert ("Ask me about capitals." in inputs) == (name == "alpaca_system")


def test_the_empty_input_of_an_alpaca_row_adds_nothing(tmp_path: Path) -> None:
    rows = [{"instruction": "Add.", "input": value, "output": "2"} for value in ("", " ", None, "1 + 1", 11)]
    assert [row["inputs"] for row in rows_of(only(write(tmp_path / "a.jsonl", rows)))] == [
        "Add.",
        "Add.",
        "Add.",
        "Add.\n\n1 + 1",
        "Add.\n\n11",
    ]


@pytest.mark.parametrize("form", TEXT_FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_matter(tmp_path: Path, form: str, seed: int) -> None:
    """More rows than are looked at first, and only one of them with every field."""
    rows: list[dict[str, Any]] = [TEXT_FORMS[form](f"{number}?", f"{number}!") for number in range(400)]
    for row in rows[1:]:
        row.update(note=None)
    rows[0].update(label="x", tags=[1, None], ok=True, meta={"a": []})
    random.Random(seed).shuffle(rows)
    task = only(write(tmp_path / "rows.jsonl", rows))
    assert task.form is not None
    assert task.form.startswith(form)
    assert len(task.rows) == 400


@pytest.mark.parametrize("position", [0, 1, 399])
def test_one_row_with_history_makes_the_file_one_of_conversations(tmp_path: Path, position: int) -> None:
    rows: list[dict[str, Any]] = [{"instruction": f"{number}?", "output": "a"} for number in range(400)]
    rows[position]["history"] = [["Hello?", "Hello."]]
    task = only(write(tmp_path / "rows.jsonl", rows))
    assert task.finished
    assert str(task.rows[position]["inputs"]).startswith("User: Hello?\n\nAssistant: Hello.")
    assert task.rows[(position + 1) % 400]["inputs"] == f"{(position + 1) % 400}?"


@pytest.mark.parametrize("first", ["text", "messages"])
def test_prompts_that_are_texts_in_some_rows_and_messages_in_others_are_one_format(
    tmp_path: Path, first: str
) -> None:
    rows = [TEXT_FORMS["prompt-completion"]("a?", "b"), CHAT_FORMS["prompt-completion"]("c?", "d")]
    task = only(write(tmp_path / "rows.jsonl", rows if first == "text" else rows[::-1]))
    assert sorted(pairs_of(task)) == [("a?", "b"), ("c?", "d")]


@pytest.mark.parametrize("form", CHAT_FORMS)
@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet", "arrow"])
def test_every_form_of_a_conversation_is_the_same_conversation(tmp_path: Path, form: str, kind: str) -> None:
    rows = [CHAT_FORMS[form](*pair) for pair in PAIRS]
    if form == "alpaca":
        rows = [{**row, "history": [["Hello?", "Hello."]]} for row in rows]
    task = only(write(tmp_path / f"rows.{kind}", rows))
    assert task.finished
    if form == "alpaca":
        assert str(task.rows[0]["inputs"]).endswith("User: Capital 0?\n\nAssistant:")
    else:
        assert pairs_of(task) == PAIRS


@pytest.mark.parametrize("speaker", ROLES)
@pytest.mark.parametrize("casing", [str.lower, str.title, str.upper])
def test_speakers_of_sharegpt_have_their_roles_in_any_spelling(speaker: str, casing: Any) -> None:
    turn = {"from": casing(speaker), "value": "a", "weight": 0}
    (message,) = from_sharegpt({"conversations": [turn]})["messages"]
    assert message == {"role": ROLES[speaker], "content": "a", "weight": 0}


def test_calls_of_tools_and_the_tools_themselves_reach_the_conversation() -> None:
    call = {"name": "look_up", "arguments": {"key": "Norway"}}
    record = {
        "system": "Be brief.",
        "tools": json.dumps([{"name": "look_up"}]),
        "conversations": [
            {"from": "human", "value": "Capital?"},
            {"from": "function_call", "value": json.dumps(call)},
            {"from": "observation", "value": "Oslo"},
            {"from": "gpt", "value": "Oslo"},
        ],
    }
    normal = from_sharegpt(record)
    assert normal["tools"] == [{"name": "look_up"}]
    assert [message["role"] for message in normal["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert normal["messages"][2] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"type": "function", "function": call}],
    }


def test_messages_of_openai_pass_as_they_are() -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        said("user", "  indented"),
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "x"},
        {"role": "assistant", "content": "y", "weight": 0, "reasoning_content": "z"},
    ]
    normal = from_messages({"messages": messages, "tools": [{"type": "function"}], "note": 1})
    assert normal == {"messages": messages, "tools": [{"type": "function"}]}
    null_columns = [{**message, "name": None} for message in messages]
    assert from_messages({"messages": null_columns, "tools": None}) == {"messages": messages}


# What is refused


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        (("inputs", "targets", "prompt", "completion"), ("inputs-targets", "prompt-completion")),
        (("instruction", "output", "messages"), ("alpaca", "messages")),
        (("question", "answer", "conversations"), ("question-answer", "sharegpt")),
        (("chosen", "rejected", "prompt", "completion"), ("prompt-completion", "preference")),
        (("inputs", "targets", "question", "answer"), ("inputs-targets", "question-answer")),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet", "json"])
def test_a_file_that_fits_two_formats_is_refused_with_both_names(
    tmp_path: Path, fields: tuple[str, ...], names: tuple[str, str], kind: str
) -> None:
    path = write(tmp_path / f"rows.{kind}", [dict.fromkeys(fields, "a")] * 2)
    message = refusal(path)
    assert message.startswith(f"{path}: its fields fit two formats, {names[0]} (")
    assert f"`--format {names[0]}` or `--format {names[1]}`" in message


@pytest.mark.parametrize("split", [1, 250])
def test_two_formats_in_one_file_are_noticed_wherever_the_second_begins(tmp_path: Path, split: int) -> None:
    rows = [TEXT_FORMS["inputs-targets"]("a", "b")] * split + [TEXT_FORMS["alpaca"]("a", "b")] * 300
    path = write(tmp_path / "rows.jsonl", rows)
    assert "its fields fit two formats, inputs-targets (inputs, targets) and alpaca" in refusal(path)


def test_the_named_format_decides_and_null_columns_fit_nothing(tmp_path: Path) -> None:
    both = {**TEXT_FORMS["inputs-targets"]("a", "b"), **TEXT_FORMS["alpaca"]("c", "d")}
    path = write(tmp_path / "rows.jsonl", [both])
    assert pairs_of(only(path, make_reading("inputs-targets", None))) == [("a", "b")]
    assert pairs_of(only(path, make_reading("alpaca", None))) == [("c", "d")]
    assert pairs_of(only(path, make_reading(None, "inputs=instruction,targets=output"))) == [("c", "d")]
    empty = {**TEXT_FORMS["inputs-targets"]("a", "b"), "prompt": None, "completion": None}
    assert pairs_of(only(write(tmp_path / "empty.jsonl", [empty]))) == [("a", "b")]


TRANSLATED: list[tuple[str, str, Mapping[str, str]]] = [
    ("inputs-targets", "inputs=Eingabe,targets=Ausgabe", {"inputs": "Eingabe", "targets": "Ausgabe"}),
    ("question-answer", "question=pregunta,answer=réponse", {"question": "pregunta", "answer": "réponse"}),
    ("alpaca", "instruction=指示,output=出力", {"instruction": "指示", "output": "出力"}),
    (
        "prompt-completion",
        "prompt=in.text,completion=out text",
        {"prompt": "in.text", "completion": "out text"},
    ),
]


@pytest.mark.parametrize(("form", "columns", "names"), TRANSLATED)
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet"])
def test_translated_columns_are_read_through_a_map_and_never_guessed(
    tmp_path: Path, form: str, columns: str, names: Mapping[str, str], kind: str
) -> None:
    rows = [{names[key]: value for key, value in TEXT_FORMS[form](*pair).items()} for pair in PAIRS]
    path = write(tmp_path / f"rows.{kind}", rows)
    message = refusal(path)
    assert all(f"`{name}`" in message for name in names.values())
    ready = re.search(r"`--map '?([^`']+)'?`", message)
    assert ready is not None
    assert len(only(path, make_reading(None, ready[1])).rows) == len(PAIRS)
    task = only(path, make_reading(None, columns))
    assert pairs_of(task) == PAIRS
    assert task.form is not None
    assert task.form.startswith(f"{form} (")
    assert columns.split(",")[0] in task.form


def test_columns_of_any_name_are_read_through_a_mapping(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"a=b": "question?", "c, d": "answer"}])
    ready = re.search(r"`columns: (.+)` in a recipe", refusal(path))
    assert ready is not None
    assert pairs_of(only(path, make_reading(None, json.loads(ready[1])))) == [("question?", "answer")]


def test_a_map_may_read_a_list_or_a_conversation_of_another_name(tmp_path: Path) -> None:
    quiz = [{"question": "a?", "answer": "b", "choices": ["b", "c"]}]
    task = only(write(tmp_path / "quiz.parquet", quiz), make_reading(None, "options=choices"))
    assert rows_of(task) == [{"question": "a?", "answer": "b", "options": ["b", "c"]}]
    chats = [{"dialogue": [said("user", "a"), said("assistant", "b")]}]
    for kind in ("parquet", "jsonl"):
        path = write(tmp_path / f"chats.{kind}", chats)
        assert "messages (messages) is nearest" in refusal(path)
        assert pairs_of(only(path, make_reading(None, "messages=dialogue"))) == [("a", "b")]


@pytest.mark.parametrize(
    ("form", "columns", "message"),
    [
        ("alpacca", None, "there is no format `alpacca`; did you mean `alpaca`?"),
        ("messages", None, "the format messages (messages) needs `messages`; found the fields `inputs`"),
        (
            None,
            "inputs=prompt",
            "no row has the column `prompt`, which `inputs=prompt` names; found `inputs`",
        ),
        (None, "inputs=inpts,targets=targets", "did you mean `inputs`?"),
        (None, "inputs:prompt", "is no map of columns; expected FIELD=COLUMN pairs"),
        (None, "inputs=a,inputs=b", "names the field `inputs` twice"),
        (None, "inputs=a,targets=a", "names the column `a` twice"),
        (None, "inputs=a=b", "names with `,` or `=` in them: `columns:` in a recipe"),
    ],
)
def test_a_wrong_format_or_map_is_one_clear_error(
    tmp_path: Path, form: str | None, columns: str | None, message: str
) -> None:
    path = write(tmp_path / "rows.jsonl", [{"inputs": "a", "targets": "b"}])
    assert message in refusal(path, form, columns)


MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    ("alpaca", {"instruction": "a", "output": None}, "missing `output`"),
    ("alpaca", {"instruction": None, "output": "b"}, "missing `instruction`"),
    ("alpaca", {"instruction": "a", "output": ["b"]}, "`output` is a list; expected a text"),
    ("alpaca", {"instruction": "a", "output": "b", "input": {"x": 1}}, "`input` is an object"),
    ("alpaca", {"instruction": "a", "output": "b", "history": "x"}, "`history` must be a list of pairs"),
    ("alpaca", {"instruction": "a", "output": "b", "history": [["x"]]}, "`history[0]` must be a pair"),
    (
        "sharegpt",
        {"conversations": [{"from": "narrator", "value": "a"}]},
        '`conversations[0].from` is "narrator"',
    ),
    ("sharegpt", {"conversations": ["a"]}, "`conversations[0]` must be an object"),
    ("sharegpt", {"conversations": []}, "`conversations` must be a list of"),
    ("sharegpt", {"conversations": None}, "missing `conversations`"),
    (
        "sharegpt",
        {"conversations": [{"from": "function_call", "value": "look up"}]},
        "`conversations[0].value` must be a call",
    ),
    (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "a"}], "tools": {"a": 1}},
        "`tools` must be a list of tools",
    ),
    ("messages", {"messages": None}, "missing `messages`"),
    ("messages", {"messages": "Hi"}, "`messages` must be a list of"),
    ("messages", {"messages": [said("narrator", "a")]}, "`messages[0].role`"),
    ("prompt-completion", {"prompt": "a", "completion": ""}, "empty `completion`"),
    ("prompt-completion", {"prompt": True, "completion": "b"}, "`prompt` is true or false"),
    ("preference", {"prompt": "a", "chosen": " ", "rejected": "c"}, "empty `chosen`"),
    ("preference", {"chosen": "a", "rejected": "c"}, "missing `prompt`"),
    ("inputs-targets", {"targets": "b"}, "missing `inputs`"),
    ("question-answer", {"question": "a", "answer": {"x": 1}}, "`answer` is an object"),
]


@pytest.mark.parametrize(("form", "row", "message"), MALFORMED)
def test_a_malformed_row_is_named_by_file_and_row(
    tmp_path: Path, form: str, row: dict[str, Any], message: str
) -> None:
    good = (TEXT_FORMS.get(form) or CHAT_FORMS[form])("a?", "b")
    for kind, place in (("jsonl", ":3: "), ("json", ", row 2: ")):
        path = write(tmp_path / f"rows.{kind}", [good, good, row, good])
        found = refusal(path)
        assert found.startswith(f"{path}{place}")
        assert message in found
        assert "\n" not in found


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_a_missing_field_is_named_with_its_row_and_the_number_of_such_rows(tmp_path: Path, kind: str) -> None:
    rows = [{"inputs": "a", "targets": "b"}, *[{"inputs": None, "targets": "b"}] * 3]
    message = refusal(write(tmp_path / f"rows.{kind}", rows))
    assert "missing `inputs` (absent or null), as in 2 more of 4 rows; give the rows one" in message


def test_a_bad_row_is_an_error_of_its_own() -> None:
    """The negative control of the messages above: the same turn with a known speaker is fine."""
    assert from_sharegpt({"conversations": [{"from": "human", "value": "a"}]})["messages"]
    with pytest.raises(BadRow):
        from_sharegpt({"conversations": [{"from": "narrator", "value": "a"}]})
