"""A run's files: whole or not there, whatever happens while they are written."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError, OpenflanError, SetupError, did_you_mean
from openflan.run_folder import Run, find_run, read_json, read_jsonl, replacing, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.json"
    path.write_text("old")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "step-1"
    path.mkdir()
    (path / "weights").write_text("old")
    return path


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# Replacing


def put(path: Path, text: str, error: BaseException | None = None) -> None:
    """Replaces a file; the block raises `error` after it has written."""
    with replacing(path) as temporary:
        temporary.write_text(text)
        if error:
            raise error


def put_folder(path: Path, text: str, error: BaseException | None = None) -> None:
    """Replaces a folder that holds one file, `weights`."""
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "weights").write_text(text)
        if error:
            raise error


def test_a_file_appears_when_it_is_whole(file: Path) -> None:
    with replacing(file) as temporary:
        temporary.write_text("new")
        assert file.read_text() == "old"
        assert temporary.parent == file.parent, "a rename is atomic only inside one file system"
    assert file.read_text() == "new"
    assert names(file.parent) == ["ledger.json"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    with replacing(tmp_path / "a/b/new.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a/b/new.txt").read_text() == "new"


def test_a_folder_takes_the_place_of_a_folder_without_mixing_the_two(folder: Path) -> None:
    with replacing(folder) as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner/other").write_text("new")
        assert (folder / "weights").read_text() == "old"
    assert names(folder) == ["inner"]
    assert names(folder.parent) == ["step-1"]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), InputError("bad"), SystemExit(75)])
def test_whatever_the_block_raises_passes_and_leaves_the_old_file(file: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        put(file, "half", error)
    assert caught.value is error
    assert file.read_text() == "old"
    assert names(file.parent) == ["ledger.json"]


def test_a_full_disk_leaves_the_old_file_and_says_so(file: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(
        SetupError,
        match=r"ledger\.json: could not be written: No space left on device; what was there before is intact",
    ) as caught:
        put(file, "half", full)
    assert caught.value.exit_code == 1
    assert file.read_text() == "old"
    assert names(file.parent) == ["ledger.json"]


@pytest.mark.parametrize("what", ["fsync", "replace"])
def test_a_disk_that_fails_while_flushing_or_renaming_leaves_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(os, what, no_space)
    with pytest.raises(SetupError, match="No space left"):
        put(file, "new")
    monkeypatch.undo()
    assert file.read_text() == "old"
    assert names(file.parent) == ["ledger.json"]


def test_a_folder_whose_rename_fails_is_put_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old folder has to step aside first; it must not be lost when the new one cannot come."""
    real = os.replace

    def failing(source: Path, target: Path) -> None:
        if ".partial" in str(source):
            no_space()
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(SetupError, match="what was there before is intact"):
        put_folder(folder, "new")
    monkeypatch.undo()
    assert (folder / "weights").read_text() == "old"
    assert names(folder.parent) == ["step-1"]


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_old_folder(folder: Path) -> None:
    with pytest.raises(SetupError, match="could not be written"), replacing(folder):
        pass
    assert (folder / "weights").read_text() == "old"


def test_what_an_earlier_kill_left_is_no_part_of_the_new_folder(folder: Path) -> None:
    with replacing(folder) as temporary:
        temporary.mkdir()
        left = temporary
    left.mkdir()
    (left / "stale").write_text("half")
    put_folder(folder, "new")
    assert names(folder) == ["weights"]
    assert names(folder.parent) == ["step-1"]


@pytest.mark.parametrize("error", [ValueError("bad"), OSError(errno.EIO, "broken")])
def test_a_block_that_fails_leaves_the_old_folder(folder: Path, error: Exception) -> None:
    with pytest.raises((ValueError, SetupError)):
        put_folder(folder, "new", error)
    assert (folder / "weights").read_text() == "old"
    assert names(folder.parent) == ["step-1"]


def test_a_place_that_cannot_be_written_to_is_named(file: Path) -> None:
    with pytest.raises(SetupError, match="could not be written"):
        put(file / "below/a.json", "never")


# JSON


@settings(deadline=None, max_examples=40)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_json_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value
    assert path.read_bytes().endswith(b"\n")


def test_a_value_that_is_no_json_leaves_the_old_file(file: Path) -> None:
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert file.read_text() == "old"


def test_a_missing_json_file_has_a_stand_in_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") is None
    assert read_json(tmp_path / "none.json", {"scores": []}) == {"scores": []}
    for content in (b"", b'{"a": ', b'{"a": "\xe9"}'):
        (tmp_path / "broken.json").write_bytes(content)
        with pytest.raises(InputError, match=r"broken\.json: not valid JSON"):
            read_json(tmp_path / "broken.json", {})


LINES = [{"step": 1, "note": "Größe \u2028 ∑"}, {"step": 2, "note": "ключ"}, {"step": 3}]
WHOLE = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES).encode()


@settings(deadline=None)
@given(length=st.integers(0, len(WHOLE)))
def test_a_jsonl_file_torn_anywhere_keeps_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    """Also inside a character."""
    path = tmp_path_factory.getbasetemp() / "torn.jsonl"
    path.write_bytes(WHOLE[:length])
    assert read_jsonl(path) == LINES[: WHOLE[:length].count(b"\n")]


def test_a_missing_jsonl_file_has_no_lines_and_empty_lines_do_not_count(tmp_path: Path) -> None:
    assert read_jsonl(tmp_path / "none.jsonl") == []
    (tmp_path / "gaps.jsonl").write_text('{"a": 1}\n\n  \n{"a": 2}\n')
    assert read_jsonl(tmp_path / "gaps.jsonl") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("line", [b'{"step": ', b"\xe9", b"[1]"])
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 2}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl:2: .*; delete that line"):
        read_jsonl(path)


# Run folders


def test_a_run_is_found_by_its_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: a\n")
    assert find_run(tmp_path) == Run(tmp_path)


def test_what_is_no_run_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match="not a run folder: it does not exist; name the folder that `openflan finetune` printed",
    ):
        find_run(tmp_path / "missing")
    with pytest.raises(InputError, match=r"not a run folder: it has no recipe\.yaml"):
        find_run(tmp_path)


def test_every_part_of_a_run_lies_in_its_folder(tmp_path: Path) -> None:
    parts = {
        name: getattr(Run(tmp_path), name) for name in vars(Run) if isinstance(getattr(Run, name), property)
    }
    assert {name: path.name for name, path in parts.items()} == {
        "recipe": "recipe.yaml",
        "provenance": "provenance.json",
        "ledger": "ledger.json",
        "metrics": "metrics.jsonl",
        "tokenizer": "tokenizer",
        "adapter": "adapter",
        "build": "build",
        "checkpoints": "checkpoints",
        "model": "model",
        "generations": "generations",
        "scores": "scores.json",
        "summary": "summary.json",
        "locks": ".locks",
        "report": "report.html",
    }
    assert all(path.parent == tmp_path for path in parts.values())


# Errors


def test_exit_codes_tell_input_from_everything_else() -> None:
    assert (InputError.exit_code, SetupError.exit_code, OpenflanError.exit_code) == (2, 1, 1)
    assert issubclass(InputError, OpenflanError)
    assert issubclass(SetupError, OpenflanError)


def test_a_near_name_is_offered_and_a_far_one_is_not() -> None:
    assert did_you_mean("capp", ["cap", "tasks"]) == "; did you mean `cap`?"
    assert did_you_mean("zebra", ["cap", "tasks"]) == ""
    assert did_you_mean("cap", []) == ""
