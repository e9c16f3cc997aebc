"""Options and markers of the whole test suite: a limit of time, and tests that need a GPU."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

TIME_IS_UP = "not started: the time of --stop-after is up"

_DEADLINE = pytest.StashKey[float]()
_CACHE = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stop-after",
        type=float,
        metavar="SECONDS",
        help="Start no test after so many seconds, and print the names of those that did not run.",
    )


def pytest_configure(config: pytest.Config) -> None:
    # What tests keep between commands belongs to no user's cache folder.
    os.environ["OPENFLAN_CACHE"] = config.stash[_CACHE] = tempfile.mkdtemp(prefix="openflan-cache-")
    # A worker of xdist takes the moment from the process that started it.
    deadline = getattr(config, "workerinput", {}).get("deadline")
    seconds = config.getoption("stop_after")
    if deadline is None and seconds is not None:
        deadline = time.time() + seconds
    if deadline is not None:
        config.stash[_DEADLINE] = deadline


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash.get(_CACHE, ""), ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if _DEADLINE in node.config.stash:
        node.workerinput["deadline"] = node.config.stash[_DEADLINE]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    gpu_items = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_items:
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu_items:
            item.add_marker(pytest.mark.skip(reason="no GPU here"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.time() > item.config.stash.get(_DEADLINE, float("inf")):
        pytest.skip(TIME_IS_UP)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    names = sorted(_not_started(terminalreporter))
    if names:
        terminalreporter.section(f"{len(names)} tests were not run: the time is up")
        for name in names:
            terminalreporter.write_line(name)


def _not_started(reporter: pytest.TerminalReporter) -> Iterator[str]:
    for report in reporter.stats.get("skipped", []):
        if TIME_IS_UP in str(report.longrepr):
            yield report.nodeid
