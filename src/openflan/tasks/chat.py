"""Conversations: rows with `messages`, a list of `{role, content}`.

The targets are the last message of the assistant; the inputs are all messages before it. A single user
message becomes its text alone; a system message comes first, with a blank line after it. In longer
conversations each turn is a paragraph that begins with its speaker, and the inputs end with the speaker whose
turn comes next:

    Answer in French.

    User: Hello!

    Assistant: Bonjour !

    User: What is your name?

    Assistant:
"""

from __future__ import annotations

import json
from typing import Any

from openflan.tasks.records import Record
from openflan.tasks.rows import BadRow, EmptyTarget
from openflan.tasks.task import Row

MESSAGES = "messages"
SPEAKERS = {"user": "User", "assistant": "Assistant"}


def chat_row(record: Record) -> Row:
    """`inputs` and `targets` of a conversation; what follows the assistant's last message is left out.

    Raises BadRow for an unknown role, an empty message, a system message that is not the first, and a
    conversation without a user's message before the assistant's last.
    """
    messages = record.get(MESSAGES)
    if not isinstance(messages, list) or not messages:
        raise BadRow(f"`{MESSAGES}` must be a list of {{role, content}}; found {_short(messages)}")
    turns = [_turn(message, index) for index, message in enumerate(messages)]
    last = max((index for index, (role, _) in enumerate(turns) if role == "assistant"), default=None)
    if last is None:
        raise BadRow(f"`{MESSAGES}` has no message of the assistant, so there is nothing to learn from it")
    before, target = turns[:last], turns[last][1]
    if not any(role == "user" for role, _ in before):
        raise BadRow(f"`{MESSAGES}` has no user's message before the assistant's last")
    for index, (role, text) in enumerate(before):
        if not text:
            raise BadRow(f"`{MESSAGES}[{index}]` is empty")
        if role == "system" and index > 0:
            raise BadRow(f"`{MESSAGES}[{index}]` is of the system; only the first may be")
    if not target:
        raise EmptyTarget(f"{MESSAGES}[{last}]")
    return {"inputs": _laid_out(before), "targets": target}


def _laid_out(turns: list[tuple[str, str]]) -> str:
    system = [text for role, text in turns if role == "system"]
    spoken = [(role, text) for role, text in turns if role != "system"]
    if len(spoken) == 1:
        return "\n\n".join([*system, spoken[0][1]])
    return "\n\n".join(
        [*system, *(f"{SPEAKERS[role]}: {text}" for role, text in spoken), f"{SPEAKERS['assistant']}:"]
    )


def _turn(message: Any, index: int) -> tuple[str, str]:
    role, content = (
        (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
    )
    if role not in (*SPEAKERS, "system"):
        raise BadRow(f"`{MESSAGES}[{index}].role` must be system, user or assistant; found {_short(role)}")
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        content = "\n".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise BadRow(f"`{MESSAGES}[{index}].content` must be a text; found {_short(content)}")
    return role, content.strip()


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]
