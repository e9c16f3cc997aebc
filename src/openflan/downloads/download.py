"""One file from a server to disk: whole, or not there.

Bytes go to a hidden file beside the target, named after the hash that is expected. A cut connection, Ctrl-C
or a crash leaves it there, and the next attempt asks for the rest. The file gets its name when its hash is
right.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError

from openflan.downloads.requests import ATTEMPTS, CUT, Requests, Unreachable, waiting_time
from openflan.errors import SetupError
from openflan.hashes import SHORT

_CHUNK = 1 << 20
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a file before it is fetched; a file without any hash is taken as it comes."""

    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None

    @property
    def digest(self) -> str | None:
        return self.sha256 or self.git_sha1


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is on disk: bytes, and its SHA-256."""

    size: int
    sha256: str


def partial_path(target: Path, expected: Expected) -> Path:
    """Where the bytes lie until the file is whole."""
    return target.with_name(f".{target.name}.{(expected.digest or 'unknown')[:SHORT]}.part")


def download(
    requests: Requests,
    address: str,
    target: Path,
    expected: Expected,
    progress: Callable[[int], None] = lambda size: None,
) -> Fetched:
    """Fetches a file to `target`; `progress` gets the bytes that lie on disk, again and again.

    A file with a wrong hash is fetched once more. Raises Missing if the server has no such file, SetupError
    if its hash is wrong twice or the connection breaks again and again without a byte in between. OSError
    means the disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = partial_path(target, expected)
    if expected.digest is None:
        # Whose bytes these were is not known.
        part.unlink(missing_ok=True)
    wrong: str | None = None
    for _ in range(2):
        _complete(requests, address, part, expected, progress)
        fetched, right = check(part, expected)
        if right:
            part.replace(target)
            return fetched
        wrong = fetched.sha256
        part.unlink()
        requests.say(f"{address}: arrived with a wrong hash; fetching it once more")
    raise SetupError(
        f"{address}: arrived twice with a wrong hash (sha256 {wrong}; expected {expected.digest}); the list "
        "and the file do not belong together, or something on the way changes it: try again later, or from "
        "another network"
    )


def check(path: Path, expected: Expected) -> tuple[Fetched, bool]:
    """The size and hash of a file, and whether they are those that are expected."""
    size = path.stat().st_size
    sha256, git_sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            sha256.update(block)
            if expected.git_sha1:
                git_sha1.update(block)
    right = (
        expected.size in (None, size)
        and expected.sha256 in (None, sha256.hexdigest())
        and expected.git_sha1 in (None, git_sha1.hexdigest())
    )
    return Fetched(size, sha256.hexdigest()), right


def _complete(
    requests: Requests, address: str, part: Path, expected: Expected, progress: Callable[[int], None]
) -> None:
    """Fetches until the whole file lies at `part`."""
    failures, etag = 0, None
    while True:
        begun = part.stat().st_size if part.exists() else 0
        if expected.size is not None and begun >= expected.size > 0:
            return  # also if it is too long: its hash is wrong then
        if begun and expected.digest is None and etag is None:
            begun = 0
        headers = {"Range": f"bytes={begun}-"} if begun else {}
        if begun and expected.digest is None and etag:
            headers["If-Range"] = etag
        try:
            with requests.answer(address, headers) as response:
                etag = response.headers.get("ETag")
                if _write(response, part, begun, progress):
                    return
            reason = "the connection was cut"
        except HTTPError:  # 416: nothing is left to send of a file that is shorter than what was begun
            part.unlink(missing_ok=True)
            reason = "the file is shorter than what was begun"
        except CUT as error:
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise
            reason = f"the connection was cut ({' '.join(str(error).split())[:80]})"
        size = part.stat().st_size if part.exists() else 0
        failures = 0 if size > begun else failures + 1
        if failures >= ATTEMPTS:
            raise Unreachable(address, f"{reason}, {ATTEMPTS} times without a byte")
        wait = waiting_time({}, max(failures, 1))
        requests.say(f"{address}: {reason} after {size:,} bytes; going on in {wait:,.0f} s")
        requests.sleep(wait)


def _write(response: HTTPResponse, part: Path, begun: int, progress: Callable[[int], None]) -> bool:
    """Writes an answer to disk; False if it ended early."""
    continued = response.status == 206 and _start(response) == begun
    if begun and response.status == 206 and not continued:
        part.unlink(missing_ok=True)
        return False
    size = begun if continued else 0
    length = response.headers.get("Content-Length")
    whole = size + int(length) if length and length.isdigit() else None
    with part.open("ab" if continued else "wb") as file:
        while block := response.read(_CHUNK):
            file.write(block)
            size += len(block)
            progress(size)
    return whole is None or size >= whole


def _start(response: HTTPResponse) -> int | None:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    return int(match[1]) if match else None
