"""Requests to servers of files: patient with busy ones, and careful with a token."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from typing import IO, Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from openflan import __version__
from openflan.errors import SetupError

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request is made again."""

CUT = (HTTPException, URLError, ConnectionError, TimeoutError, OSError)
"""What a connection that breaks raises."""

ATTEMPTS = 6
"""How often a request is made by default that gets no answer, or one of BUSY."""

_SECONDS = 60
_LONGEST_WAIT = 330.0
"""The hub counts requests over five minutes."""


class Missing(Exception):
    """The server has nothing at an address (404, 410), or says that it is not for this user (401, 403:
    `forbidden`)."""

    def __init__(self, address: str, status: int) -> None:
        super().__init__(f"{address}: {status}")
        self.status = status

    @property
    def forbidden(self) -> bool:
        return self.status in (401, 403)


class Unreachable(SetupError):
    """A server does not answer, or stays busy: the other files of it cannot be had either. `reason` says what
    happened, without the address and the remedy."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address}: {reason}; run the same command again later, as what is done is kept")
        self.reason = reason


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, and takes the token away where they lead to another host."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        request = super().redirect_request(req, fp, code, msg, cast(Any, headers), newurl)
        if request is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            request.remove_header("Authorization")
        return request


@dataclass(frozen=True)
class Requests:
    """Makes requests, each at most `attempts` times. `token` goes to `token_host` alone; `say` gets a line
    for each wait; `sleep` waits so many seconds."""

    token: str | None = field(default=None, repr=False)
    token_host: str = ""
    say: Callable[[str], None] = lambda line: None
    sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds)
    attempts: int = ATTEMPTS

    @contextmanager
    def answer(self, address: str, headers: Mapping[str, str] | None = None) -> Iterator[HTTPResponse]:
        """One answer, which may be read in the block.

        Raises Missing, SetupError for other refusals, and one of CUT if the connection breaks; waits and asks
        again where the server is busy or cannot be reached, and raises SetupError after ATTEMPTS.
        """
        with self._open(address, headers or {}) as response:
            yield response

    def _open(self, address: str, headers: Mapping[str, str]) -> HTTPResponse:
        for attempt in range(1, self.attempts + 1):
            request = Request(address, headers={"User-Agent": f"openflan/{__version__}", **headers})  # noqa: S310
            if self.token and urlsplit(address).netloc == self.token_host:
                request.add_header("Authorization", f"Bearer {self.token}")
            try:
                opener: OpenerDirector = build_opener(_Redirects())
                return cast(HTTPResponse, opener.open(request, timeout=_SECONDS))
            except HTTPError as error:
                error.close()
                if error.code in (401, 403, 404, 410):
                    raise Missing(address, error.code) from None
                if error.code == 416:
                    raise
                if error.code not in BUSY:
                    raise SetupError(f"{address}: the server says {error.code} ({error.reason})") from None
                reason, wait = f"the server says {error.code}", waiting_time(error.headers, attempt)
            except CUT as error:
                reason, wait = f"no connection ({_one_line(error)})", waiting_time({}, attempt)
            if attempt == self.attempts:
                break
            self.say(f"{address}: {reason}; asking again in {wait:,.0f} s")
            self.sleep(wait)
        raise Unreachable(address, f"{reason}, {self.attempts} times")

    def pages(self, address: str) -> Iterator[Any]:
        """The JSON values at an address and at those that its answers name as the next. Raises as
        `answer` does."""
        following: str | None = address
        while following:
            with self.answer(following) as response:
                try:
                    value = json.loads(response.read())
                except ValueError:
                    raise SetupError(
                        f"{following}: no JSON; is this the address of a server that gives lists?"
                    ) from None
                match = re.search(r'<([^>]*)>\s*;\s*rel="?next"?', response.headers.get("Link") or "")
                following = _on_same_server(following, match[1]) if match else None
            yield value


def _on_same_server(address: str, following: str) -> str:
    """The next address; mirrors name the hub in it."""
    asked, named = urlsplit(address), urlsplit(following)
    return named._replace(scheme=asked.scheme, netloc=asked.netloc).geturl()


def waiting_time(headers: Mapping[str, str] | Message, attempt: int) -> float:
    """Seconds to wait before the next attempt: what the server asks for (`Retry-After` as seconds or a date,
    or the hub's `RateLimit: ...;t=SECONDS`), else 1, 2, 4, ...; at most 330."""
    after, limit = headers.get("Retry-After"), headers.get("RateLimit")
    seconds: float | None = None
    if after and after.strip().isdigit():
        seconds = float(after)
    elif after:
        try:
            seconds = (parsedate_to_datetime(after) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            seconds = None
    elif limit and (match := re.search(r"\bt=(\d+)", limit)):
        seconds = float(match[1])
    return min(max(seconds if seconds is not None else 2.0 ** (attempt - 1), 0.0), _LONGEST_WAIT)


def _one_line(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split())[:120] or type(error).__name__
