"""Locks between processes: what is at work in a folder keeps others out, until it ends or is killed."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from openflan.errors import InputError, SetupError
from openflan.lock import locked

HOLDING = """
import sys, time
from pathlib import Path
from openflan.lock import locked

with locked(Path(sys.argv[1]), shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def other_process(path: Path, kind: str = "alone") -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(path), kind], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_what_another_process_holds_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    with other_process(path) as process:
        with pytest.raises(InputError, match="somebody is at work"), locked(path, "somebody is at work"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with locked(path, "somebody is at work"):
            pass


def test_shared_locks_keep_out_those_that_are_not(tmp_path: Path) -> None:
    with other_process(tmp_path / "x", "shared"):
        with locked(tmp_path / "x", "busy", shared=True):
            pass
        with pytest.raises(InputError, match="busy"), locked(tmp_path / "x", "busy"):
            pass


@pytest.mark.parametrize(("number", "held"), [(errno.ENOSYS, ["first", "second"]), (errno.EIO, [])])
def test_a_file_system_without_locks_is_no_hindrance_but_a_broken_one_is(number: int, held: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("openflan.lock.fcntl.flock", fails)
    reached = []
    with nullcontext() if held else pytest.raises(SetupError, match="x: cannot be locked: Input/output error"), locked(tmp_path / "x", "busy"):
        reached.append("first")
        with locked(tmp_path / "x", "busy"):
            reached.append("second")
    assert reached == held
