"""Servers that send a byte now and then, without end: a call ends by its deadline, whatever part is slow."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from openflan.deadline import within
from openflan.errors import SetupError
from openflan.inference import HttpEngine, Request

SECONDS = 0.4
HEAD = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"


def trickle(connection: socket.socket, part: bytes) -> None:
    """Sends `part` again and again, faster than any timeout of one read."""
    with suppress(OSError):
        while True:
            connection.sendall(part)
            time.sleep(SECONDS / 8)


def headers_without_end(connection: socket.socket) -> None:
    connection.sendall(HEAD % 200)
    trickle(connection, b"X-More: 1\r\n")


def body_without_end(connection: socket.socket) -> None:
    connection.sendall(HEAD % 200 + b"\r\n")
    trickle(connection, b" ")


def error_body_without_end(connection: socket.socket) -> None:
    connection.sendall(HEAD % 500 + b"\r\n")
    trickle(connection, b"e")


def nothing(connection: socket.socket) -> None:
    time.sleep(SECONDS * 6)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Starts a server with a behaviour for every connection; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def start(behaviour: Callable[[socket.socket], None]) -> str:
        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=read_and_answer, args=(connection,), daemon=True).start()

        def read_and_answer(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.recv(1 << 16)
                behaviour(connection)

        threading.Thread(target=answer, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/v1"

    yield start
    listening.close()


@pytest.mark.parametrize(
    "behaviour", [headers_without_end, body_without_end, error_body_without_end, nothing]
)
def test_a_call_ends_by_its_deadline(
    behaviour: Callable[[socket.socket], None], serve: Callable[[Callable[[socket.socket], None]], str]
) -> None:
    engine = HttpEngine(serve(behaviour), "m", seconds=SECONDS, attempts=2, sleep=lambda seconds: None)
    with pytest.raises(SetupError, match="no answer after 2 attempts"):
        within(SECONDS * 20, lambda: list(engine.generate([Request("a", 2)])))


def test_work_in_time_gives_its_value_or_its_error() -> None:
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)
    with pytest.raises(TimeoutError, match=r"not done within 0\.05 seconds"):
        within(0.05, lambda: time.sleep(2))
