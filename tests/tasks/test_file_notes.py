"""Notes of files: trusted while the file's stamp is the note's, never against the content."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openflan.tasks import file_notes
from openflan.tasks.digest import file_digest
from openflan.tasks.file_notes import Note, keep_note, read_note, reading_in_full, stamp_of, trusting_stamps

SIZE = 1 << 20


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own; a change counts as settled at once."""
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_notes, "_SETTLED", 0.0)
    monkeypatch.setattr(file_notes, "_SETTLED_COARSE", 0.0)
    return tmp_path / "cache"


def data_file(folder: Path, letter: bytes = b"a") -> Path:
    path = folder / "data.bin"
    path.write_bytes(letter * SIZE)
    return path


def with_wrong_note(path: Path) -> bytes:
    """Gives a file a note with its own stamp and another hash, and returns that: whoever trusts it shows
    so."""
    stamp = stamp_of(path)
    assert stamp is not None
    assert keep_note(path, "digest", Note(stamp, b"x" * 16))
    return b"x" * 16


def test_only_inside_trusting_stamps_is_a_note_believed(tmp_path: Path) -> None:
    path = data_file(tmp_path)
    own = file_digest(path)
    wrong = with_wrong_note(path)
    with trusting_stamps():
        assert file_digest(path) == wrong
        with reading_in_full():
            assert file_digest(path) == own
    assert file_digest(path) == own


def rewritten(path: Path) -> None:
    path.write_bytes(b"b" * SIZE)


def rewritten_with_its_time_restored(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino == before.st_ino


def replaced_by_another_of_equal_time(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"b" * SIZE)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, path)


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"b")


@pytest.mark.parametrize(
    "change", [rewritten, rewritten_with_its_time_restored, replaced_by_another_of_equal_time, longer]
)
def test_a_changed_file_is_noticed(change: object, tmp_path: Path) -> None:
    path = data_file(tmp_path)
    with trusting_stamps():
        before = file_digest(path)
        assert file_digest(path) == before
        change(path)  # type: ignore[operator]
        assert file_digest(path) != before


def test_a_file_that_was_changed_a_moment_ago_gets_no_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_notes, "_SETTLED", 3600.0)
    path = data_file(tmp_path)
    stamp = stamp_of(path)
    assert stamp is not None
    assert not keep_note(path, "digest", Note(stamp, b"x" * 16))
    assert read_note(path, "digest") is None


def test_a_note_of_an_older_stamp_is_not_kept(tmp_path: Path) -> None:
    path = data_file(tmp_path)
    stamp = stamp_of(path)
    assert stamp is not None
    longer(path)
    assert not keep_note(path, "digest", Note(stamp, b"x" * 16))


def test_a_cache_folder_that_cannot_be_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = data_file(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "file" / "cache"))
    with trusting_stamps():
        assert file_digest(path) == file_digest(path)
    assert not file_notes.notes_can_be_kept()


def only_note(cache: Path) -> Path:
    (place,) = [path for path in cache.rglob("*") if path.is_file()]
    return place


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_note_is_said_and_made_anew(
    at: float, bit: int, cut: bool, tmp_path: Path, cache: Path
) -> None:
    path = data_file(tmp_path)
    own = file_digest(path)
    place = only_note(cache)
    whole = place.read_bytes()
    offset = int(at * len(whole))
    damaged = bytearray(whole)
    damaged[offset] ^= 1 << bit
    place.write_bytes(whole[:offset] if cut else bytes(damaged))
    with trusting_stamps():
        with pytest.warns(UserWarning, match="damaged; .*data.bin is read again"):
            assert file_digest(path) == own
        assert read_note(path, "digest") == Note(stamp_of(path), own)  # type: ignore[arg-type]
