"""When a generation ends, and its text.

A stop string can only be completed by a token whose own text holds its last character, so most tokens need no
decoding. For the others the end of the text is decoded; if it holds a stop string, the whole text decides.

A thinking block at the start of a generation has a limit of its own, and stop strings do not end it: the
limit of the answer and its stop strings begin after the mark that closes the block.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from openflan.inference.protocol import Completion, Finish, Request
from openflan.inference.thinking import (
    CHANNEL,
    CLOSES,
    HARMONY,
    MARKS,
    begins,
    opens_thinking,
    split_thinking,
)

_SLACK = 8
"""Tokens that are decoded beyond a stop string's length in bytes. A token has at least one byte, but
special tokens may be empty."""

_OPENING = 24
"""Tokens at the end of a prompt that may spell the mark that opens a thinking block."""


@dataclass(slots=True)
class Progress:
    """How far a generation is: `thinking` is None while its text may still begin with a block, true within
    the block; `answer_start` is the number of tokens before the answer."""

    thinking: bool | None
    answer_start: int = 0


class Ending:
    """Decides when a generation ends, by a tokenizer and the ids that end a sequence."""

    def __init__(self, tokenizer: Any, eos: frozenset[int]) -> None:
        self.tokenizer = tokenizer
        self.eos = eos
        self._may_end: dict[tuple[tuple[str, ...], int], bool] = {}
        self._special_marks = _special_marks(tokenizer)

    def opens(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt ends with a mark that opens a thinking block."""
        return opens_thinking(self.marked(list(prompt[-_OPENING:])))

    def begin(self, request: Request, *, opened: bool = False) -> Progress:
        """The state of a generation without tokens; `opened`: its prompt ends within a thinking block."""
        return Progress((True if opened else None) if request.thinking_tokens else False)

    def is_over(self, new: list[int], request: Request, progress: Progress) -> bool:
        """Whether the newest of the generated tokens is the last one. To be called after each token, as
        `progress` is brought up to it."""
        if new[-1] in self.eos:
            return True
        if progress.thinking is not False:
            self._advance(new, progress)
            if progress.thinking:
                return len(new) >= request.thinking_tokens
            if progress.answer_start:
                return False
            if progress.thinking is None and len(new) >= request.max_tokens and self.marked(new).strip():
                # The text may be the start of a mark; `completion` cuts it if it is none.
                return len(new) >= request.max_tokens + request.thinking_tokens
        answer = new[progress.answer_start :]
        return len(answer) >= request.max_tokens or (bool(request.stop) and self.stops(answer, request.stop))

    def _advance(self, new: list[int], progress: Progress) -> None:
        """Finds out whether the newest token begins or ends a thinking block."""
        if progress.thinking is None:
            progress.thinking = begins(self.marked(new))
        elif self.stops(new, CLOSES, marked=True):
            progress.thinking, progress.answer_start = False, len(new)

    def stops(self, new: list[int], stop: tuple[str, ...], *, marked: bool = False) -> bool:
        """Whether the newest token completes a stop string; with `marked` in the text of `Ending.marked`."""
        read = self.marked if marked else self.text
        key = stop, new[-1]
        if key not in self._may_end:
            own = read(new[-1:])
            # An empty or replaced text is part of a character; white space at a word's start is not seen in
            # the word alone.
            self._may_end[key] = (
                not own or "\ufffd" in own or any(mark[-1] in own or mark[-1].isspace() for mark in stop)
            )
        if not self._may_end[key]:
            return False
        tail = read(new[-max(len(mark.encode()) for mark in stop) - _SLACK :])
        # The end of a text may decode differently from the whole, and the whole text is what is shortened in
        # the end.
        return any(mark in tail for mark in stop) and any(mark in read(new) for mark in stop)

    def completion(
        self, new: list[int], request: Request, sample: int = 0, *, opened: bool = False
    ) -> Completion:
        """The generated tokens as text, up to the end of sequence and the first stop string of the answer; a
        thinking block stands by itself."""
        end = next((position for position, token in enumerate(new) if token in self.eos), None)
        kept = new if end is None else new[: end + 1]
        finish: Finish = "length" if end is None else "eos"
        text, thinking, closed, tokens = self.text(kept), None, True, None
        if request.thinking_tokens:
            split = split_thinking(self.marked(kept), opened=opened)
            if split.thinking is not None:
                text, thinking, closed = split.answer, split.thinking, split.closed
                tokens = self._thinking_tokens(kept) if closed else len(kept)
            elif len(new) > request.max_tokens:
                return self.completion(new[: request.max_tokens], replace(request, thinking_tokens=0), sample)
        cut = min((place for mark in request.stop if (place := text.find(mark)) >= 0), default=None)
        if cut is not None:
            text, finish = text[:cut], "stop"
        return Completion(
            text,
            len(kept),
            finish,
            sample,
            thinking=thinking,
            thinking_closed=closed,
            thinking_tokens=tokens,
            ids=tuple(kept),
        )

    def _thinking_tokens(self, new: list[int]) -> int:
        """The number of tokens up to the last mark that closes a thinking block."""

        def num_closed(count: int) -> int:
            text = self.marked(new[:count])
            return sum(text.count(mark) for mark in CLOSES)

        return bisect_left(range(len(new) + 1), num_closed(len(new)), key=num_closed)

    def marked(self, ids: list[int]) -> str:
        """The text with the marks of thinking blocks, which a tokenizer may hold as special tokens."""
        if not self._special_marks:
            return self.text(ids)
        parts: list[str] = []
        first = 0
        for position, token in enumerate(ids):
            if token in self._special_marks:
                parts += [self.text(ids[first:position]), self._special_marks[token]]
                first = position + 1
        return "".join((*parts, self.text(ids[first:])))

    def text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _special_marks(tokenizer: Any) -> dict[int, str]:
    """The marks of thinking blocks that are special tokens of a tokenizer, by id. Some models end turns with
    `<|end|>` and have no channels: such a token is no mark."""
    special = set(getattr(tokenizer, "all_special_ids", None) or ())
    decoder = getattr(tokenizer, "added_tokens_decoder", None) or {}
    special |= {int(token) for token, added in decoder.items() if getattr(added, "special", False)}
    names = {str(tokenizer.convert_ids_to_tokens(token)): token for token in special} if special else {}
    known = [mark for mark in MARKS if mark in names]
    if CHANNEL not in names:
        known = [mark for mark in known if mark not in HARMONY]
    return {names[mark]: mark for mark in known}
