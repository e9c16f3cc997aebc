"""`--stop-after`: tests that would start too late are skipped and named, alone and with several workers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import time
import pytest

@pytest.mark.parametrize("number", range(4))
def test_sleeps(number):
    time.sleep({seconds})
    assert {claim}
"""


def run(folder: Path, *options: str, seconds: float, claim: str = "True") -> subprocess.CompletedProcess[str]:
    shutil.copy(Path(__file__).parent / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = gpu: needs a GPU\n", encoding="utf-8")
    (folder / "test_slow.py").write_text(TESTS.format(seconds=seconds, claim=claim), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_tests_after_the_time_are_named_and_do_not_fail(workers: list[str], tmp_path: Path) -> None:
    done = run(tmp_path, "--stop-after", "0.01", *workers, seconds=0.1)
    assert done.returncode == 0, done.stdout
    assert "tests were not run: the time is up" in done.stdout
    assert "test_slow.py::test_sleeps[3]" in done.stdout
    assert "skipped in" in done.stdout.splitlines()[-1]


def test_a_failure_within_the_time_fails(tmp_path: Path) -> None:
    done = run(tmp_path, "--stop-after", "1", seconds=1.5, claim="False")
    assert done.returncode == 1
    assert "1 failed, 3 skipped" in done.stdout


def test_within_the_time_all_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--stop-after", "100", seconds=0)
    assert done.returncode == 0
    assert "4 passed" in done.stdout
    assert "not run" not in done.stdout
