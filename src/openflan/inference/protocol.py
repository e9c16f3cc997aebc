"""Requests to an inference engine and its answers, without any model library.

Decision: an engine yields answers in the order in which they end, with the index of the request, so that it
can sort and batch freely and a caller can write each answer at once. Price: callers that need the order of
the requests sort the answers themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

Finish: TypeAlias = Literal["eos", "stop", "length", "too-long"]
"""Why a generation ended: the model's end of sequence, a stop string, `max_tokens`, or a prompt that does not
fit the model's context."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt, the most tokens to generate (at least 1), and strings before which the text ends.

    Decoding is greedy at `temperature` 0. Above it `samples` completions are drawn, from the `top_k`
    likeliest tokens of each position (0: from all). A drawn token depends on prompt, temperature, top_k,
    `seed`, sample and position only, so more samples or tokens leave the former ones unchanged.

    `conversation` is the text of a conversation (`packing.message_form.asked`) whose last turn is to be
    answered. An engine that puts prompts into a chat template sends the messages before that turn instead of
    `prompt`, which writes them readably; any other engine sends `prompt`.
    """

    prompt: str
    max_tokens: int
    stop: tuple[str, ...] = ()
    samples: int = 1
    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A generated text: `text` without stop string and special tokens; `tokens` counts all generated tokens,
    the end of sequence included.

    `sample` counts from 0.
    """

    text: str
    tokens: int
    finish: Finish
    sample: int = 0


@dataclass(frozen=True, slots=True)
class LikelihoodRequest:
    """A prompt and its options, texts that may follow it (at least one). Each option is scored unchanged,
    without an end of sequence after it."""

    prompt: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OptionScores:
    """Natural logarithms of the options' probabilities, summed over their tokens, and how many tokens each
    has. Both are empty if the prompt does not fit."""

    log_probabilities: tuple[float, ...]
    tokens: tuple[int, ...]

    @property
    def too_long(self) -> bool:
        return not self.tokens


class InferenceEngine(Protocol):
    """A loaded model. `fingerprint` changes with anything that may change a completion."""

    @property
    def fingerprint(self) -> str: ...

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """One completion a request and sample, each with the request's index, in any order."""
        ...


@runtime_checkable
class LikelihoodEngine(Protocol):
    """An engine that can also score given texts, which not every server can."""

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> Iterator[tuple[int, OptionScores]]:
        """The scores of each request's options, with the request's index, in any order."""
        ...
