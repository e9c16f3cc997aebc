"""A conversation: messages in OpenAI's form, and the tools that the assistant may call.

A row keeps it as one text, the canonical JSON of `{"messages": [...], "tools": [...]}`. It is parsed only
where a chat template needs it, so rows stay cheap. `tasks.chat` checks conversations; this module reads what
was checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Message: TypeAlias = Mapping[str, Any]

FIELD = "conversation"
"""The field of a row that holds the text of a conversation."""

ASSISTANT = "assistant"
ROLES = ("system", "developer", "user", ASSISTANT, "tool")

THINKING = ("reasoning_content", "thinking", "reasoning")
"""The fields of a message in which data sets keep what the assistant thought before its answer."""

WEIGHT = "weight"
"""1 (the default): a turn of the assistant is learned; 0: it is context only."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Checked messages and tools. `messages` end with a turn of the assistant that is learned."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Conversation:
        """The conversation of a text that `text` wrote."""
        values = json.loads(text)
        return cls(tuple(values["messages"]), tuple(values.get("tools", ())))

    @classmethod
    def of_pair(cls, inputs: str, targets: str) -> Conversation:
        """One turn of the user and one of the assistant."""
        return cls(({"role": "user", "content": inputs}, {"role": ASSISTANT, "content": targets}))

    @property
    def text(self) -> str:
        """Canonical JSON: the same conversation has the same text."""
        values: dict[str, Any] = {"messages": list(self.messages)}
        if self.tools:
            values["tools"] = list(self.tools)
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=str)

    @property
    def learned(self) -> tuple[int, ...]:
        """The places of the turns that are learned. What the assistant says before the user does is context,
        as nobody has asked for it."""
        first = next((place for place, message in enumerate(self.messages) if message["role"] == "user"), 0)
        return tuple(
            place
            for place, message in enumerate(self.messages)
            if place > first and message["role"] == ASSISTANT and message.get(WEIGHT, 1)
        )

    def until(self, place: int) -> Conversation:
        """The messages up to `place`, a turn of the assistant, which is the only one that is learned."""
        before = (
            {**message, WEIGHT: 0} if message["role"] == ASSISTANT else message
            for message in self.messages[:place]
        )
        return Conversation((*before, self.messages[place]), self.tools)


def thinking_of(message: Message) -> str:
    """What the assistant thought, where a field of its own holds it; else an empty text."""
    return next((str(message[name]) for name in THINKING if message.get(name)), "")


def readable(messages: Sequence[Message]) -> tuple[str, str]:
    """Inputs and targets as plain texts: the last message, and all before it.

    A single user message is its text alone. In longer conversations each turn is a paragraph that begins with
    its speaker, and the inputs end with the speaker whose turn comes next. Texts stay as they are,
    indentation included. A tool call is written as the JSON of its name and arguments.
    """
    *before, last = messages
    first = [message["content"] for message in before if message["role"] in ("system", "developer")]
    spoken = [message for message in before if message["role"] not in ("system", "developer")]
    if len(spoken) == 1 and spoken[0]["role"] == "user":
        return "\n\n".join([*first, spoken[0]["content"]]), _written(last, thinking=True)
    turns = [f"{message['role'].capitalize()}: {_written(message)}" for message in spoken]
    return "\n\n".join([*first, *turns, "Assistant:"]), _written(last, thinking=True)


def _written(message: Message, *, thinking: bool = False) -> str:
    thought = thinking_of(message) if thinking else ""
    parts = [f"<think>\n{thought}\n</think>\n"] if thought else []
    parts += [message["content"]] if message.get("content") else []
    calls = "\n".join(
        json.dumps({"name": call["function"]["name"], "arguments": arguments_of(call)}, ensure_ascii=False)
        for call in message.get("tool_calls", ())
    )
    separator = "\n" if calls and message.get("content") else ""
    return "".join(parts) + separator + calls


def arguments_of(call: Mapping[str, Any]) -> Any:
    """The arguments of a tool call as an object where their text is the JSON of one, else the text."""
    arguments = call["function"].get("arguments", {})
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments)
        except ValueError:
            return arguments
        return parsed if isinstance(parsed, dict) else arguments
    return arguments
