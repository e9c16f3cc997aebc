"""What an engine is asked and what it answers, without any model library.

Decision: an engine yields completions in whatever order it finishes them, with the position of the request, so that it may sort and batch as it
likes and a caller can write each one down at once. Price: callers that want the order of the requests sort for themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Finish: TypeAlias = Literal["eos", "stop", "length", "too-long"]
"""Why a generation ended: the model's end of sequence, a stop string, `max_tokens`, or a prompt that does not fit the model's context."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt, the most tokens to generate (at least 1), and strings at which the text is cut; decoding is greedy."""

    prompt: str
    max_tokens: int
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What was generated: `text` without stop string and special tokens; `tokens` counts what the model produced, its end of sequence included."""

    text: str
    tokens: int
    finish: Finish


class Engine(Protocol):
    """A loaded model. `fingerprint` changes with anything that may change a completion."""

    @property
    def fingerprint(self) -> str: ...

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """One completion a request, each with the request's index, in any order."""
        ...
