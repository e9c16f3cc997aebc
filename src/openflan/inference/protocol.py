"""Requests to an inference engine and its answers, without any model library.

Decision: an engine yields answers in the order in which they end, with the index of the request, so that it
can sort and batch freely and a caller can write each answer at once. Price: callers that need the order of
the requests sort the answers themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from openflan.errors import InputError

Role: TypeAlias = Literal["system", "user", "assistant"]
"""Who speaks in a turn of a conversation."""

Finish: TypeAlias = Literal["eos", "stop", "length", "too-long"]
"""Why a generation ended: the model's end of sequence, a stop string, `max_tokens`, or a prompt that does not
fit the model's context."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation: who speaks, and the text."""

    role: Role
    content: str

    def message(self) -> dict[str, str]:
        """The turn as chat templates and servers read it."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt, the most tokens to generate (at least 1), and strings before which the text ends.

    Decoding is greedy at `temperature` 0. Above it `samples` completions are drawn, from the `top_k`
    likeliest tokens of each position (0: from all). A drawn token depends on prompt, temperature, top_k,
    `seed`, sample and position only, so more samples or tokens leave the former ones unchanged.

    `before` are the turns of a conversation before the prompt, which is then the user's next message: a
    system message, if there is one, and earlier questions with their answers. Only an engine that puts
    prompts into a chat template takes them.

    With `thinking_tokens` above 0 a thinking block (`thinking.py`) is taken out of the text: it may have so
    many tokens, `max_tokens` and `stop` apply to what follows it. A text without a block is not concerned. At
    0 blocks are text like any other.

    `conversation` is the text of a conversation (`packing.message_form.asked`) whose last turn is to be
    answered. An engine that puts prompts into a chat template sends the messages before that turn instead of
    `prompt`, which writes them readably; any other engine sends `prompt`. It excludes `before`.
    """

    prompt: str
    max_tokens: int
    stop: tuple[str, ...] = ()
    samples: int = 1
    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0
    before: tuple[Turn, ...] = ()
    thinking_tokens: int = 0
    conversation: str | None = None

    def messages(self) -> list[dict[str, str]]:
        """The conversation whose last message is the prompt, as chat templates and servers read it."""
        return [*(turn.message() for turn in self.before), Turn("user", self.prompt).message()]

    def check(self, *, chat: bool) -> None:
        """Raises InputError for impossible numbers, and for turns before the prompt where prompts are not put
        into a chat template (`chat` is false)."""
        if self.samples < 1:
            raise InputError(f"samples is {self.samples}, expected at least 1")
        if self.max_tokens < 1:
            raise InputError(f"max_tokens is {self.max_tokens}, expected at least 1")
        if self.thinking_tokens < 0:
            raise InputError(f"thinking_tokens is {self.thinking_tokens}, expected at least 0")
        if not self.temperature >= 0 or self.top_k < 0:
            raise InputError(
                f"temperature is {self.temperature} and top_k {self.top_k}, expected neither below 0"
            )
        if self.before and not chat:
            raise InputError(
                "a system message and earlier turns need a chat template, and this model's prompts are not "
                "put into one: leave them out, or use a chat model (with a server: `--chat`)"
            )
        if self.before and self.conversation is not None:
            raise InputError("a request has earlier turns and a conversation: the latter holds its own turns")


@dataclass(frozen=True, slots=True)
class Completion:
    """A generated text: `text` without stop string and special tokens; `tokens` counts all generated tokens,
    the end of sequence included.

    `sample` counts from 0. `ids` are the generated tokens, the end of sequence included; empty where a server
    does not say them. `thinking` is the text of a thinking block, None without one; `thinking_closed` is
    false if nothing closed it, and then `text` is empty. `thinking_tokens` counts the block's tokens, its
    marks included; None where a server does not say it. Completions that differ in `ids` only are equal.
    """

    text: str
    tokens: int
    finish: Finish
    sample: int = 0
    thinking: str | None = None
    thinking_closed: bool = True
    thinking_tokens: int | None = None
    ids: tuple[int, ...] = field(default=(), compare=False)


ShowText: TypeAlias = Callable[[str], None]
"""Called with each further piece of a text while it is generated."""


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
class StreamingEngine(Protocol):
    """An engine that shows a text while it is generated, which a server's engine cannot."""

    def stream(self, request: Request, show: ShowText) -> Completion:
        """The completion of one request with one sample. `show` is called with pieces that make up its
        text."""
        ...


@runtime_checkable
class LikelihoodEngine(Protocol):
    """An engine that can also score given texts, which not every server can."""

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> Iterator[tuple[int, OptionScores]]:
        """The scores of each request's options, with the request's index, in any order."""
        ...
