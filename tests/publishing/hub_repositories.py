"""A stand-in for the part of the hub's API that writes: repositories, branches, large files, commits.

The addresses and answers are those that the hub's own library asks for and reads. Files of more than `LARGE`
bytes and all `.safetensors` go by the protocol for large files, as on the hub.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "stand-in"
LARGE = 100_000


@dataclass
class Repository:
    private: bool = False
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {}})
    messages: list[str] = field(default_factory=list)


@dataclass
class Hub:
    """What the server has, what it was asked (method and path), and what it answers wrongly: a status by the
    end of a path."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    faults: dict[str, int] = field(default_factory=dict)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def files(self, repository: str, branch: str = "main") -> dict[str, bytes]:
        return self.repositories[repository].branches[branch]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def commit_of(files: dict[str, bytes]) -> str:
    names = sorted((name, hashlib.sha256(content).hexdigest()) for name, content in files.items())
    return hashlib.sha256(repr(names).encode()).hexdigest()[:40]


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def do_PUT(self) -> None:
            self._answer("PUT")

        def _answer(self, method: str) -> None:
            body = self._body()
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{method} {path}")
            if path.startswith(("/api/models/", "/api/repos/")) or path.endswith("/objects/batch"):
                hub.tokens.add(self.headers["Authorization"])
            fault = next((status for end, status in hub.faults.items() if path.endswith(end)), None)
            if fault is not None:
                self._json(fault, {"error": "the server refuses"})
                return
            if method == "PUT":
                hub.large[path.removeprefix("/large/")] = body
                self._json(200, {})
                return
            value = json.loads(body) if body and "/commit/" not in path else {}
            if path == "/api/repos/create":
                self._create(value)
            elif path == "/api/validate-yaml":
                self._json(200, {"errors": [], "warnings": []})
            elif match := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
                self._json(200, {"transfer": "basic", "objects": list(map(self._place, value["objects"]))})
            elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(\w+)/(.+))?", path):
                self._repository(match[1], match[2] or "", match[3] or "main", value, body)
            else:
                self._json(404, {"error": "no such address"})

        def _body(self) -> bytes:
            if self.headers["Transfer-Encoding"] == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers["Content-Length"] or 0))

        def _create(self, value: dict[str, Any]) -> None:
            name = f"{value['organization']}/{value['name']}"
            exists = name in hub.repositories
            private = value.get("visibility") == "private" or bool(value.get("private"))
            hub.repositories.setdefault(name, Repository(private))
            self._json(409 if exists else 200, {"url": f"{hub.address}/{name}"})

        def _place(self, entry: dict[str, Any]) -> dict[str, Any]:
            if entry["oid"] in hub.large:
                return entry
            return entry | {"actions": {"upload": {"href": f"{hub.address}/large/{entry['oid']}"}}}

        def _repository(self, name: str, verb: str, revision: str, value: Any, body: bytes) -> None:
            held = hub.repositories.get(name)
            if held is None or (verb != "branch" and revision not in held.branches):
                self._json(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
                return
            if verb == "branch":
                exists = revision in held.branches
                held.branches.setdefault(revision, dict(held.branches["main"]))
                self._json(409 if exists else 200, {})
                return
            files = held.branches[revision]
            if verb == "tree":
                self._json(
                    200,
                    [
                        {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
                        for path, content in files.items()
                    ],
                )
            elif verb == "preupload":
                self._json(200, {"files": [_mode(entry) for entry in value["files"]]})
            elif verb == "commit":
                self._commit(name, held, files, body)
            else:
                self._json(
                    200, {"id": name, "sha": commit_of(files), "private": held.private, "siblings": []}
                )

        def _commit(self, name: str, held: Repository, files: dict[str, bytes], body: bytes) -> None:
            for line in body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "header":
                    held.messages.append(value["summary"])
                elif entry["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    files[value["path"]] = hub.large[value["oid"]]
                elif entry["key"] == "deletedFile":
                    del files[value["path"]]
            commit = commit_of(files)
            self._json(200, {"commitUrl": f"{hub.address}/{name}/commit/{commit}", "commitOid": commit})

        def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            for key, text in {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                **(headers or {}),
            }.items():
                self.send_header(key, text)
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _mode(entry: dict[str, Any]) -> dict[str, Any]:
    large = entry["size"] > LARGE or entry["path"].endswith(".safetensors")
    return {"path": entry["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
