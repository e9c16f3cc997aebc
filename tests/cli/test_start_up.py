"""What every command pays before its work begins, and what it does when something is wrong before or beyond
it."""

from __future__ import annotations

import errno
import inspect
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import openflan

from openflan.cli.output import command_line
from openflan.cli.verbs import VERBS, command_of
from openflan.errors import InputError, OpenflanError, SetupError, UnexpectedError, explained

HEAVY = ("torch", "transformers", "pydantic", "numpy", "pyarrow")


def loaded_by(*arguments: str, folder: Path | None = None) -> tuple[int, set[str], str]:
    """Exit code, heavy libraries that were imported, and standard error of a command in a process of its
    own."""
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules], "
        "file=sys.__stderr__))\n"
        f"sys.argv = ['openflan', *{list(arguments)!r}]\n"
        "from openflan.cli.main import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    message, _, names = done.stderr.rpartition("loaded:")
    return done.returncode, set(names.split()), message


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_asking_for_help_imports_no_heavy_library(option: str) -> None:
    code, names, _ = loaded_by(option)
    assert (code, names) == (0, set())


def test_the_probe_sees_what_is_imported() -> None:
    assert "pydantic" in loaded_by("finetune", "--help")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["finetune", "tiny-t5-cot", "trainin.steps=5"], "did you mean `training`"),
        (["finetune", "--data", "rows.txt", "--base", "org/base"], "rows.txt: unknown layout"),
        (
            ["finetune", "--data", "rows.jsonl", "--base", "org/base", "training.stepz=5"],
            "did you mean `steps`",
        ),
        (["generate", "absent/folder/x", "hello"], "absent/folder/x: no such folder"),
    ],
)
def test_what_is_wrong_at_first_sight_is_refused_without_torch(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.txt").write_text("hello\n", encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"inputs": "a", "targets": "b"}\n', encoding="utf-8")
    code, names, error = loaded_by(*arguments, folder=tmp_path)
    assert code == 2
    assert message in error
    assert not names & {"torch", "transformers"}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_each_line_in_the_list_of_verbs_is_the_verbs_own_help(verb: object) -> None:
    own = inspect.cleandoc(command_of(verb).help or "").split("\n\n")[0]  # type: ignore[arg-type]
    assert " ".join(own.split()) == verb.line  # type: ignore[attr-defined]


def test_a_run_folder_that_exists_does_not_hide_that_data_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("name: other\n", encoding="utf-8")
    done = openflan(
        "finetune",
        "tiny-t5-cot",
        f"mixture.submixtures.cot.data={tmp_path / 'none'}",
        "--run",
        tmp_path / "run",
    )
    assert done.returncode == 2
    assert f"{tmp_path / 'none'}: no such file or folder" in done.stderr


@pytest.mark.parametrize(
    "key", ["training.steps", "training.batch_size", "packing.inputs", "checkpoints.every", "seed"]
)
@pytest.mark.parametrize("value", ["1" + "0" * 30, "9" * 400])
def test_whole_numbers_beyond_all_measure_are_refused(key: str, value: str) -> None:
    done = openflan("mixture", "tiny-t5-cot", f"{key}={value}")
    assert done.returncode == 2
    assert f"`{key}`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["my recipe.yaml"], ["a'b", "$HOME", "x=*"], ["ä", "", "-"]])
def test_a_next_command_can_be_pasted(words: list[str]) -> None:
    assert shlex.split(command_line("finetune", *words)) == ["openflan", "finetune", *words]


FAILURES: list[tuple[Exception, type[OpenflanError], str]] = [
    (RecursionError("maximum recursion depth exceeded"), InputError, "nested too deeply"),
    (OverflowError("int too large to convert to float"), InputError, "too large"),
    (MemoryError(), SetupError, "not enough memory"),
    (
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        SetupError,
        "not enough memory",
    ),
    (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 5_000), InputError, "File name too long"),
    (OSError(errno.ENOSPC, "No space left on device", "x.json"), SetupError, "x.json: the disk is full"),
    (PermissionError(errno.EACCES, "Permission denied", "secret"), InputError, "secret: Permission denied"),
    (ValueError("embedded null byte"), InputError, "NUL"),
    (RuntimeError("Could not determine home directory."), InputError, "`~`"),
    (UnicodeDecodeError("utf-8", b"caf\xe9", 3, 4, "invalid"), InputError, "not UTF-8 (byte 3: 0xe9)"),
    (UnicodeEncodeError("utf-8", "a\udce9", 1, 2, "surrogates"), InputError, "U+DCE9"),
    (ValueError("Exceeds the limit (4300 digits) for integer string conversion"), InputError, "digits"),
    (KeyError("x"), UnexpectedError, "unexpected KeyError: 'x'"),
    (TypeError("a\nb"), UnexpectedError, "--debug"),
]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    FAILURES,
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_whatever_escapes_is_one_line_with_an_exit_code(
    error: Exception, kind: type[OpenflanError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    assert type(explained(error)) is kind
    monkeypatch.setattr("openflan.cli.report.find_run", fail)
    done = openflan("report", "nowhere")
    assert done.returncode == kind.exit_code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) < 600
    with pytest.raises(type(error)):
        openflan("--debug", "report", "nowhere")


def test_the_file_at_work_is_named() -> None:
    done = openflan("study", "a" * 5_000)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def run_raw(arguments: list[bytes], shell: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    words = b" ".join(shlex.quote(os.fsdecode(word)).encode("utf-8", "surrogateescape") for word in arguments)
    command = f"{shlex.quote(sys.executable)} -m openflan ".encode() + words + b" " + shell.encode()
    return subprocess.run(["bash", "-c", command], capture_output=True, env={**os.environ, **environment})


@pytest.mark.parametrize(
    ("arguments", "shell", "environment"),
    [
        ([b"wordings", b"list"], "| head -n 1", {}),
        ([b"--help"], "| true", {}),
        ([b"--version"], "> /dev/full", {}),
        ([b"--version"], ">&-", {}),
        ([b"--help"], "", {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}),
        ([b"finetune", b"caf\xe9.yaml"], "", {}),
        ([b"finetune", "café.yaml".encode()], "", {"PYTHONIOENCODING": "ascii"}),
    ],
)
def test_no_terminal_pipe_or_argument_makes_a_traceback(
    arguments: list[bytes], shell: str, environment: dict[str, str]
) -> None:
    done = run_raw(arguments, shell, **environment)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_the_module_and_the_command_call_themselves_alike() -> None:
    done = run_raw([b"finetune", b"--nonsense"], "")
    assert b"Usage: openflan finetune" in done.stderr
    assert done.returncode == 2
