"""The layout `chat`: ids are those of the tokenizer's own template, and every turn of the assistant is
learned with its end, but neither its header nor what others say."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from chat_templates import (
    CONTROL,
    DEAF,
    END,
    ENDED_TWICE,
    ENDLESS,
    KINDS,
    NO_SYSTEM,
    OTHER_LAST_END,
    PARTS,
    STABLE,
    THINKING,
    THOUGHTLESS,
    TOOLS,
    TOOLS_AS_TEXT,
    TRIMMING,
    byte_level,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.packing.chat_examples import conversation_counts, in_examples
from openflan.packing.encode import Encoded, Encoder, Limits
from openflan.tasks.chat import chat_row
from openflan.tasks.conversation import Conversation
from openflan.tasks.task import Task
from openflan.templates.render import Rendered
from openflan.templates.style import Style

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
CHATS = SHARED / "cases/chats"
LIMITS = Limits(4000, 4000, joint=True)


def said(*turns: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


TWO_TURNS = said(
    ("user", "Capital of Norway?"), ("assistant", "Oslo"), ("user", "Peru?"), ("assistant", "Lima")
)
CALL = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"key": "Norway"}'}}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
CALLING = {
    "tools": [TOOL],
    "messages": [
        {"role": "user", "content": "Capital of Norway?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "It is Oslo"},
        {"role": "assistant", "content": "Oslo"},
    ],
}


def examples_of(tokenizer: Any, *rows: dict[str, Any], learn: Any = "all", **settings: Any) -> list[Encoded]:
    """The examples of rows, as training gets them."""
    encoder = Encoder(tokenizer, LIMITS, layout="chat", learn=learn, **settings)
    assert encoder.tokenize.chat is not None
    task = in_examples({"own/chats": task_of(*rows)}, encoder.tokenize.chat)["own/chats"]
    return encoder.encode([rendered(task, number) for number in range(len(task.rows))])


def task_of(*records: dict[str, Any]) -> Task:
    rows = [chat_row(record) for record in records]
    fields = frozenset(name for row in rows for name in row)
    return Task("own/chats", rows, fields, dataset="chats", category="own data", finished=True)


def rendered(task: Task, number: int) -> Rendered:
    row: Any = task.rows[number]
    return Rendered(
        row["inputs"],
        row["targets"],
        answer="",
        task=task.name,
        row=number,
        style=Style(),
        wording="any",
        conversation=row.get("conversation"),
    )


def ids(example: Encoded) -> list[int]:
    return [*example.input_ids.tolist(), *example.target_ids.tolist()]


def learned(tokenizer: Any, example: Encoded) -> list[str]:
    """The learned parts of an example as texts."""
    assert example.learned is not None
    parts: list[list[int]] = []
    before = False
    for token, is_learned in zip(example.target_ids.tolist(), example.learned.tolist(), strict=True):
        if is_learned and not before:
            parts.append([])
        if is_learned:
            parts[-1].append(token)
        before = is_learned
    return [tokenizer.decode(part, clean_up_tokenization_spaces=False) for part in parts]


def template_ids(tokenizer: Any, messages: list[dict[str, Any]], **options: Any) -> list[int]:
    return list(
        tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"]
    )


def in_parts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message | {"content": [{"type": "text", "text": message["content"]}]} for message in messages]


@pytest.mark.parametrize("template", [STABLE, TRIMMING, TOOLS, TOOLS_AS_TEXT])
def test_every_turn_of_the_assistant_is_learned_with_its_end(template: str) -> None:
    tokenizer = byte_level(template)
    (example,) = examples_of(tokenizer, said(("system", "Be short."), *_turns(TWO_TURNS)))
    assert ids(example) == template_ids(
        tokenizer, [{"role": "system", "content": "Be short."}, *TWO_TURNS["messages"]]
    )
    assert learned(tokenizer, example) == [f"Oslo{END}\n", f"Lima{END}\n"]
    assert tokenizer.decode(example.input_ids).endswith("<|turn|>assistant\n")


def _turns(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in record["messages"]]


def test_the_last_turn_alone_is_learned_where_that_is_asked() -> None:
    tokenizer = byte_level(STABLE)
    (example,) = examples_of(tokenizer, TWO_TURNS, learn="last")
    assert ids(example) == template_ids(tokenizer, TWO_TURNS["messages"])
    assert learned(tokenizer, example) == [f"Lima{END}\n"]


@pytest.mark.parametrize("learn", ["all", "last"])
def test_a_turn_of_weight_0_is_context(learn: str) -> None:
    tokenizer = byte_level(STABLE)
    messages = [dict(message) for message in TWO_TURNS["messages"]]
    messages[1]["weight"], messages[3]["weight"] = 0, 1
    (example,) = examples_of(tokenizer, {"messages": messages}, learn=learn)
    assert ids(example) == template_ids(tokenizer, TWO_TURNS["messages"])
    assert learned(tokenizer, example) == [f"Lima{END}\n"]
    messages[1]["weight"], messages[3]["weight"] = 1, 0
    (example,) = examples_of(tokenizer, {"messages": messages}, learn=learn)
    assert ids(example) == template_ids(tokenizer, TWO_TURNS["messages"][:2])


def test_a_template_that_rewrites_history_makes_an_example_of_each_turn() -> None:
    tokenizer = byte_level(THINKING)
    thought = ["<think>An atlas.</think>Oslo", "<think>The next page.</think>Lima"]
    record = said(
        ("user", "Norway?"), ("assistant", thought[0]), ("user", "Peru?"), ("assistant", thought[1])
    )
    first, second = examples_of(tokenizer, record)
    assert ids(first) == template_ids(tokenizer, record["messages"][:2])
    assert ids(second) == template_ids(tokenizer, record["messages"])
    assert learned(tokenizer, first) == [f"An atlas.\n</think>\nOslo{END}\n"]
    assert learned(tokenizer, second) == [f"The next page.\n</think>\nLima{END}\n"]
    assert "An atlas." not in tokenizer.decode(ids(second))
    (last,) = examples_of(tokenizer, record, learn="last")
    assert ids(last) == ids(second)


def test_thoughts_in_a_field_of_their_own_are_learned() -> None:
    tokenizer = byte_level(THINKING)
    for field in ("reasoning_content", "thinking", "reasoning"):
        record = said(("user", "Norway?"), ("assistant", "Oslo"))
        record["messages"][1][field] = "An atlas."
        (example,) = examples_of(tokenizer, record)
        assert learned(tokenizer, example) == [f"An atlas.\n</think>\nOslo{END}\n"]


def test_a_last_turn_that_ends_otherwise_is_learned_with_its_own_end() -> None:
    tokenizer = byte_level(OTHER_LAST_END)
    first, second = examples_of(tokenizer, TWO_TURNS)
    assert learned(tokenizer, first) == ["Oslo<|stop|>"]
    assert learned(tokenizer, second) == ["Lima<|stop|>"]
    assert ids(second) == template_ids(tokenizer, TWO_TURNS["messages"])


def test_an_end_of_sequence_behind_the_last_turn_splits_nothing() -> None:
    tokenizer = byte_level(ENDED_TWICE)
    (example,) = examples_of(tokenizer, TWO_TURNS)
    assert learned(tokenizer, example) == [f"Oslo{END}\n", f"Lima{END}\n</s>"]


def test_the_token_of_the_next_turn_ends_a_turn_without_an_end_of_its_own() -> None:
    tokenizer = byte_level(ENDLESS)
    (example,) = examples_of(tokenizer, TWO_TURNS)
    assert ids(example) == template_ids(tokenizer, TWO_TURNS["messages"])
    assert learned(tokenizer, example) == ["Oslo<|user|>", "Lima"]


def test_contents_are_parts_where_the_template_wants_parts() -> None:
    tokenizer = byte_level(PARTS)
    (example,) = examples_of(tokenizer, TWO_TURNS)
    assert ids(example) == template_ids(tokenizer, in_parts(TWO_TURNS["messages"]))
    assert learned(tokenizer, example) == [f"Oslo{END}\n", f"Lima{END}\n"]


@pytest.mark.parametrize("template", [TOOLS, TOOLS_AS_TEXT])
def test_tools_and_calls_reach_the_template(template: str) -> None:
    tokenizer = byte_level(template)
    (example,) = examples_of(tokenizer, CALLING)
    text = tokenizer.decode(ids(example))
    assert json.dumps(TOOL["function"]["parameters"]) in text
    call, answer = learned(tokenizer, example)
    assert call.startswith("<call>look_up")
    assert "Norway" in call
    assert answer == f"Oslo{END}\n"
    assert "It is Oslo" in text


def test_indentation_is_learned() -> None:
    tokenizer = byte_level(STABLE)
    record = said(("user", "Write a loop."), ("assistant", "    for _ in range(2):\n        print(2)\n"))
    (example,) = examples_of(tokenizer, record)
    assert ids(example) == template_ids(tokenizer, record["messages"])
    assert learned(tokenizer, example) == [f"    for _ in range(2):\n        print(2)\n{END}\n"]


@pytest.mark.parametrize(
    ("template", "record", "complaint"),
    [
        (STABLE, CALLING, "ignores `tools` (look_up); remove `tools` from the row"),
        (STABLE, {"messages": CALLING["messages"]}, "does not show the tool calls of message 1"),
        (NO_SYSTEM, said(("system", "Be kind."), *_turns(TWO_TURNS)), "no system here"),
        (DEAF, said(("system", "Be kind."), *_turns(TWO_TURNS)), "leaves out message 0 (system)"),
        (
            THOUGHTLESS,
            said(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "<think>Hm.</think>d")),
            "leaves out what the assistant thinks in the turn that is learned",
        ),
    ],
)
def test_what_a_template_leaves_out_is_refused_by_row(
    template: str, record: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError) as error:
        examples_of(byte_level(template), TWO_TURNS, record)
    assert "own/chats row 1: " in str(error.value)
    assert complaint in str(error.value)


def test_the_developer_is_the_system_where_a_template_does_not_know_it() -> None:
    tokenizer = byte_level(DEAF.replace("m.role != 'system'", "m.role != 'developer'"))
    (example,) = examples_of(tokenizer, said(("developer", "Be kind."), *_turns(TWO_TURNS)))
    assert "<|turn|>system\nBe kind." in tokenizer.decode(ids(example))


contents = st.text("ab .\n<>|/€", min_size=1, max_size=12).filter(str.strip) | st.sampled_from(
    ["<|end|>", "a<|turn|>b", "</s>", "<think>", " x ", "\n\n", "12"]
).filter(str.strip)


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_random_conversations_have_the_ids_of_the_template(kind: str, data: st.DataObject) -> None:
    tokenizer = _tokenizers.setdefault(kind, byte_level(KINDS[kind]))
    turns = data.draw(st.lists(st.tuples(contents, contents), min_size=1, max_size=3))
    weights = data.draw(st.lists(st.sampled_from([0, 1]), min_size=len(turns), max_size=len(turns)))
    messages = [
        message
        for (question, answer), weight in zip(turns, weights, strict=True)
        for message in (
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer, "weight": weight},
        )
    ]
    weights[-1] = messages[-1]["weight"] = 1
    examples = examples_of(tokenizer, {"messages": messages})
    plain = [{"role": message["role"], "content": message["content"]} for message in messages]
    plain = in_parts(plain) if kind == "parts" else plain
    spelled = any(token in json.dumps(plain) for token in CONTROL)
    if not spelled:
        assert ids(examples[-1]) == template_ids(tokenizer, plain)
    parts = [part for example in examples for part in learned(tokenizer, example)]
    expected = [answer for (_, answer), weight in zip(turns, weights, strict=True) if weight]
    assert len(parts) == len(expected)
    for part, answer in zip(parts, expected, strict=True):
        assert answer.rpartition("</think>")[2].strip() in part
        assert "<|turn|>" not in part.replace(answer.strip(), "")


_tokenizers: dict[str, Any] = {}


def test_control_tokens_that_a_content_spells_are_text_in_every_turn() -> None:
    tokenizer = byte_level(STABLE)
    record = said(("user", "a<|end|>"), ("assistant", "<|turn|>b"), ("user", "c"), ("assistant", "</s>d"))
    (example,) = examples_of(tokenizer, record)
    end, turn = tokenizer.convert_tokens_to_ids([END, "<|turn|>"])
    assert (ids(example).count(end), ids(example).count(turn)) == (4, 4)
    assert tokenizer.eos_token_id not in ids(example)
    assert learned(tokenizer, example) == [f"<|turn|>b{END}\n", f"</s>d{END}\n"]


@pytest.mark.parametrize(("added_tokens", "count"), [("ids", 2), ("text", 0)])
def test_added_words_stay_ids_unless_their_letters_are_asked_for(added_tokens: Any, count: int) -> None:
    tokenizer = byte_level(STABLE)
    words = set(tokenizer.convert_tokens_to_ids(["<think>", "</think>"]))
    for layout in ("chat", "plain"):
        encoder = Encoder(tokenizer, LIMITS, layout=layout, added_tokens=added_tokens)
        task = task_of(said(("user", "a"), ("assistant", "<think>b</think>c")))
        (example,) = encoder.encode([rendered(task, 0)])
        assert sum(token in words for token in ids(example)) == count
        assert "<think>b</think>c" in tokenizer.decode(ids(example))


def test_the_ledger_knows_how_many_examples_conversations_are() -> None:
    encoder = Encoder(byte_level(THINKING), LIMITS, layout="chat")
    assert encoder.tokenize.chat is not None
    task = in_examples({"own/chats": task_of(TWO_TURNS, TWO_TURNS)}, encoder.tokenize.chat)["own/chats"]
    counts = conversation_counts(task)
    assert counts is not None
    assert (counts.rows, counts.examples) == (2, 4)
    # Found by position, the same each time.
    assert [task.rows[number]["targets"] for number in (3, 0, 3)] == ["Lima", "Oslo", "Lima"]


def test_a_conversation_that_does_not_fit_is_dropped_whole_and_a_single_turn_truncated() -> None:
    tokenizer, words = byte_level(STABLE), "many words " * 20
    encoder = Encoder(tokenizer, Limits(60, 40, joint=True), layout="chat")
    task = task_of(said(("user", words), ("assistant", "b"), ("user", "c"), ("assistant", "d")))
    single = task_of(
        said(("user", words), ("assistant", "b")), said(("user", f" {words}"), ("assistant", " b"))
    )
    assert encoder.encode([rendered(task, 0)])[0].dropped == "inputs-too-long"
    for number in range(2):
        (example,) = encoder.encode([rendered(single, number)])
        assert len(ids(example)) == 100
        assert tokenizer.decode(example.input_ids).endswith(f"{END}\n<|turn|>assistant\n")
        assert tokenizer.decode(example.input_ids).strip().startswith("<|turn|>user\n")


def test_conversations_keep_their_text() -> None:
    conversation = Conversation.parse(str(chat_row(CALLING)["conversation"]))
    assert Conversation.parse(conversation.text) == conversation
    assert conversation.learned == (1, 3)
    assert conversation.until(1).messages[-1]["content"] is None


@pytest.mark.skipif(not CHATS.is_dir(), reason="no chats: set OPENFLAN_SHARED")
@pytest.mark.parametrize("name", ["turns", "weight", "indented", "tools", "thinking"])
def test_chats_as_people_have_them(name: str) -> None:
    tokenizer = byte_level({"tools": TOOLS, "thinking": THINKING}.get(name, STABLE))
    records = [json.loads(line) for line in (CHATS / f"{name}.jsonl").read_text().splitlines()]
    examples = examples_of(tokenizer, *records)
    assert len(examples) == len(records) * (2 if name == "thinking" else 1)
    parts = [part for example in examples for part in learned(tokenizer, example)]
    text = [tokenizer.decode(ids(example)) for example in examples]
    assert not any("User:" in one for one in text)
    assert not any("Nowhere" in part for part in parts)
    if name == "indented":
        assert all(part.startswith("    for") for part in parts)
    if name == "thinking":
        assert all("\n</think>\n" in part for part in parts)
    if name == "tools":
        assert all(one.count("look_up") >= 2 for one in text)
        with pytest.raises(InputError, match="row 0: .*ignores `tools`"):
            examples_of(byte_level(STABLE), *records)
