"""Run folders and a stand-in of the hub for `openflan push`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hub_repositories import TOKEN, Hub, serving
from made_runs import MakeRun, make

sys.path.append(str(Path(__file__).parents[1] / "cli"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that takes one token. Large files go the plain way, without the service of chunks."""
    from huggingface_hub import constants

    with serving(Hub()) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield server


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a finished run below `tmp_path / "home"`."""
    return partial(make, tmp_path)
