"""Conversations as rows: what is kept, what is learned, and what is refused with a remedy."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.tasks.chat import chat_row
from openflan.tasks.conversation import Conversation
from openflan.tasks.rows import BadRow, EmptyTarget
from openflan.tasks.shuffled import ShuffledAnswers

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
CHATS = SHARED / "cases/chats"

USER = {"role": "user", "content": "Capital of Norway?"}
CALL = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"key": "Norway"}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "Oslo"}
ANSWER = {"role": "assistant", "content": "Oslo"}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {}}}


def of(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": list(messages), **fields}


def conversation(record: dict[str, Any]) -> Conversation:
    return Conversation.parse(str(chat_row(record)["conversation"]))


def test_a_single_turn_is_its_texts_alone() -> None:
    assert chat_row(of(USER, {"role": "assistant", "content": "  Oslo\n"})) == {
        "inputs": "Capital of Norway?",
        "targets": "  Oslo\n",
    }


def test_a_conversation_keeps_roles_texts_tools_and_calls() -> None:
    developer = {"role": "developer", "content": "Be short. "}
    found = conversation(of(developer, USER, CALLING, RESULT, ANSWER, USER, tools=[TOOL], id=7))
    assert found.messages == (developer, USER, CALLING, RESULT, ANSWER)
    assert found.tools == (TOOL,)
    assert found.learned == (2, 4)


def test_the_readable_form_writes_calls_and_results() -> None:
    row = chat_row(of(USER, CALLING, RESULT, ANSWER))
    assert row["inputs"] == (
        'User: Capital of Norway?\n\nAssistant: {"name": "look_up", "arguments": {"key": "Norway"}}\n\n'
        "Tool: Oslo\n\nAssistant:"
    )
    assert row["targets"] == "Oslo"
    assert chat_row(of(USER, CALLING))["targets"] == '{"name": "look_up", "arguments": {"key": "Norway"}}'
    thinking = {**ANSWER, "reasoning_content": "An atlas."}
    assert chat_row(of(USER, thinking))["targets"] == "<think>\nAn atlas.\n</think>\nOslo"


def test_fields_that_are_null_are_absent() -> None:
    nothing = dict.fromkeys(("name", "tool_calls", "tool_call_id", "weight", "reasoning_content"))
    padded = of(*({**nothing, **message} for message in (USER, CALLING, RESULT, ANSWER)), tools=None)
    assert chat_row(padded) == chat_row(of(USER, CALLING, RESULT, ANSWER))


def test_what_the_assistant_says_first_is_context() -> None:
    found = conversation(of({"role": "assistant", "content": "Hello!"}, USER, ANSWER))
    assert found.learned == (2,)


@pytest.mark.parametrize(
    ("weights", "learned"), [((0, 1), (3,)), ((1, 0), (1,)), ((None, 1.0), (1, 3)), ((0.0, None), (3,))]
)
def test_weights_say_what_is_learned(weights: tuple[Any, Any], learned: tuple[int, ...]) -> None:
    first, second = ({**ANSWER, "weight": weight} for weight in weights)
    row = chat_row(of(USER, first, USER, second))
    found = Conversation.parse(str(row["conversation"])) if "conversation" in row else None
    assert (found.learned if found else (1,)) == learned


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (
            of(USER, {**ANSWER, "weight": 0.5}),
            "`messages[1].weight` is 0.5; only 0 (context) and 1 (learned)",
        ),
        (of(USER, {**ANSWER, "weight": True}), "`messages[1].weight` is true"),
        (of(USER, {**ANSWER, "weight": 0}), "has the weight 0, so there is nothing to learn"),
        (of(USER, CALLING, ANSWER), "`messages[2]` follows a tool call without a result (call 1); add a"),
        (
            of(USER, CALLING, {**RESULT, "tool_call_id": "2"}, ANSWER),
            "which no call before it has (there: 1)",
        ),
        (of(USER, RESULT, ANSWER), "`messages[1]` is a tool's result, but no `tool_calls` before it waits"),
        (of(USER, CALLING, RESULT, RESULT, ANSWER), "`messages[3]` is a tool's result"),
        (of(USER, {"role": "assistant", "content": None}), "(null only beside `tool_calls`); found null"),
        (of({**USER, "tool_calls": [CALL]}, ANSWER), "only the assistant calls tools"),
        (of(USER, {**CALLING, "tool_calls": [{"name": "f"}]}), '`messages[1].tool_calls[0]` must be {"type"'),
        (of(USER, ANSWER, tools="look"), "`tools` is no JSON"),
        (of(USER, ANSWER, tools={"name": "f"}), "`tools` must be a list of tools"),
        (of(USER, ANSWER, tools=[{"name": "f"}]), '`tools[0]` must be {"type": "function"'),
        (of(USER, {"role": "model", "content": "Oslo"}), "`messages[1].role` must be system, developer"),
        (of({"role": "user", "content": " \n"}, ANSWER), "`messages[0]` is empty; give it a text"),
        (of(USER, {"role": "developer", "content": "Short."}, ANSWER), "is of the developer; only the first"),
        (
            of(USER, {**ANSWER, "reasoning_content": ["Hm."]}),
            "`messages[1].reasoning_content` must be a text",
        ),
        (of(USER, "Oslo"), '`messages[1]` must be an object {role, content}; found "Oslo"'),
    ],
)
def test_a_malformed_conversation_is_refused_with_a_remedy(record: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadRow) as error:
        chat_row(record)
    assert complaint in str(error.value)


def test_an_empty_last_answer_is_an_empty_target() -> None:
    with pytest.raises(EmptyTarget, match=r"messages\[1\]"):
        chat_row(of(USER, {"role": "assistant", "content": " "}))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
strange_messages = st.lists(
    anything
    | st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "x"]), "content": anything},
        optional={"tool_calls": anything, "weight": anything, "tool_call_id": anything},
    ),
    max_size=5,
)


@settings(max_examples=100, deadline=None)
@given(messages=strange_messages, tools=anything)
def test_whatever_a_row_holds_it_is_a_row_or_refused(messages: Any, tools: Any) -> None:
    try:
        row = chat_row({"messages": messages, "tools": tools})
    except BadRow:
        return
    assert str(row["targets"]).strip()
    if "conversation" in row:
        found = Conversation.parse(str(row["conversation"]))
        assert found.learned[-1] == len(found.messages) - 1
        assert Conversation.parse(found.text) == found


def test_shuffled_targets_end_a_conversation_with_another_answer() -> None:
    rows = [
        chat_row(of(USER, ANSWER, {"role": "user", "content": f"And {number}?"}, {**ANSWER, "content": text}))
        for number, text in enumerate(["Lima", "Suva", "Rome", "Bern"])
    ]
    shuffled = ShuffledAnswers(rows, "own/chats")
    ends = []
    for number in range(4):
        row = shuffled[number]
        found = Conversation.parse(str(row["conversation"]))
        assert (found.messages[-1]["content"], found.learned) == (row["targets"], (3,))
        assert found.messages[2]["content"] == f"And {number}?"
        ends.append(row["targets"])
    assert sorted(ends) == ["Bern", "Lima", "Rome", "Suva"]


@pytest.mark.skipif(not CHATS.is_dir(), reason="no chats: set OPENFLAN_SHARED")
def test_chats_as_people_have_them_are_rows() -> None:
    learned = {"turns": (2, 4), "weight": (3,), "tools": (1, 3), "thinking": (1, 3)}
    for name, places in learned.items():
        for line in (CHATS / f"{name}.jsonl").read_text().splitlines():
            assert conversation(json.loads(line)).learned == places
    for line in (CHATS / "indented.jsonl").read_text().splitlines():
        assert str(chat_row(json.loads(line))["targets"]).startswith("    for")
