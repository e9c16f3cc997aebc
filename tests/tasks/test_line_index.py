"""Lines by index in files of any size: against Python's own splitting, and within memory that does not grow
with the file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks import lines as lines_module
from openflan.tasks.lines import GROUP, Lines
from openflan.tasks.slices import OPEN_FILES, Slices


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5 * GROUP),
    last=st.booleans(),
    chunk=st.integers(1, 40),
    marked=st.booleans(),
)
def test_lines_are_found_wherever_chunks_and_groups_end(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], last: bool, chunk: int, marked: bool
) -> None:
    texts = [str(number % 10) * length for number, length in enumerate(lengths)] + ["end"]
    path = tmp_path_factory.getbasetemp() / "grouped.txt"
    path.write_bytes(
        (b"\xef\xbb\xbf" if marked else b"") + ("\n".join(texts) + ("\n" if last else "")).encode()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "_CHUNK", chunk)
        read = Lines(path)
    assert len(read) == len(texts)
    assert [read[index] for index in reversed(range(len(read)))] == texts[::-1]
    assert list(read) == texts


@pytest.mark.parametrize("index", [-1, 2, 99])
def test_an_index_beyond_the_file_is_no_line(tmp_path: Path, index: int) -> None:
    path = tmp_path / "two.txt"
    path.write_text("a\nb\n")
    with pytest.raises(IndexError):
        Lines(path)[index]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    line = b"x" * 49 + b"\n"
    path.write_bytes(line * 400_000)  # 20 MB
    tracemalloc.start()
    try:
        read = Lines(path)
        assert read[399_999] == "x" * 49
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(read) == 400_000
    assert kept < 400_000  # under a byte a line
    assert peak < 4_000_000


def test_more_files_than_may_be_open_are_read(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = []
    for number in range(2 * OPEN_FILES):
        files.append(tmp_path / f"{number}.txt")
        files[-1].write_text(f"line {number}\n")
    open_now = len(list(Path("/dev/fd").iterdir())) if Path("/dev/fd").exists() else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], open_now + OPEN_FILES + 16), before[1]))
    try:
        read = [Lines(file) for file in files]
        for _ in range(2):
            assert [lines[0] for lines in read] == [f"line {number}" for number in range(len(files))]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_file_that_shrinks_while_in_use_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("one\ntwo\n")
    read = Lines(path)
    path.write_text("one\n")
    with pytest.raises(InputError, match=r"rows\.txt: changed while it was in use"):
        read[1]


def test_a_range_of_bytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(100)))
    assert Slices(path).read(10, 13) == b"\n\x0b\x0c"
    assert Slices(path).size == 100


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_named_with_its_remedy(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "wide.txt"
    path.write_bytes(("" if encoding == "utf-16" else "\ufeff").encode(encoding) + "a\nb\n".encode(encoding))
    with pytest.raises(
        InputError, match="UTF-16, expected UTF-8; convert the file with `iconv -f UTF-16 -t UTF-8`"
    ):
        Lines(path)
