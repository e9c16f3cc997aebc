"""`openflan mixture --export` that is killed or stopped and started again: the bytes of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = 10 * 4_096
PATIENCE = 300.0


def start(out: Path, workers: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "openflan", "mixture", "microflan", "--no-pruning"),
            *("--export", str(out), "--examples", str(EXAMPLES), "--workers", str(workers)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(out: Path, workers: int) -> bytes:
    with start(out, workers) as process:
        assert process.wait(PATIENCE) == 0, process.stderr.read() if process.stderr else ""
    return out.read_bytes()


def wait_for_parts(out: Path, process: subprocess.Popen[str], number: int = 2) -> None:
    until = time.monotonic() + PATIENCE
    while len(list((out.parent / f".{out.name}.parts").glob("*.part"))) < number:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return finished(tmp_path_factory.mktemp("whole") / "flan.parquet", 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_export_goes_on(workers: int, undisturbed: bytes, tmp_path: Path) -> None:
    out = tmp_path / "flan.parquet"
    with start(out, workers) as process:
        wait_for_parts(out, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
    assert not out.exists()
    assert finished(out, 3 - workers) == undisturbed
    assert sorted(file.name for file in tmp_path.iterdir()) == ["README.md", "flan.parquet"]


def test_a_terminated_export_says_how_to_go_on(undisturbed: bytes, tmp_path: Path) -> None:
    out = tmp_path / "flan.parquet"
    with start(out, 2) as process:
        wait_for_parts(out, process)
        os.kill(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75
    assert "stopped by SIGTERM after " in said
    assert "run the same command again to go on" in said
    assert finished(out, 2) == undisturbed
