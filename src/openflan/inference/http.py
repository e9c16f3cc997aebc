"""Completions from any server with OpenAI's API: vLLM, SGLang, llama.cpp, hosted models.

The completions endpoint takes the prompt as it is; with `chat` it becomes a user's message and the server
adds its template. Decisions: every sample is a call of its own, with a seed of its own, so that a run that
was killed continues with the samples that are missing. The key comes from the environment, is sent to the
given address only (redirections are not followed) and occurs in no message. Price: the weights are known by
the server's name for its model only, and a server may ignore `top_k` and `seed`.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPException
from threading import Event, Lock
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, build_opener
from urllib.request import Request as Call

from openflan.deadline import within
from openflan.errors import InputError, SetupError
from openflan.hashes import SHORT, sha256_of
from openflan.inference.http_answers import completion_of
from openflan.inference.protocol import Completion, Request
from openflan.inference.thinking import opens_thinking
from openflan.json_files import parse_json
from openflan.packing.message_form import SERVED, asked
from openflan.randomness import combine

KEYS = ("OPENFLAN_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, in the order in which they are tried."""

_RETRIED_CODES = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_REFUSED_CODES = frozenset({401, 403})
_TOO_LONG = (
    "context length",
    "context window",
    "context size",
    "maximum context",
    "too long",
    "exceeds the available",
    "max_model_len",
)
_MAX_WAIT = 60.0
_MAX_QUOTED = 300
_SEEDS = 1 << 31
_MAX_BYTES = 64 << 20
_MAX_ERROR_BYTES = 1 << 16
_PLAIN = re.compile(r"[!-~]+")
_HALF_CHARACTER = re.compile(
    r"(?P<escaped>\\\\)"
    r"|(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""In JSON, from the left: an escaped backslash, a pair that makes one character, or half of one."""


def is_address(model: str) -> bool:
    """Whether MODEL names a server."""
    return model.startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True)
class HttpEngine:
    """A model behind an address such as http://localhost:8000/v1.

    `parallel` calls are under way at once, at most `per_minute` begin in a minute (0: no limit), a call takes
    `seconds` at most and is tried `attempts` times. `sleep` waits.
    """

    address: str
    model: str
    chat: bool = False
    parallel: int = 8
    per_minute: float = 0.0
    seconds: float = 300.0
    attempts: int = 6
    sleep: Callable[[float], None] = time.sleep
    _rate_limit: _RateLimit = field(default_factory=lambda: _RateLimit(), repr=False)
    _thinks: Event = field(default_factory=Event, repr=False)

    def __post_init__(self) -> None:
        """Raises InputError for an invalid address or number."""
        try:
            parts = urlsplit(self.address)
            parts.port  # noqa: B018 - raises ValueError if it is none
        except ValueError as error:
            raise InputError(
                f"{self.address!r}: not the address of a server ({error}); expected one such as "
                "http://localhost:8000/v1"
            ) from None
        if not is_address(self.address) or not parts.hostname or not _PLAIN.fullmatch(self.address):
            raise InputError(
                f"{self.address!r}: expected the address of a server, such as http://localhost:8000/v1"
            )
        if parts.username or parts.password:
            raise InputError(
                f"{parts.scheme}://...@{parts.hostname}: no user or password in the address; set "
                f"{KEYS[0]} in the environment"
            )
        if not self.model:
            raise InputError(
                f"{self.address}: no name of one of its models is given; name one with `--model-name`"
            )
        if self.parallel < 1 or self.attempts < 1 or self.seconds <= 0 or self.per_minute < 0:
            raise InputError(
                "parallel calls and attempts are at least 1, a call's seconds above 0, calls a minute "
                "not below 0"
            )

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits for address, name and kind of prompt: the weights behind them are not
        known."""
        identity = json.dumps(["http", self.address.rstrip("/"), self.model, self.chat])
        return sha256_of(identity)[:SHORT]

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions in the order in which they arrive.

        Raises SetupError if the server cannot be reached, refuses the key or keeps failing, and InputError if
        it does not take the request, or for turns before a prompt without `chat`.
        """
        for request in requests:
            request.check(chat=self.chat)
        calls = (
            (index, sample) for index, request in enumerate(requests) for sample in range(request.samples)
        )
        pool = ThreadPoolExecutor(self.parallel)
        under_way: dict[Future[Completion], int] = {}
        try:
            for index, sample in calls:
                if len(under_way) >= self.parallel:
                    yield from self._finished(under_way)
                under_way[pool.submit(self._completion, requests[index], sample)] = index
            while under_way:
                yield from self._finished(under_way)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _finished(self, under_way: dict[Future[Completion], int]) -> Iterator[tuple[int, Completion]]:
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for call in sorted(done, key=under_way.__getitem__):
            yield under_way.pop(call), call.result()

    def _completion(self, request: Request, sample: int) -> Completion:
        """A completion within the limits of the request.

        A server has one limit for thinking and answer together, and applies stop strings to both. So a
        question is sent with `max_tokens` first; where the answer thinks and needs more, it is sent again
        with the sum of both limits and without stop strings. Once a model has thought, questions are sent
        that way at once, and an answer without thinking that is longer than `max_tokens` is asked for again.
        """
        if not request.thinking_tokens:
            return self._sent(request, sample)
        longer = replace(request, max_tokens=request.max_tokens + request.thinking_tokens)
        if not self._thinks.is_set():
            completion = self._sent(request, sample)
            if completion.thinking is None:
                return completion
            self._thinks.set()
            return completion if _is_whole(completion) else self._sent(longer, sample, stop=False)
        completion = self._sent(longer, sample, stop=False)
        fits = completion.finish != "length" and completion.tokens <= request.max_tokens
        return completion if completion.thinking is not None or fits else self._sent(request, sample)

    def _sent(self, request: Request, sample: int, *, stop: bool = True) -> Completion:
        """One call, with the request's `max_tokens` as the limit of all that is generated; with `stop` the
        server gets its stop strings too."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if self.chat and request.conversation is not None:
            messages, tools = asked(request.conversation, SERVED)
            body |= {"messages": messages, **tools}
        else:
            body |= {"messages": request.messages()} if self.chat else {"prompt": request.prompt}
        if request.stop and stop:
            body["stop"] = list(request.stop)
        if request.temperature > 0:
            before = [part for turn in request.before for part in (turn.role, turn.content)]
            body["seed"] = combine("http", request.prompt, request.seed, sample, *before) % _SEEDS
            if request.top_k:
                body["top_k"] = request.top_k
        try:
            response = self._post("chat/completions" if self.chat else "completions", body)
        except _TooLong:
            return Completion("", 0, "too-long", sample)
        opened = not self.chat and opens_thinking(request.prompt)
        return completion_of(response, request, sample, self.address, opened=opened)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer as JSON, after at most `attempts` attempts."""
        url = f"{self.address.rstrip('/')}/{path}"
        key = next((value for name in KEYS if (value := os.environ.get(name))), "")
        if key and not _PLAIN.fullmatch(key):
            name = next(name for name in KEYS if os.environ.get(name))
            raise SetupError(
                f"{name}: the key holds a line break, a blank or another character that no key has; set "
                "it again without"
            )
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        opener = build_opener(_NoRedirect)
        reason = ""
        for attempt in range(self.attempts):
            self._rate_limit.take(self.per_minute, self.sleep)
            pause = min(2.0**attempt, _MAX_WAIT)
            # The scheme was checked when the engine was made.
            call = Call(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310
            try:
                answer = within(self.seconds, partial(_read, opener, call, self.seconds))
                if not answer.failed:
                    return parse_json(_whole_characters(answer.content), "an answer")
            except (URLError, HTTPException, OSError) as error:
                reason = _without_key(key, str(getattr(error, "reason", error)) or type(error).__name__)
            except InputError as error:
                reason = str(error)
            except ValueError:
                reason = "an answer that is not HTTP"
            else:
                error_text = _without_key(key, " ".join(answer.content.decode("utf-8", "replace").split()))
                reason = f"{answer.code} {error_text[:_MAX_QUOTED]}"
                if answer.code not in _RETRIED_CODES:
                    raise self._refusal(answer.code, error_text, url)
                pause = _requested_wait(answer.retry_after, pause)
            if attempt + 1 < self.attempts:
                self.sleep(pause)
        raise SetupError(
            f"{url}: no answer after {self.attempts} attempts ({reason}); start the server again. The same "
            "command goes on where this one stopped"
        )

    def _refusal(self, code: int, error_text: str, url: str) -> Exception:
        if code in _REFUSED_CODES:
            return SetupError(
                f"{url}: the server refuses the call ({code}): set {' or '.join(KEYS)} in the "
                f"environment to a key that may use {self.model}"
            )
        if code in (400, 413, 422) and any(mark in error_text.lower() for mark in _TOO_LONG):
            return _TooLong()
        hint = (
            "; is the address complete (.../v1), the model's name right, and is it a chat model (`--chat`)?"
            if code == 404
            else ""
        )
        return InputError(
            f"{url}: the server does not take the request ({code} {error_text[:_MAX_QUOTED]}){hint}"
        )


class _TooLong(Exception):
    """Raised where the server's answer is that a prompt does not fit its model."""


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirection, which would send the key to another address."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _RateLimit:
    """Limits how many calls begin in a minute."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next = 0.0

    def take(self, per_minute: float, sleep: Callable[[float], None]) -> None:
        if per_minute <= 0:
            return
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + 60.0 / per_minute
        if begin > now:
            sleep(begin - now)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a server sent: status, body (of a failure its first part) and the header `Retry-After`."""

    code: int
    content: bytes
    failed: bool
    retry_after: str | None


def _read(opener: OpenerDirector, call: Call, seconds: float) -> _Answer:
    """The answer to one call. Raises SetupError for a body beyond the limit."""
    failed = False
    try:
        response = opener.open(call, timeout=seconds)
    except HTTPError as error:
        response, failed = error, True
    with response:
        if failed:
            content = response.read(_MAX_ERROR_BYTES)
        else:
            content = response.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise SetupError(
                    f"{call.full_url}: an answer of more than {_MAX_BYTES >> 20} MiB: is this a server "
                    "with OpenAI's API?"
                )
        return _Answer(response.status, content, failed, response.headers.get("Retry-After"))


def _whole_characters(content: bytes) -> str:
    """The answer as text; half characters, which servers send that cut between tokens, become U+FFFD as in
    any decoder."""
    text = content.decode("utf-8", "replace")
    return (
        _HALF_CHARACTER.sub(lambda found: found[0] if found["pair"] or found["escaped"] else "\\ufffd", text)
        if "\\u" in text
        else text
    )


def _requested_wait(header: str | None, otherwise: float) -> float:
    """The seconds that a server's `Retry-After` asks for, else `otherwise`."""
    try:
        asked = float(header or "")
    except ValueError:
        return otherwise
    return min(max(asked, 0.0), _MAX_WAIT) if not math.isnan(asked) else otherwise


def _without_key(key: str, text: str) -> str:
    return text.replace(key, "(key)") if key else text


def _is_whole(completion: Completion) -> bool:
    """True for a closed thinking block with an answer after it that no limit cut."""
    return completion.thinking_closed and completion.finish != "length" and bool(completion.text.strip())
