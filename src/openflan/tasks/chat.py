"""Conversations: rows with `messages` in OpenAI's form, and perhaps `tools`.

A row has readable `inputs` and `targets` for models without a chat template, and a field `conversation`, from
which `packing.layout: chat` writes the model's own form. The last turn of the assistant that is learned ends
it; what follows is left out. The readable form of a longer conversation:

    Answer in French.

    User: Hello!

    Assistant: Bonjour !

    User: What is your name?

    Assistant:
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from openflan.tasks.conversation import (
    ASSISTANT,
    FIELD,
    ROLES,
    THINKING,
    WEIGHT,
    Conversation,
    Message,
    readable,
)
from openflan.tasks.records import Record
from openflan.tasks.rows import BadRow, EmptyTarget
from openflan.tasks.task import Row

MESSAGES = "messages"
TOOLS = "tools"

_TEXTS = ("name", "tool_call_id", *THINKING)
"""Further texts of a message that chat templates read."""


def chat_row(record: Record) -> Row:
    """The row of a conversation `{"messages": [...], "tools": [...]}`; `tools` may be absent.

    A conversation of one message of the user and one of the assistant has no field `conversation`, as its
    `inputs` and `targets` say all of it. Texts are kept as they are.

    Raises BadRow, with a remedy, for an unknown role, an empty turn, messages out of order, a tool call
    without a result or a result without a call, a `weight` other than 0 and 1, tools that are not described
    in OpenAI's form, and a conversation with nothing to learn; EmptyTarget where the last turn is empty.
    """
    listed = record.get(MESSAGES)
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise BadRow(f"`{MESSAGES}` must be a list of {{role, content}}; found {_short(listed)}")
    messages = [_message(message, place) for place, message in enumerate(listed)]
    conversation = Conversation(tuple(messages), _tools(record.get(TOOLS)))
    assistant = [place for place, message in enumerate(messages) if message["role"] == ASSISTANT]
    if not assistant:
        raise BadRow(f"`{MESSAGES}` has no message of the assistant, so there is nothing to learn from it")
    if all(messages[place].get(WEIGHT) == 0 for place in assistant):
        raise BadRow(
            f"every message of the assistant in `{MESSAGES}` has the weight 0, so there is nothing to learn; "
            "give one the weight 1, or remove the row"
        )
    if not conversation.learned:
        raise BadRow(f"`{MESSAGES}` has no user's message before the assistant's last")
    last = conversation.learned[-1]
    _check_order(messages, last)
    return conversation_row(Conversation(tuple(messages[: last + 1]), conversation.tools))


def conversation_row(conversation: Conversation) -> Row:
    """The fields of a checked conversation."""
    inputs, targets = readable(conversation.messages)
    row = {"inputs": inputs, "targets": targets}
    pair = Conversation.of_pair(inputs, targets)
    plain = tuple({**message, WEIGHT: 1} for message in conversation.messages)
    if not conversation.tools and plain == tuple({**message, WEIGHT: 1} for message in pair.messages):
        return row
    return row | {FIELD: conversation.text}


def _message(message: Any, place: int) -> dict[str, Any]:
    """A message with the fields that chat templates read; those that are null are absent."""
    where = f"`{MESSAGES}[{place}]"
    if not isinstance(message, Mapping):
        raise BadRow(f"{where}` must be an object {{role, content}}; found {_short(message)}")
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise BadRow(
            f"{where}.role` must be {', '.join(ROLES[:-1])} or {ROLES[-1]}; found {_short(role)}; rename it"
        )
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = _joined(content, where)
    made: dict[str, Any] = {"role": role}
    calls = message.get("tool_calls")
    if calls:
        if role != ASSISTANT:
            raise BadRow(
                f"{where}.tool_calls` stands in a message of the {role}; only the assistant calls tools"
            )
        made["tool_calls"] = [
            _call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls)
        ]
    if isinstance(content, str):
        made["content"] = content
    elif content is None and calls:
        made["content"] = None
    else:
        also = "" if role != ASSISTANT else " (null only beside `tool_calls`)"
        raise BadRow(f"{where}.content` must be a text{also}; found {_short(content)}")
    for name in _TEXTS:
        value = message.get(name)
        if value is not None and not isinstance(value, str):
            raise BadRow(f"{where}.{name}` must be a text; found {_short(value)}")
        if value is not None:
            made[name] = value
    weight = message.get(WEIGHT)
    if weight is not None and not (isinstance(weight, float) and math.isnan(weight)):
        if isinstance(weight, bool) or weight not in (0, 1):
            raise BadRow(
                f"{where}.weight` is {_short(weight)}; only 0 (context) and 1 (learned) are known: choose one"
            )
        if not weight:
            made[WEIGHT] = 0
    return made


def _joined(parts: Sequence[Any], where: str) -> str:
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise BadRow(
            f"{where}.content` must be a text, or a list of parts that have a `text` each; found "
            f"{_short(list(parts))}; images and sounds cannot be trained on: remove the row"
        )
    return "\n".join(str(text) for text in texts)


def _call(call: Any, where: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    arguments = function.get("arguments", {}) if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not name or not isinstance(arguments, str | Mapping):
        raise BadRow(
            f'{where}` must be {{"type": "function", "function": {{"name": ..., "arguments": ...}}}} with '
            f"arguments as an object or its JSON; found {_short(call)}"
        )
    made = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return made if call.get("id") is None else {"id": str(call["id"]), **made}


def _tools(tools: Any) -> tuple[Mapping[str, Any], ...]:
    if isinstance(tools, str):
        # Tables often keep them as JSON.
        try:
            tools = json.loads(tools) if tools.strip() else None
        except ValueError:
            raise BadRow(f"`{TOOLS}` is no JSON: {_short(tools)}; write a list of tools") from None
    if tools is None or (isinstance(tools, Sequence) and not tools):
        return ()
    if not isinstance(tools, Sequence):
        raise BadRow(f"`{TOOLS}` must be a list of tools; found {_short(tools)}")
    return tuple(_tool(tool, number) for number, tool in enumerate(tools))


def _tool(tool: Any, number: int) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise BadRow(
            f'`{TOOLS}[{number}]` must be {{"type": "function", "function": {{"name": ..., "parameters": '
            f"...}}}}; found {_short(tool)}"
        )
    made: dict[str, Any] = json.loads(json.dumps(tool, ensure_ascii=False, default=str))
    return {"type": "function", **made}


def _check_order(messages: Sequence[Message], last: int) -> None:
    """Raises BadRow for messages up to the last one learned that cannot stand where they do."""
    waiting: dict[str | None, int] = {}
    open_calls = 0
    for place, message in enumerate(messages[: last + 1]):
        role = message["role"]
        where = f"`{MESSAGES}[{place}]`"
        if role == "tool":
            if not open_calls:
                raise BadRow(
                    f"{where} is a tool's result, but no `tool_calls` before it waits for one; put it behind "
                    "its call, or remove it"
                )
            name = message.get("tool_call_id")
            if name is not None and waiting and name not in waiting:
                raise BadRow(
                    f"{where}.tool_call_id is {_short(name)}, which no call before it has (there: "
                    f"{', '.join(map(str, waiting))}); correct it"
                )
            waiting.pop(name, None)
            open_calls -= 1
            continue
        if open_calls:
            missing = next(iter(waiting), None)
            raise BadRow(
                f"{where} follows a tool call without a result"
                f"{'' if missing is None else f' (call {missing})'}; add a message of the role tool"
            )
        empty = not (message["content"] or "").strip() and not message.get("tool_calls")
        if empty and place == last:
            raise EmptyTarget(f"{MESSAGES}[{place}]")
        if empty:
            raise BadRow(f"{where} is empty; give it a text, or remove it")
        if role in ("system", "developer") and any(
            earlier["role"] not in ("system", "developer") for earlier in messages[:place]
        ):
            raise BadRow(f"{where} is of the {role}; only the first may be")
        calls = message.get("tool_calls", ())
        open_calls = len(calls)
        waiting = {call["id"]: place for call in calls if "id" in call}


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]
