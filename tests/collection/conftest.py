"""A server that stands in for the hub and GitHub; no test here reaches any other machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, serving

from openflan.collection.servers import Servers
from openflan.downloads.requests import Requests

# Commands as a user types them, records of Muffin's data sets, and template files in the release's form.
sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("cli", "tasks", "templates")]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub, to which the environment points. Nothing waits."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(Hub()) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("OPENFLAN_GITHUB_ENDPOINT", served.address)
        monkeypatch.setattr("openflan.downloads.requests.time.sleep", lambda seconds: None)
        yield served


@pytest.fixture
def waits() -> list[float]:
    """The seconds that `requests` was asked to wait."""
    return []


@pytest.fixture
def requests(waits: list[float]) -> Requests:
    return Requests(sleep=waits.append)


@pytest.fixture
def servers(hub: Hub, requests: Requests) -> Servers:
    return Servers(hub.address, hub.address, requests)
