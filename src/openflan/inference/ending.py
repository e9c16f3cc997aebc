"""When a generation ends, and its text.

A stop string can only be completed by a token whose own text holds its last character, so most tokens need no
decoding. For the others the end of the text is decoded; if it holds a stop string, the whole text decides.
"""

from __future__ import annotations

from typing import Any

from openflan.inference.protocol import Completion, Finish

_SLACK = 8
"""Tokens that are decoded beyond a stop string's length in bytes. A token has at least one byte, but
special tokens may be empty."""


class Ending:
    """Decides when a generation ends, by a tokenizer and the ids that end a sequence."""

    def __init__(self, tokenizer: Any, eos: frozenset[int]) -> None:
        self.tokenizer = tokenizer
        self.eos = eos
        self._may_end: dict[tuple[tuple[str, ...], int], bool] = {}

    def is_over(self, new: list[int], stop: tuple[str, ...], max_tokens: int) -> bool:
        """Whether the newest of the generated tokens is the last one."""
        return new[-1] in self.eos or len(new) >= max_tokens or (bool(stop) and self.stops(new, stop))

    def stops(self, new: list[int], stop: tuple[str, ...]) -> bool:
        """Whether the newest token completes a stop string."""
        key = stop, new[-1]
        if key not in self._may_end:
            own = self.text(new[-1:])
            # An empty or replaced text is part of a character; white space at a word's start is not seen in
            # the word alone.
            self._may_end[key] = (
                not own or "\ufffd" in own or any(mark[-1] in own or mark[-1].isspace() for mark in stop)
            )
        if not self._may_end[key]:
            return False
        tail = self.text(new[-max(len(mark.encode()) for mark in stop) - _SLACK :])
        # The end of a text may decode differently from the whole, and the whole text is what is shortened in
        # the end.
        return any(mark in tail for mark in stop) and any(mark in self.text(new) for mark in stop)

    def completion(self, new: list[int], stop: tuple[str, ...], sample: int = 0) -> Completion:
        """The generated tokens as text, up to the end of sequence and the first stop string."""
        end = next((position for position, token in enumerate(new) if token in self.eos), None)
        kept = new if end is None else new[: end + 1]
        text = self.text(kept)
        cut = min((place for mark in stop if (place := text.find(mark)) >= 0), default=None)
        finish: Finish = "stop" if cut is not None else "length" if end is None else "eos"
        return Completion(text if cut is None else text[:cut], len(kept), finish, sample, tuple(kept))

    def text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
