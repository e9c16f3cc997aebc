"""The engine behind an address, against a small server of the tests' own."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from openflan.errors import InputError, SetupError
from openflan.inference import Completion, HttpEngine, Request
from openflan.inference.http import KEYS
from openflan.inference.protocol import LikelihoodEngine, Turn

SECRET = "sk-very-secret-0123"
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Server:
    """Answers by `reply(number of the call, path, body)`; remembers what it was asked."""

    address: str = ""
    reply: Callable[[int, str, dict[str, Any]], Answer] = lambda number, path, body: (
        200,
        echoed(path, body),
        {},
    )
    calls: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    most_at_once: int = 0


def echoed(path: str, body: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    chat = path.endswith("chat/completions")
    prompt = body["messages"][0]["content"] if chat else body["prompt"]
    text = f"{'chat ' if chat else ''}{prompt} {body.get('seed', '')}".strip()
    choice = {"message": {"content": text}} if chat else {"text": text}
    return {"choices": [{**choice, "finish_reason": finish}], "usage": {"completion_tokens": 3}}


@pytest.fixture
def server() -> Iterator[Server]:
    server_state, lock, at_once = Server(), threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                at_once[0] += 1
                server_state.most_at_once = max(server_state.most_at_once, at_once[0])
                server_state.calls.append((self.path, body, self.headers.get("Authorization")))
                index = len(server_state.calls)
            code, value, headers = server_state.reply(index, self.path, body)
            with lock:
                at_once[0] -= 1
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            with suppress(ConnectionError):  # a caller that gave up
                self.send_response(code)
                for name, header_value in headers.items():
                    self.send_header(name, header_value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server_state.address = f"http://127.0.0.1:{listening.server_port}/v1"
    yield server_state
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def _engine(server: Server, **changes: Any) -> HttpEngine:
    return HttpEngine(server.address, "m", **{"sleep": lambda seconds: None, **changes})


def test_prompts_are_answered_and_cut(server: Server) -> None:
    requests = [Request(f"say {place}", 5, ("y 1",) if place == 1 else ()) for place in range(20)]
    answered = dict(_engine(server, parallel=3).generate(requests))
    assert answered[0] == Completion("say 0", 3, "eos")
    assert answered[1] == Completion("sa", 3, "stop")
    assert sorted(answered) == list(range(20))
    path, body, key = next(call for call in server.calls if call[1]["prompt"] == "say 0")
    assert (path, key) == ("/v1/completions", None)
    assert body == {"model": "m", "max_tokens": 5, "temperature": 0.0, "prompt": "say 0"}
    assert 1 <= server.most_at_once <= 3


def test_messages_and_samples(server: Server) -> None:
    engine = _engine(server, chat=True)
    request = Request("hi", 5, ("\n",), samples=4, temperature=0.7, top_k=40)
    answered = {one.sample: one.text for _, one in engine.generate([request])}
    assert len(set(answered.values())) == 4  # a seed each
    assert answered == {one.sample: one.text for _, one in engine.generate([request])}
    path, body, _ = server.calls[0]
    assert path == "/v1/chat/completions"
    assert (body["messages"], body["stop"], body["top_k"]) == (
        [{"role": "user", "content": "hi"}],
        ["\n"],
        40,
    )
    assert engine.fingerprint != _engine(server).fingerprint


def test_turns_before_a_prompt_are_messages_and_need_chat(server: Server) -> None:
    before = (Turn("system", "Be brief."), Turn("user", "hi"), Turn("assistant", "hello"))
    request = Request("and now?", 5, temperature=0.7, before=before)
    list(_engine(server, chat=True).generate([request, Request("and now?", 5, temperature=0.7)]))
    bodies = sorted((body for _, body, _ in server.calls), key=lambda body: len(body["messages"]))
    assert bodies[1]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "and now?"},
    ]
    # Draws are those of the whole conversation.
    assert bodies[0]["seed"] != bodies[1]["seed"]
    with pytest.raises(InputError, match="need a chat template.*with a server: `--chat`"):
        list(_engine(server).generate([request]))
    assert len(server.calls) == 2


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_passes_is_tried_again(code: int, server: Server) -> None:
    pauses: list[float] = []
    server.reply = lambda number, path, body: (
        (code, {"error": "busy"}, {"Retry-After": "7"} if number == 2 else {})
        if number < 4
        else (200, echoed(path, body), {})
    )
    assert [one.text for _, one in _engine(server, sleep=pauses.append).generate([Request("a", 2)])] == ["a"]
    assert pauses == [1.0, 7.0, 4.0]


@pytest.mark.parametrize("answer", [(200, b"<html>", {}), (502, b"bad gateway", {})])
def test_a_server_that_keeps_failing(answer: Answer, server: Server) -> None:
    server.reply = lambda number, path, body: answer
    with pytest.raises(SetupError, match="no answer after 3 attempts"):
        list(_engine(server, attempts=3).generate([Request("a", 2)]))
    assert len(server.calls) == 3


def test_a_server_that_is_not_there(server: Server) -> None:
    engine = HttpEngine("http://127.0.0.1:9/v1", "m", attempts=2, sleep=lambda seconds: None)
    with pytest.raises(SetupError, match="start the server again"):
        list(engine.generate([Request("a", 2)]))


def test_a_call_that_takes_too_long_is_given_up(server: Server) -> None:
    server.reply = lambda number, path, body: (
        time.sleep(0.4 if number == 1 else 0) or (200, echoed(path, body), {})
    )
    assert [one.text for _, one in _engine(server, seconds=0.15).generate([Request("a", 2)])] == ["a"]
    assert len(server.calls) == 2


def test_the_key_is_sent_and_never_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    engine = _engine(server, attempts=2)
    list(engine.generate([Request("a", 2)]))
    assert server.calls[-1][2] == f"Bearer {SECRET}"
    messages = [repr(engine), engine.fingerprint]
    for code in (400, 401, 403, 404, 500):
        server.reply = lambda number, path, body, code=code: (code, {"error": f"what is {SECRET}?"}, {})
        with pytest.raises((InputError, SetupError)) as caught:
            list(engine.generate([Request("a", 2)]))
        messages.append(str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__))
    assert "set OPENFLAN_API_KEY or OPENAI_API_KEY" in messages[3]
    assert not any(SECRET in message for message in messages)
    assert SECRET not in "".join(capfd.readouterr())
    monkeypatch.setenv("OPENFLAN_API_KEY", "other")
    server.reply = Server().reply
    list(engine.generate([Request("a", 2)]))
    assert server.calls[-1][2] == "Bearer other"


def test_a_redirection_is_not_followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    server.reply = lambda number, path, body: (302, b"", {"Location": f"{server.address}/elsewhere"})
    with pytest.raises(InputError, match="302"):
        list(_engine(server).generate([Request("a", 2)]))
    assert [path for path, _, _ in server.calls] == ["/v1/completions"]


def test_prompts_that_do_not_fit(server: Server) -> None:
    refusal = (400, {"error": {"message": "This model's maximum context length is 5 tokens."}}, {})
    server.reply = lambda number, path, body: (
        refusal if "long" in body["prompt"] else (200, echoed(path, body, "length"), {})
    )
    answered = dict(_engine(server).generate([Request("long", 2), Request("a", 2)]))
    assert answered == {0: Completion("", 0, "too-long"), 1: Completion("a", 3, "length")}


def test_calls_begin_at_the_rate_that_was_asked(server: Server) -> None:
    pauses: list[float] = []
    list(_engine(server, per_minute=600.0, sleep=pauses.append, parallel=1).generate([Request("a", 2)] * 4))
    assert len(pauses) == 3
    assert all(0 < pause < 0.1 * (place + 1) for place, pause in enumerate(pauses))


@pytest.mark.parametrize(
    ("address", "model", "said"),
    [
        ("http://", "m", "expected the address of a server"),
        ("ftp://x/v1", "m", "expected the address of a server"),
        ("http://me:word@host/v1", "m", "no user or password"),
        ("http://host/v1", "", "--model-name"),
    ],
)
def test_addresses_that_cannot_be_meant(address: str, model: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        HttpEngine(address, model)
    assert "word@" not in str(caught.value)


def test_a_server_does_not_score_given_texts(server: Server) -> None:
    assert not isinstance(_engine(server), LikelihoodEngine)
    server.reply = lambda number, path, body: (200, {"choices": []}, {})
    with pytest.raises(SetupError, match="an answer without a completion"):
        list(_engine(server).generate([Request("a", 2)]))


def completed(text: str) -> bytes:
    return (
        b'{"choices": [{"text": '
        + text.encode()
        + b', "finish_reason": "stop"}], "usage": {"completion_tokens": 3}}'
    )


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r'"a \ud83d"', "a \ufffd"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\ude00\ud83d"', "\ufffd\ufffd"),
        ("null", ""),
    ],
)
def test_half_characters_of_a_server_are_replaced(text: str, read: str, server: Server) -> None:
    server.reply = lambda number, path, body: (200, completed(text), {})
    assert [one.text for _, one in _engine(server).generate([Request("x", 5)])] == [read]


@pytest.mark.parametrize(
    "answer",
    [
        completed("7"),
        completed('["a"]'),
        b"[" * 100_000,
        b"7" * 5_000,
        b"[]",
        b'{"choices": {}}',
        b'{"choices": [7]}',
        b"\xff",
    ],
)
def test_answers_of_wrong_types_are_one_line(answer: bytes, server: Server) -> None:
    server.reply = lambda number, path, body: (200, answer, {})
    with pytest.raises(SetupError) as raised:
        list(_engine(server, attempts=2).generate([Request("x", 5)]))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_wait_that_is_no_number_is_none(server: Server) -> None:
    waits: list[float] = []
    server.reply = lambda number, path, body: (
        (429, {}, {"Retry-After": "nan"}) if number == 1 else (200, echoed(path, body), {})
    )
    list(_engine(server, sleep=waits.append).generate([Request("x", 5)]))
    assert waits == [1.0]


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1/v1",
        "http://localhost:port/v1",
        "http://localhost:99999/v1",
        "http://local host/v1",
        "http://localhost/\n",
    ],
)
def test_malformed_addresses_are_refused(address: str) -> None:
    with pytest.raises(InputError, match="address of a server"):
        HttpEngine(address, "m")


def test_a_key_with_a_line_break_is_named_and_not_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEYS[0], SECRET + "\n")
    with pytest.raises(SetupError, match=KEYS[0]) as raised:
        list(_engine(server).generate([Request("x", 5)]))
    assert SECRET not in str(raised.value)


def test_an_endless_body_ends_at_a_size(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openflan.inference.http._MAX_BYTES", 1_000)
    server.reply = lambda number, path, body: (200, b" " * 100_000, {})
    with pytest.raises(SetupError, match="an answer of more than"):
        list(_engine(server).generate([Request("x", 5)]))
