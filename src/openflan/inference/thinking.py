"""Thinking blocks of reasoning models: what a model writes for itself before its answer.

Pure functions over text. Known spellings: `<think>...</think>` (Qwen3, DeepSeek-R1, SmolLM3, GLM) and words
like it in angle brackets, `[THINK]...[/THINK]` (Magistral), `<|begin_of_thought|>` (Sky-T1), and the channels
of OpenAI's harmony format (GPT-OSS), with their special tokens or as they read without them
(`analysis...assistantfinal...`). A chat template may open the block in the prompt (DeepSeek-R1): then the
text only closes it. Text without any of these marks is returned as it is, to the character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """A text in two parts. `thinking` is what stands inside blocks, without the marks, None without any
    block; `answer` is the rest, empty if a block is not `closed`."""

    answer: str
    thinking: str | None = None
    closed: bool = True


PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
"""The marks that open and close a block, by pairs."""

CHANNEL, MESSAGE = "<|channel|>", "<|message|>"
FINAL = f"{CHANNEL}final{MESSAGE}"
HARMONY = (CHANNEL, MESSAGE, "<|start|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>")
"""The special tokens of harmony."""

_HARMONY_OPENS = tuple(f"{CHANNEL}{name}" for name in ("analysis", "commentary"))
OPENS = (*(opens for opens, _ in PAIRS), *_HARMONY_OPENS)
"""The marks with which a thinking block begins."""

CLOSES = (*(closes for _, closes in PAIRS), FINAL)
"""The marks after which the answer begins."""

MARKS = (*(mark for pair in PAIRS for mark in pair), *HARMONY)
"""Marks that a tokenizer may hold as special tokens, which decoding leaves out."""

_OPENED_BY = dict(PAIRS)
_MARK = re.compile("|".join(re.escape(mark) for pair in PAIRS for mark in pair))
_ENDS = re.compile(r"<\|(?:end|return|call)\|>.*", re.DOTALL)
_HARMONY_MARK = re.compile(r"<\|start\|>[a-z]*|<\|channel\|>[a-z ]*|<\|(?:message|end|return|call)\|>")
_BARE_FINAL = re.compile(r"assistant\s*final")
_BARE_START = re.compile(r"\s*analysis(?=[A-Z\"'“(\d])")
"""Harmony without its special tokens: the channel's name and the text without a blank between."""


def split_thinking(text: str, *, opened: bool = False) -> Split:
    """The thinking and the answer of a text; `opened` says that the prompt ends with the mark that opens a
    block.

    A block that nothing closes makes the whole text unanswered, wherever it begins. A closing mark without an
    opening one closes a block of the prompt: all text before it is thinking.
    """
    if CHANNEL in text or (opened and "<|end|>" in text):
        return _split_harmony(text, opened=opened)
    bare = _BARE_START.match(text)
    if bare:
        finals = list(_BARE_FINAL.finditer(text))
        if not finals:
            return Split("", text[bare.end() :].strip(), closed=False)
        return Split(text[finals[-1].end() :], text[bare.end() : finals[-1].start()].strip())
    return _split_pairs(text, opened=opened)


def opens_thinking(prompt: str) -> bool:
    """Whether a prompt ends, apart from white space, with a mark that opens a block."""
    marks = (*_OPENED_BY, *(f"{opens}{MESSAGE}" for opens in _HARMONY_OPENS))
    return prompt.rstrip().endswith(marks)


def begins(text: str) -> bool | None:
    """Whether a text begins with a thinking block, after white space; None while it may still become one."""
    start = text.lstrip()
    if start.startswith(OPENS):
        return True
    if any(mark.startswith(start) for mark in OPENS):
        return None
    return False


def _split_pairs(text: str, *, opened: bool) -> Split:
    first = _MARK.search(text)
    if first is None:
        return Split("", text.strip(), closed=False) if opened else Split(text)
    answer: list[str] = []
    thinking: list[str] = []
    position = 0
    if opened and first[0] in _OPENED_BY:
        # Some models write the mark again that their prompt ends with.
        position = first.end() if not text[: first.start()].strip() else 0
    inside = opened
    closing = ""
    for mark in _MARK.finditer(text, position):
        if inside:
            if mark[0] == closing or (not closing and mark[0] not in _OPENED_BY):
                thinking.append(text[position : mark.start()].strip())
                inside, position = False, mark.end()
        elif mark[0] in _OPENED_BY:
            answer.append(text[position : mark.start()])
            inside, closing, position = True, _OPENED_BY[mark[0]], mark.end()
        else:
            thinking += [part for part in (*answer, text[position : mark.start()].strip()) if part.strip()]
            answer, position = [], mark.end()
    rest = text[position:]
    if inside:
        return Split("", "\n\n".join((*thinking, rest.strip())), closed=False)
    return Split("".join((*answer, rest)), "\n\n".join(thinking))


def _split_harmony(text: str, *, opened: bool) -> Split:
    before, final, answer = text.rpartition(FINAL)
    if not final:
        return Split("", _HARMONY_MARK.sub("", text).strip(), closed=False)
    thinking = _HARMONY_MARK.sub("", before).strip()
    written = _ENDS.sub("", answer)
    return Split(written, thinking) if thinking or opened else Split(written)
