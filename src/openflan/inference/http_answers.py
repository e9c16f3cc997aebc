"""What a server with OpenAI's API answered, as a completion.

Servers that find thinking blocks themselves send them beside the answer: as `reasoning_content` (DeepSeek,
vLLM, SGLang, llama.cpp), as `reasoning` (OpenRouter, newer vLLM, Ollama), or as parts of the content
(Mistral). Others leave them in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openflan.errors import SetupError
from openflan.inference.protocol import Completion, Finish, Request
from openflan.inference.thinking import Split, split_thinking

_MAX_QUOTED = 300
_MAX_TOKENS = 1 << 31
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")


def completion_of(
    response: Any, request: Request, sample: int, address: str, *, opened: bool = False
) -> Completion:
    """The completion in a server's answer; `opened`: the prompt ends within a thinking block.

    Raises SetupError, naming `address`, for an answer without one.
    """
    try:
        choice = response["choices"][0]
        message = (
            choice["message"] if "message" in choice else {"content": choice["text"], **_reasoning(choice)}
        )
        text, reasoning = _texts(message)
        usage = response.get("usage") or {}
        tokens = _count(usage.get("completion_tokens")) or 0
        thinking_tokens = _count((usage.get("completion_tokens_details") or {}).get("reasoning_tokens"))
        finish: Finish = "length" if choice.get("finish_reason") == "length" else "eos"
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise SetupError(
            f"{address}: an answer without a completion ({repr(error)[:_MAX_QUOTED]}): is this a server that "
            "speaks OpenAI's protocol?"
        ) from None
    split = Split(text)
    if request.thinking_tokens:
        split = split_thinking(text, opened=opened and not reasoning)
        if reasoning:
            thinking = "\n\n".join(part for part in (reasoning, split.thinking) if part)
            # A server that was stopped while its model thought sends no answer.
            closed = split.closed and (bool(split.answer.strip()) or finish != "length")
            split = Split(split.answer, thinking, closed)
    answer = split.answer
    cut = min((place for mark in request.stop if (place := answer.find(mark)) >= 0), default=None)
    if cut is not None:
        answer, finish = answer[:cut], "stop"
    counted = thinking_tokens if split.thinking is not None else None
    return Completion(answer, tokens, finish, sample, split.thinking, split.closed, counted)


def _reasoning(choice: Mapping[str, Any]) -> dict[str, Any]:
    return {key: choice[key] for key in _REASONING_KEYS if key in choice}


def _texts(message: Mapping[str, Any]) -> tuple[str, str]:
    """The answer and the thinking of a message. Raises TypeError for content that is no text."""
    sent = next((message[key] for key in _REASONING_KEYS if isinstance(message.get(key), str)), "")
    content, reasoning = (message.get("content") if sent else message["content"]), ""
    if isinstance(content, list):
        parts = content
        if not all(isinstance(part, Mapping) for part in parts):
            raise TypeError("its content is no list of parts")
        reasoning = "".join(_joined(part.get("thinking")) for part in parts if part.get("type") == "thinking")
        content = "".join(_joined(part.get("text")) for part in parts if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError("its text is none")
    return content or "", (reasoning or sent).strip()


def _joined(value: object) -> str:
    """A text, or the texts of a list of parts."""
    if isinstance(value, list):
        return "".join(_joined(part.get("text")) for part in value if isinstance(part, Mapping))
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_TOKENS
    return value if is_count else None  # type: ignore[return-value]
