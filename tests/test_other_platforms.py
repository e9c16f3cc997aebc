"""What Windows lacks: modules and functions of POSIX. Every module is imported without them, and what they do
is done in another way."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openflan
from openflan.errors import InputError
from openflan.lock import locked
from openflan.tasks.slices import Slices

WITHOUT = """
import os, sys

# Other packages import some of the second kind only where the platform is not Windows.
HIDDEN, HIDDEN_FROM_OPENFLAN = {"fcntl", "resource"}, {"pwd", "grp", "termios", "tty", "pty", "syslog"}

class Absent:
    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        while "importlib" in frame.f_globals.get("__name__", ""):
            frame = frame.f_back
        importer = frame.f_globals.get("__name__", "")
        if importer == "psutil._pslinux":  # which Windows does not import
            return
        if name in HIDDEN or name in HIDDEN_FROM_OPENFLAN and importer.startswith("openflan"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in HIDDEN | HIDDEN_FROM_OPENFLAN:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for name in ("pread", "pwrite", "killpg", "getpgid", "fork", "mkfifo"):
    delattr(os, name)
"""

IMPORTS = (
    WITHOUT
    + """
import importlib, pkgutil, openflan

names = [found.name for found in pkgutil.walk_packages(openflan.__path__, "openflan.")]
for name in names:
    if not name.endswith("__main__"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            # A module that needs an extra, which may be absent.
            if error.name.partition(".")[0] in {"openflan"} | HIDDEN | HIDDEN_FROM_OPENFLAN:
                raise
assert "fcntl" not in sys.modules
print(len(names))
"""
)

HOLDING = (
    WITHOUT
    + """
import time
from pathlib import Path
from openflan.lock import locked

with locked(Path(sys.argv[1]), "busy"):
    print("held", flush=True)
    sys.stdin.read()
"""
)

TRYING = (
    WITHOUT
    + """
from pathlib import Path
from openflan.errors import InputError
from openflan.lock import locked

try:
    with locked(Path(sys.argv[1]), "somebody is at work"):
        print("held")
except InputError as error:
    print(error)
"""
)


def run(code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_every_module_is_imported_without_posix() -> None:
    assert int(run(IMPORTS)) > 300


POSIX = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline", "posix"}


def needed_at_import(source: str) -> set[str]:
    """Modules of POSIX that a source imports when it is imported, outside of functions and of `try`."""
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Try):
            waiting += ast.iter_child_nodes(node)
    return names & POSIX


def test_no_module_needs_posix_to_be_imported() -> None:
    sources = sorted(Path(openflan.__file__).parent.rglob("*.py"))
    assert len(sources) > 300
    needing = {str(path): needed_at_import(path.read_text(encoding="utf-8")) for path in sources}
    assert {path: names for path, names in needing.items() if names} == {}
    assert needed_at_import("import os, resource") == {"resource"}
    assert needed_at_import("def f():\n    import resource") == set()


def test_the_check_would_see_a_module_of_posix() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{WITHOUT}\nimport resource"], capture_output=True, text=True, timeout=600
    )
    assert "No module named 'resource'" in done.stderr


def test_without_a_lock_of_the_system_a_holder_still_keeps_others_out_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert run(TRYING, path) == "somebody is at work\n"
        holder.kill()
        holder.wait()
    # What a process left that was killed does not keep others out.
    assert run(TRYING, path) == "held\n"
    assert run(TRYING, path) == "held\n"
    with locked(path, "busy"):
        pass


@settings(max_examples=30, deadline=None)
@given(content=st.binary(min_size=1, max_size=200), data=st.data())
def test_files_are_read_at_positions_without_pread(
    content: bytes, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("slices") / "rows"
    path.write_bytes(content)
    file = Slices(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(os, "pread")
        for _ in range(3):
            start = data.draw(st.integers(0, len(content)))
            end = data.draw(st.integers(start, len(content)))
            assert file.read(start, end) == content[start:end]
        with pytest.raises(InputError, match="changed while it was in use"):
            file.read(0, len(content) + 1)
