"""In which form a chat template shows messages: found by rendering made-up ones.

Templates read the same message differently: most want a text, those of models that see images a list of
parts; arguments of a tool call are an object or its JSON; thoughts have one of three names; some know no
developer, some no tools. What a template leaves out is refused by row, as a model would not see it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from openflan.errors import InputError
from openflan.tasks.conversation import (
    ASSISTANT,
    THINKING,
    WEIGHT,
    Conversation,
    Message,
    arguments_of,
    thinking_of,
)

Write = Callable[..., str]
"""Writes messages in a template (`TextIds.written`)."""

_SCHEMA = {"type": "object", "properties": {"dunnart": {"type": "string", "description": "A word."}}}
_ASKED, _ANSWERED, _CALLED, _KEY, _VALUE, _RESULT = (
    "quokka",
    "wombat",
    "numbat",
    "dunnart",
    "potoroo",
    "bilby",
)


@dataclass(frozen=True, slots=True)
class MessageForm:
    """`parts`: contents are lists of parts. `arguments` of tool calls: objects or their JSON; `none`: calls
    are not shown. `empty`: what stands for the content of a call without a text. `developer`: the role is
    known. `tools` are shown. `thinking`: names of the fields that the template reads."""

    parts: bool = False
    arguments: str = "object"
    empty: str | None = None
    developer: bool = False
    tools: bool = False
    thinking: tuple[str, ...] = ()


TEXTS = MessageForm()
"""Contents are texts, arguments are objects."""


def sent(messages: Sequence[Message], form: MessageForm) -> list[dict[str, Any]]:
    """Messages in the form that a template shows."""
    return [_sent(message, form) for message in messages]


SERVED = MessageForm(arguments="json", developer=True, tools=True)
"""The form of messages in OpenAI's protocol."""


def asked(conversation: str, form: MessageForm) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The messages before the last turn of a conversation, in the form that a template shows, and further
    arguments of the template: `tools` where the conversation has some. `conversation` is its text
    (`tasks.conversation`)."""
    parsed = Conversation.parse(conversation)
    tools = {"tools": [dict(tool) for tool in parsed.tools]} if parsed.tools else {}
    return sent(parsed.messages[:-1], form), tools


def form_of(template: Any, write: Write, name: str) -> MessageForm:
    """The form that a template shows; `template` is its text or, by name, several of them.

    Raises InputError for a template that shows no turn in any form.
    """
    source = template if isinstance(template, str) else json.dumps(template)
    thinking = tuple(field for field in THINKING if field in source)
    turn = Conversation.of_pair(_ASKED, _ANSWERED).messages
    parts = _first(
        [False, True],
        lambda parts: write(sent(turn, MessageForm(parts)), add_generation_prompt=False),
        (_ASKED, _ANSWERED),
    )
    if parts is None:
        # The template's own words, where it refuses a turn.
        write(sent(turn, MessageForm()), add_generation_prompt=False)
        raise InputError(
            f"the chat template of {name} does not show the texts of a turn; use `packing.layout: paper` or "
            "plain, or correct the template"
        )
    forms = [
        MessageForm(parts, arguments, empty) for arguments, empty in product(("object", "json"), (None, ""))
    ]
    tool = {"type": "function", "function": {"name": _CALLED, "description": _RESULT, "parameters": _SCHEMA}}
    tools = _first(
        [True],
        lambda _: write(sent(turn, MessageForm(parts)), add_generation_prompt=False, tools=[tool]),
        (_CALLED,),
    )
    given = {"tools": [tool]} if tools else {}
    called = _first(
        forms,
        lambda form: write(sent(_tool_turns(), form), add_generation_prompt=False, **given),
        (_CALLED, _VALUE, _ANSWERED),
    )
    developer = _first(
        [True],
        lambda _: write(
            sent([{"role": "developer", "content": _RESULT}, *turn], MessageForm(parts, developer=True)),
            add_generation_prompt=False,
        ),
        (_RESULT,),
    )
    return MessageForm(
        parts,
        called.arguments if called else "none",
        called.empty if called else None,
        developer is not None,
        tools is not None,
        thinking,
    )


def check_known(conversation: Conversation, form: MessageForm, name: str) -> None:
    """Raises InputError, with a remedy, for tools and calls in a conversation whose template shows none."""
    template = f"the chat template of {name}"
    if conversation.tools and not form.tools:
        raise InputError(
            f"{template} ignores `tools` ({conversation.tools[0]['function']['name']}); remove `tools` from "
            "the row, or use a model whose template shows them"
        )
    for place, message in enumerate(conversation.messages):
        if message.get("tool_calls") and form.arguments == "none":
            raise InputError(
                f"{template} does not show the tool calls of message {place}; remove the row, or use a model "
                "whose template shows them"
            )


def check_shown(conversation: Conversation, text: str, learned: str, name: str) -> None:
    """Raises InputError, with a remedy, for what the template leaves out of a conversation; `text` is all
    that it wrote, `learned` the last turn."""
    template = f"the chat template of {name}"
    for tool in conversation.tools:
        if str(tool["function"]["name"]) not in text:
            raise InputError(
                f"{template} ignores `tools` ({tool['function']['name']}); remove `tools` from the row, or "
                f"use "
                "a model whose template shows them"
            )
    for place, message in enumerate(conversation.messages):
        content = _last_line(message.get("content") or "")
        if content and content not in text and json.dumps(content)[1:-1] not in text:
            raise InputError(
                f"{template} leaves out message {place} ({message['role']}); remove the message, or use a "
                "model whose template shows it"
            )
    thought = _last_line(_thought(conversation.messages[-1]))
    if thought and thought not in learned:
        raise InputError(
            f"{template} leaves out what the assistant thinks in the turn that is learned; remove the "
            "thinking, or use a template that keeps it"
        )


def _thought(message: Message) -> str:
    before, end, _ = (message.get("content") or "").partition("</think>")
    return thinking_of(message) or (before.rpartition("<think>")[2] if end else "")


def _last_line(text: str) -> str:
    """The last line of a text that is not blank. Thoughts come first, and history may leave them out."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rpartition("</think>")[2].strip() if lines else ""


def _sent(message: Message, form: MessageForm) -> dict[str, Any]:
    made = {key: value for key, value in message.items() if key != WEIGHT and key not in THINKING}
    if thought := thinking_of(message):
        given = tuple(name for name in THINKING if message.get(name))
        made |= dict.fromkeys(
            [name for name in given if name in form.thinking] or form.thinking[:1] or given, thought
        )
    if made["role"] == "developer" and not form.developer:
        made["role"] = "system"
    if made.get("tool_calls"):
        made["tool_calls"] = [_sent_call(call, form) for call in made["tool_calls"]]
        if made.get("content") is None:
            made["content"] = form.empty
    if form.parts and isinstance(made.get("content"), str):
        made["content"] = [{"type": "text", "text": made["content"]}]
    return made


def _sent_call(call: Mapping[str, Any], form: MessageForm) -> dict[str, Any]:
    arguments = arguments_of(call)
    if form.arguments == "json" and not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return {**call, "function": {**call["function"], "arguments": arguments}}


def _tool_turns() -> list[Message]:
    call = {"id": "call00001", "type": "function", "function": {"name": _CALLED, "arguments": {_KEY: _VALUE}}}
    return [
        {"role": "user", "content": _ASKED},
        {"role": ASSISTANT, "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call00001", "name": _CALLED, "content": _RESULT},
        {"role": ASSISTANT, "content": _ANSWERED},
    ]


def _first(forms: Sequence[Any], shown: Callable[[Any], str], words: Sequence[str]) -> Any:
    """The first form in which a template shows all of some words; None where there is none."""
    for form in forms:
        try:
            text = shown(form)
        except InputError:
            continue
        if all(word in text for word in words):
            return form
    return None
