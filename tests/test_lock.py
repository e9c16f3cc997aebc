"""Locks between processes: what is at work in a folder keeps others out, until it ends or is killed."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from openflan.errors import InputError, SetupError
from openflan.lock import is_held, locked

HOLDING = """
import sys, time
from pathlib import Path
from openflan.lock import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
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


@pytest.mark.parametrize("what", ["nothing", "removed", "replaced", "folder removed", "folder moved"])
def test_a_holder_sees_that_its_path_leads_to_another_file(what: str, tmp_path: Path) -> None:
    path = tmp_path / "locks" / "training"
    with locked(path, "busy") as held:
        if what.startswith("folder"):
            shutil.rmtree(path.parent) if what == "folder removed" else path.parent.rename(tmp_path / "moved")
        elif what != "nothing":
            path.unlink()
        if what == "replaced":
            path.touch()
        assert held.lost() == (what != "nothing")


def test_where_the_lock_file_was_removed_another_is_let_in_and_the_first_holder_can_tell(
    tmp_path: Path,
) -> None:
    path = tmp_path / ".lock"
    with locked(path, "busy") as first:
        path.unlink()
        with locked(path, "busy") as second:
            assert (first.lost(), second.lost()) == (True, False)


def test_a_file_that_is_removed_while_its_lock_is_waited_for_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, taken = tmp_path / ".lock", list[int]()

    def removed_at_first(descriptor: int, **settings: bool) -> bool:
        taken.append(descriptor)
        if len(taken) == 1:
            path.unlink()
        return True

    monkeypatch.setattr("openflan.lock.lock_descriptor", removed_at_first)
    with locked(path, "busy") as held:
        assert len(taken) == 2
        assert path.exists()
        assert not held.lost()


@pytest.mark.parametrize(("error_number", "held"), [(errno.ENOSYS, ["first", "second"]), (errno.EIO, [])])
def test_a_file_system_without_locks_is_no_hindrance_but_a_broken_one_is(
    error_number: int, held: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(error_number, os.strerror(error_number))

    monkeypatch.setattr("openflan.lock.lock_descriptor", fails)
    reached = []
    with (
        nullcontext() if held else pytest.raises(SetupError, match="x: cannot be locked: Input/output error"),
        locked(tmp_path / "x", "busy"),
    ):
        reached.append("first")
        with locked(tmp_path / "x", "busy"):
            reached.append("second")
    assert reached == held


@pytest.mark.parametrize("has_locks", [True, False])
def test_a_held_lock_is_seen_with_the_systems_locks_and_without(
    has_locks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    if not has_locks:
        monkeypatch.setattr("openflan.lock.lock_descriptor", fails)
        monkeypatch.setattr("openflan.lock._has_system_locks", lambda: False)
    path = tmp_path / "x"
    assert not is_held(path)
    with locked(path, "busy"):
        assert is_held(path)
    assert path.exists()
    assert not is_held(path)
