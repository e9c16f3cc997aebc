"""A stand-in for the hub and for GitHub's archives: a server on 127.0.0.1 with made-up files behind the real
addresses, which can be busy, cut connections and send wrong bytes.

The addresses and answers are those that the hub's own library asks for and reads:
`/api/datasets/ID/revision/R`, `/api/datasets/ID/tree/R` in pages, `/datasets/ID/resolve/R/PATH` with a
redirect to another host, ranges.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

CONVERTED = "refs/convert/parquet"
PAGE = 100


@dataclass(repr=False)
class Repository:
    """A data set: its files by branch, and what its card says."""

    branches: dict[str, dict[str, bytes]] = field(default_factory=dict)
    licence: str | None = "mit"
    gated: bool = False
    status: int = 200

    def commit(self, branch: str) -> str:
        """Another one as soon as a file of the branch has another name or size."""
        sizes = sorted((path, len(content)) for path, content in self.branches[branch].items())
        return hashlib.sha256(f"{branch} {sizes}".encode()).hexdigest()[:40]


@dataclass(repr=False)
class Hub:
    """What the server has, what it does wrong (once for each entry, by the end of the path), and what it was
    asked: method, path, range and authorization."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    archives: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    history: dict[str, dict[str, bytes]] = field(default_factory=dict)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, repository: str, branch: str, files: Mapping[str, bytes], **card: Any) -> None:
        """Adds files to a branch of a data set."""
        held = self.repositories.setdefault(repository, Repository(**card))
        held.branches.setdefault(branch, {}).update(files)

    def paths(self, end: str = "") -> list[str]:
        return [path for path, _, _ in self.asked if path.endswith(end)]

    def fault(self, path: str) -> str | None:
        for end, faults in self.faults.items():
            if faults and path.endswith(end):
                return faults.pop(0)
        return None


def git_sha1(content: bytes) -> str:
    """The name that git gives a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _entries(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Files and folders as the hub lists them."""
    entries: list[dict[str, Any]] = []
    for path, content in sorted(files.items()):
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_sha1(content)}
        if path.endswith((".parquet", ".gz")):
            sha256 = hashlib.sha256(content).hexdigest()
            entry |= {"oid": "0" * 40, "lfs": {"oid": sha256, "size": len(content), "pointerSize": 134}}
        entries.append(entry)
    folders = {
        "/".join(parts[:depth])
        for parts in (path.split("/") for path in files)
        for depth in range(1, len(parts))
    }
    return entries + [
        {"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in sorted(folders)
    ]


def archive(root: str, files: Mapping[str, str | bytes], commit: str | None = "c" * 40) -> bytes:
    """A repository as `git archive` packs it: below one folder, with the commit as a comment."""
    packed = io.BytesIO()
    headers = {"comment": commit} if commit else {}
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(f"{root}/{path}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(packed.getvalue())


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


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            """What the hub says of some paths of a revision."""
            match = re.fullmatch(
                r"/api/datasets/([^/]+/[^/]+)/paths-info/(.+)", unquote(urlsplit(self.path).path)
            )
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["paths"]
            files = self._files(match[1], match[2]) if match else None
            entries = [entry for path in asked for entry in _entries(files or {}) if entry["path"] == path]
            self._json(entries)

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((path, self.headers["Range"], self.headers["Authorization"]))
            fault = hub.fault(path)
            if fault and fault.isdigit():
                self._plain(int(fault), b"", {"Retry-After": "7"} if fault == "429" else {})
                return
            if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/revision/(.+)", path):
                self._revision(match[1], match[2])
            elif match := re.fullmatch(
                r"/api/datasets/([^/]+/[^/]+)/tree/(refs/convert/parquet|[^/]+)/?(.*)", path
            ):
                self._tree(match[1], match[2], match[3])
            elif match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)", path):
                self._revision(match[1], "main")
            elif match := re.fullmatch(
                r"/datasets/([^/]+/[^/]+)/resolve/(refs/convert/parquet|[^/]+)/(.+)", path
            ):
                self._redirect(*match.groups())
            elif match := re.fullmatch(r"/cdn/([^/]+/[^/]+)/([^/]+)/(.+)", path):
                content = (self._files(match[1], match[2]) or {}).get(match[3])
                self._bytes(content, fault)
            elif match := re.fullmatch(r"/([^/]+/[^/]+)/tar\.gz/(.+)", path):
                self._archive(hub.archives.get(match[1]), fault)
            else:
                self._plain(404)

        def _files(self, repository: str, revision: str) -> dict[str, bytes] | None:
            held = hub.repositories.get(repository)
            if held is None or held.status != 200:
                return None
            for branch in held.branches:
                if revision in (branch, held.commit(branch)):
                    return held.branches[branch]
            return hub.history.get(revision)

        def _revision(self, repository: str, revision: str) -> None:
            held = hub.repositories.get(repository)
            files = self._files(repository, revision)
            if held is None or files is None:
                self._plain(404 if held is None or held.status == 200 else held.status)
                return
            commit = held.commit(revision) if revision in held.branches else revision
            hub.history[commit] = dict(files)
            # The conversion branch has no card.
            is_converted = CONVERTED in held.branches and revision in (CONVERTED, held.commit(CONVERTED))
            card = None if is_converted else {"license": held.licence}
            value = {
                "id": repository,
                "sha": commit,
                "gated": held.gated,
                "cardData": card,
            }
            self._json(value)

        def _redirect(self, repository: str, revision: str, path: str) -> None:
            """To another host name, as the hub does for large files."""
            files = self._files(repository, revision)
            if files is None or path not in files:
                self._plain(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            held = hub.repositories[repository]
            commit = held.commit(revision) if revision in held.branches else revision
            content = files[path]
            place = f"http://localhost:{hub.port}/cdn/{repository}/{commit}/{path}"
            headers = {
                "Location": place.replace(" ", "%20"),
                "X-Repo-Commit": commit,
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Linked-Size": str(len(content)),
            }
            self._plain(302, b"", headers)

        def _tree(self, repository: str, revision: str, folder: str) -> None:
            files = self._files(repository, revision)
            inside = f"{folder}/" if folder else ""
            if files is None or not any(path.startswith(inside) for path in files):
                self._plain(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            files = {path: content for path, content in files.items() if path.startswith(inside)}
            entries = _entries(files)
            if "recursive=true" not in self.path.lower():
                depth = inside.count("/")
                entries = [entry for entry in entries if entry["path"].count("/") == depth]
            begin = int((re.search(r"cursor=(\d+)", self.path) or [0, 0])[1])
            more = {}
            if begin + PAGE < len(entries):
                base = self.path.split("&cursor")[0]
                # The hub names itself, also through a mirror.
                more = {"Link": f'<https://huggingface.co{base}&cursor={begin + PAGE}>; rel="next"'}
            self._json(entries[begin : begin + PAGE], more)

        def _bytes(self, content: bytes | None, fault: str | None) -> None:
            if content is None:
                self._plain(404)
                return
            if fault == "wrong":
                content = bytes(len(content))
            begin = int((re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "") or [0, 0])[1])
            if begin and fault != "no ranges":
                if begin >= len(content):
                    self._plain(416)
                    return
                headers = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
                self._send(206, content[begin:], headers, fault)
            else:
                self._send(200, content, {}, fault)

        def _archive(self, content: bytes | None, fault: str | None) -> None:
            """In chunks and without its length, as GitHub sends archives."""
            if content is None:
                self._plain(404)
                return
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            half = len(content) // 2
            for part in (content[:half], content[half:]):
                with suppress(ConnectionError):  # --verify reads no archive to its end
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                if fault == "cut":
                    self.close_connection = True
                    return
            with suppress(ConnectionError):
                self.wfile.write(b"0\r\n\r\n")

        def _send(self, status: int, content: bytes, headers: dict[str, str], fault: str | None) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Length": str(len(content)),
                "Accept-Ranges": "bytes",
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            if fault == "cut":
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            else:
                self.wfile.write(content)

        def _json(self, value: Any, headers: dict[str, str] | None = None) -> None:
            self._plain(
                200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})}
            )

        def _plain(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
            self._send(status, content, headers or {}, None)

    return Handler
