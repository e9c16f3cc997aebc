"""One file from a server: resumed after a cut, patient with a busy server, whole or not there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hub_server import Hub, git_sha1
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openflan.collection.listing import list_source
from openflan.collection.plan import Piece, Source
from openflan.collection.servers import Servers
from openflan.downloads.download import Expected, download, partial_path
from openflan.downloads.requests import ATTEMPTS, Missing, Requests, Unreachable, waiting_time
from openflan.errors import SetupError

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WHOLE = Expected(len(CONTENT), SHA256)
FILE = "rte/train/0000.parquet"


@pytest.fixture
def address(hub: Hub, servers: Servers) -> str:
    hub.put("org/rows", "main", {FILE: CONTENT})
    return servers.file_address("org/rows", "main", FILE)


def ranges(hub: Hub) -> list[str | None]:
    """The ranges that files were asked for, redirects left aside."""
    return [asked for path, asked, _ in hub.asked if path.startswith("/cdn/")]


def test_a_file_arrives_with_its_hash(address: str, hub: Hub, requests: Requests, tmp_path: Path) -> None:
    seen: list[int] = []
    fetched = download(requests, address, tmp_path / "new" / "rows", WHOLE, seen.append)
    assert (tmp_path / "new" / "rows").read_bytes() == CONTENT
    assert (fetched.size, fetched.sha256) == (len(CONTENT), SHA256)
    assert seen[-1] == len(CONTENT)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["rows"]


def test_a_cut_connection_goes_on_where_it_broke(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    hub.faults[FILE] = ["", "cut", "", "cut"]  # a redirect and a file for each request
    download(requests, address, tmp_path / "rows", WHOLE)
    assert (tmp_path / "rows").read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert ranges(hub) == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]


def test_what_an_earlier_run_began_is_continued(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    partial_path(tmp_path / "rows", WHOLE).write_bytes(CONTENT[:1000])
    download(requests, address, tmp_path / "rows", WHOLE)
    assert (tmp_path / "rows").read_bytes() == CONTENT
    assert ranges(hub) == ["bytes=1000-"]


def test_what_was_begun_of_another_version_is_not_continued(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    other = Expected(len(CONTENT), "f" * 64)
    partial_path(tmp_path / "rows", other).write_bytes(b"of another file")
    download(requests, address, tmp_path / "rows", WHOLE)
    assert ranges(hub) == [None]


def test_a_server_without_ranges_begins_anew(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    partial_path(tmp_path / "rows", WHOLE).write_bytes(CONTENT[:1000])
    hub.faults[FILE] = ["", "no ranges"]
    download(requests, address, tmp_path / "rows", WHOLE)
    assert (tmp_path / "rows").read_bytes() == CONTENT


def test_damaged_beginnings_are_noticed_and_fetched_again(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    partial_path(tmp_path / "rows", WHOLE).write_bytes(b"x" * 1000)
    download(requests, address, tmp_path / "rows", WHOLE)
    assert (tmp_path / "rows").read_bytes() == CONTENT
    assert ranges(hub) == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_a_beginning_that_is_too_long_is_no_end(
    size: int, address: str, requests: Requests, tmp_path: Path
) -> None:
    partial_path(tmp_path / "rows", WHOLE).write_bytes(bytes(size))
    download(requests, address, tmp_path / "rows", WHOLE)
    assert (tmp_path / "rows").read_bytes() == CONTENT


def test_a_wrong_hash_is_fetched_once_more(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    hub.faults[FILE] = ["", "wrong"]
    download(requests, address, tmp_path / "rows", WHOLE)
    assert (tmp_path / "rows").read_bytes() == CONTENT


def test_a_hash_that_is_wrong_twice_is_an_error_and_leaves_no_file(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    hub.faults[FILE] = ["", "wrong", "", "wrong"]
    with pytest.raises(SetupError, match=rf"arrived twice with a wrong hash .*expected {SHA256}"):
        download(requests, address, tmp_path / "rows", WHOLE)
    assert list(tmp_path.iterdir()) == []


def test_small_files_are_checked_by_the_hash_that_git_gives_them(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    right = git_sha1(CONTENT)
    download(requests, address, tmp_path / "rows", Expected(len(CONTENT), None, right))
    with pytest.raises(SetupError, match="wrong hash"):
        download(requests, address, tmp_path / "others", Expected(len(CONTENT), None, "0" * 40))


def test_a_busy_server_is_asked_again_after_the_time_that_it_names(
    address: str, hub: Hub, requests: Requests, waits: list[float], tmp_path: Path
) -> None:
    hub.faults[FILE] = ["429", "503", "500"]
    download(requests, address, tmp_path / "rows", WHOLE)
    assert waits == [7.0, 2.0, 4.0]


def test_a_server_that_stays_busy_is_given_up(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    hub.faults[FILE] = ["503"] * ATTEMPTS
    with pytest.raises(Unreachable, match="503, 6 times; run the same command again"):
        download(requests, address, tmp_path / "rows", WHOLE)


def test_a_connection_that_breaks_without_a_byte_is_given_up(
    address: str, hub: Hub, requests: Requests, tmp_path: Path
) -> None:
    partial_path(tmp_path / "rows", WHOLE).write_bytes(CONTENT[:-1])
    hub.faults[FILE] = ["", "cut"] * ATTEMPTS  # half of one byte is none
    with pytest.raises(Unreachable, match="without a byte"):
        download(requests, address, tmp_path / "rows", WHOLE)
    assert partial_path(tmp_path / "rows", WHOLE).read_bytes() == CONTENT[:-1]


def test_a_file_that_is_not_there_is_not_asked_for_again(
    hub: Hub, servers: Servers, requests: Requests, waits: list[float], tmp_path: Path
) -> None:
    with pytest.raises(Missing):
        download(requests, servers.file_address("org/none", "main", "a"), tmp_path / "rows", WHOLE)
    assert (len(hub.asked), waits) == (1, [])


def test_a_server_that_is_not_there_is_named(requests: Requests, waits: list[float], tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no connection"):
        download(requests, "http://127.0.0.1:1/x", tmp_path / "rows", WHOLE)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_the_token_goes_to_the_hub_and_to_no_other_host(hub: Hub, tmp_path: Path) -> None:
    hub.put("org/rows", "main", {FILE: CONTENT})
    requests = Requests("hf_secret", urlsplit(hub.address).netloc)
    servers = Servers(hub.address, hub.address, requests)
    source = Source("muffin", "hub", "org/rows", 1, None, None, "", "", (Piece("rte", "train", ("a",)),))
    list_source(servers, source)
    download(requests, servers.file_address("org/rows", "main", FILE), tmp_path / "rows", WHOLE)
    tokens = {path.split("/")[1]: token for path, _, token in hub.asked}
    assert tokens == {"api": "Bearer hf_secret", "datasets": "Bearer hf_secret", "cdn": None}
    assert "hf_secret" not in repr(servers)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(0, 3000),
    begun=st.integers(0, 3500),
    faults=st.lists(st.sampled_from(["cut", "wrong beginning", "429", "502", "no ranges", ""]), max_size=3),
)
def test_whatever_goes_wrong_on_the_way_the_file_is_whole(
    size: int,
    begun: int,
    faults: list[str],
    hub: Hub,
    servers: Servers,
    requests: Requests,
    tmp_path: Path,
) -> None:
    content = hashlib.shake_128(str(size).encode()).digest(size)
    expected = Expected(size, hashlib.sha256(content).hexdigest())
    path = f"{size}/train/0000.parquet"
    hub.put("org/any", "main", {path: content})
    target = tmp_path / "rows"
    begins = b"?" * begun if "wrong beginning" in faults else content[:begun]
    partial_path(target, expected).write_bytes(begins)
    hub.faults.clear()
    # The redirect is asked first, then the file.
    hub.faults[path] = [fault for one in faults if one != "wrong beginning" for fault in ("", one)]
    download(requests, servers.file_address("org/any", "main", path), target, expected)
    assert target.read_bytes() == content
    target.unlink()


@pytest.mark.parametrize(
    ("headers", "attempt", "seconds"),
    [
        ({}, 1, 1.0),
        ({}, 4, 8.0),
        ({"Retry-After": "0"}, 3, 0.0),
        ({"Retry-After": "30"}, 1, 30.0),
        ({"Retry-After": "86400"}, 1, 330.0),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 1, 0.0),
        ({"Retry-After": "soon"}, 2, 2.0),
        ({"RateLimit": '"api";r=0;t=184'}, 1, 184.0),
    ],
)
def test_the_time_to_wait(headers: dict[str, str], attempt: int, seconds: float) -> None:
    assert waiting_time(headers, attempt) == seconds
