"""Conversations of every form as one: `{"messages": [{role, content, ...}], "tools": [...]}`, as OpenAI
writes them.

Only names change here. Which roles may follow which, and what a message must hold, is checked where the
conversation is read (`tasks.chat`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from openflan.tasks.formats.values import is_missing, optional_text, required_text, short
from openflan.tasks.records import Record
from openflan.tasks.rows import BadRow, MissingTarget

MESSAGES, CONVERSATIONS, TOOLS = "messages", "conversations", "tools"

ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "developer",
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
}
"""The speakers of ShareGPT (`from`), in any case of letters, and the roles that they have."""

CALLS = ("function_call", "tool_call")
"""Speakers whose value is a call of a tool as JSON: a turn of the assistant."""

Message = dict[str, Any]


def from_messages(record: Record) -> dict[str, Any]:
    """`messages`, each with role and content (or with `from` and `value`). Other values stay as they are, and
    are refused where the conversation is read."""
    turns = _parsed(record.get(MESSAGES), MESSAGES)
    if is_missing(turns):
        raise MissingTarget(MESSAGES)
    if isinstance(turns, list):
        turns = [
            _turn(turn, f"{MESSAGES}[{index}]") if isinstance(turn, Mapping) else turn
            for index, turn in enumerate(turns)
        ]
    return _conversation(record, turns)


def from_sharegpt(record: Record) -> dict[str, Any]:
    """`conversations`, each with `from` and `value` (or with role and content), and `system` beside them."""
    return _conversation(record, _with_system(record, _turns(record, CONVERSATIONS)))


def from_prompt_completion(record: Record) -> dict[str, Any]:
    """`prompt` and `completion`, each a list of messages or a text."""
    prompt = _turns_or_text(record, "prompt", "user")
    completion = _turns_or_text(record, "completion", "assistant")
    return _conversation(record, _with_system(record, [*prompt, *completion]))


def from_preference(record: Record) -> dict[str, Any]:
    """`chosen`, behind `prompt` unless it holds the question itself; each a list of messages or a text."""
    chosen = _turns_or_text(record, "chosen", "assistant")
    asks = any(message.get("role") == "user" for message in chosen)
    prompt = [] if asks else _turns_or_text(record, "prompt", "user")
    return _conversation(record, _with_system(record, [*prompt, *chosen]))


def from_alpaca(record: Record) -> dict[str, Any]:
    """`instruction` with `input` as the user's last turn, `output` as the answer, `system`, and `history`, a
    list of pairs of a question and its answer."""
    history = record.get("history")
    if is_missing(history):
        history = []
    if not isinstance(history, list):
        raise BadRow(f"`history` must be a list of pairs [question, answer]; found {short(history)}")
    turns: list[Message] = []
    for index, pair in enumerate(history):
        if not (
            isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        ):
            raise BadRow(
                f"`history[{index}]` must be a pair [question, answer] of texts; found {short(pair)}"
            )
        turns += [_message("user", pair[0]), _message("assistant", pair[1])]
    turns += [
        _message("user", asked(record)),
        _message("assistant", required_text(record, "output", target=True)),
    ]
    return _conversation(record, _with_system(record, turns))


def asked(record: Record) -> str:
    """The instruction of an Alpaca row, with a blank line and its input where that is not empty."""
    instruction, more = required_text(record, "instruction"), optional_text(record, "input")
    if not more.strip():
        return instruction
    return f"{instruction}\n\n{more}" if instruction.strip() else more


def _conversation(record: Record, messages: Any) -> dict[str, Any]:
    tools = _tools(record)
    return {MESSAGES: messages, TOOLS: tools} if tools else {MESSAGES: messages}


def _tools(record: Record) -> list[Any]:
    """The tools of a record, which some tables hold as JSON."""
    tools = _parsed(record.get(TOOLS), TOOLS)
    if is_missing(tools) or tools == "":
        return []
    if not isinstance(tools, list):
        raise BadRow(f"`{TOOLS}` must be a list of tools; found {short(tools)}")
    return tools


def _parsed(value: Any, name: str) -> Any:
    """A list that a table holds as JSON, parsed; any other value as it is."""
    if not (isinstance(value, str) and value.lstrip().startswith("[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise BadRow(f"`{name}` is a text that is not valid JSON: {short(value)}") from None


def _with_system(record: Record, turns: list[Message]) -> list[Message]:
    system = optional_text(record, "system")
    has_system = bool(turns) and turns[0].get("role") == "system"
    return [_message("system", system), *turns] if system.strip() and not has_system else turns


def _turns_or_text(record: Record, name: str, role: str) -> list[Message]:
    value = record.get(name)
    if isinstance(value, str):
        return [_message(role, value)]
    return _turns(record, name)


def _turns(record: Record, name: str) -> list[Message]:
    turns = _parsed(record.get(name), name)
    if is_missing(turns):
        raise MissingTarget(name)
    if not isinstance(turns, Sequence) or isinstance(turns, str) or not turns:
        raise BadRow(f"`{name}` must be a list of {{role, content}} or {{from, value}}; found {short(turns)}")
    return [_turn(turn, f"{name}[{index}]") for index, turn in enumerate(turns)]


def _turn(turn: Any, place: str) -> Message:
    """A message with the names of OpenAI's form; of a table's columns those that are null say nothing, but
    for the content."""
    if not isinstance(turn, Mapping):
        raise BadRow(f"`{place}` must be an object {{role, content}} or {{from, value}}; found {short(turn)}")
    message = {name: value for name, value in turn.items() if value is not None or name == "content"}
    if "role" in message or "from" not in message:
        return message
    speaker = message.pop("from")
    value = message.pop("value", None)
    folded = speaker.strip().lower() if isinstance(speaker, str) else ""
    if folded in CALLS:
        return _message("assistant", None) | {"tool_calls": _calls(value, place)} | message
    if folded not in ROLES:
        raise BadRow(f"`{place}.from` is {short(speaker)}; expected one of {', '.join([*ROLES, *CALLS])}")
    return _message(ROLES[folded], value) | message


def _calls(value: Any, place: str) -> list[dict[str, Any]]:
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        parsed = None
    calls = parsed if isinstance(parsed, list) else [parsed]
    if not calls or not all(
        isinstance(call, Mapping) and isinstance(call.get("name"), str) for call in calls
    ):
        raise BadRow(
            f'`{place}.value` must be a call such as {{"name": ..., "arguments": ...}}; found {short(value)}'
        )
    return [
        {"type": "function", "function": {"name": call["name"], "arguments": call.get("arguments", {})}}
        for call in calls
    ]


def _message(role: str, content: Any) -> Message:
    return {"role": role, "content": content}
