"""A text file as lines by index, in constant memory.

The file is scanned once in chunks, and the offset of every 16th line is kept (half a byte a line); reading a
line fetches its group of 16 and splits it. Lines end at LF and nowhere else: `str.splitlines` would also
split at U+2028, which occurs inside rows of public data.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from openflan.errors import InputError
from openflan.json_files import reading
from openflan.tasks.digest import hashed
from openflan.tasks.slices import Slices

GROUP = 16
"""Lines from one kept offset to the next."""

_CHUNK = 1 << 18
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Lines:
    """The lines of a UTF-8 file, without their LF or CRLF and without a byte order mark; a trailing newline
    adds no empty line."""

    def __init__(self, path: Path) -> None:
        """Raises InputError if the file is missing, a folder, empty, or UTF-16."""
        self.path = path
        self._file = Slices(path)
        if self._file.size == 0:
            raise InputError(f"{path}: empty file; expected one example a line")
        mark = self._file.read(0, min(len(_BYTE_ORDER_MARK), self._file.size))
        if mark.startswith(_WIDE_MARKS):
            raise InputError(
                f"{path}: UTF-16, expected UTF-8; convert the file with `iconv -f UTF-16 -t UTF-8`"
            )
        self._begin = len(_BYTE_ORDER_MARK) if mark == _BYTE_ORDER_MARK else 0
        self._length, self._starts, self._digest = self._scan()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> str:
        """Raises InputError with file and line for bytes that are not UTF-8."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        group, within = divmod(index, GROUP)
        end = self._starts[group + 1] if group + 1 < len(self._starts) else self._file.size
        return self._decode(self._file.read(self._starts[group], end).split(b"\n", within + 1)[within], index)

    def __iter__(self) -> Iterator[str]:
        """All lines in order, by one pass over the file."""
        with reading(self.path), self.path.open("rb") as file:
            file.seek(self._begin)
            for index, line in enumerate(file):
                yield self._decode(line.removesuffix(b"\n"), index)

    def digest(self) -> bytes:
        """The hash of the file's bytes, as they were when it was opened."""
        return self._digest

    def place(self, index: int) -> str:
        """`file:line`, counted from 1, for messages."""
        return f"{self.path}:{index + 1}"

    def holds(self, marks: Sequence[bytes]) -> bool:
        """Whether any of some byte strings, none longer than a chunk, occurs in the file."""
        overlap = max(map(len, marks)) - 1
        for offset in range(0, self._file.size, _CHUNK):
            chunk = self._file.read(max(0, offset - overlap), min(offset + _CHUNK, self._file.size))
            if any(mark in chunk for mark in marks):
                return True
        return False

    def _scan(self) -> tuple[int, array[int], bytes]:
        """The number of lines, where lines 0, GROUP, 2 * GROUP, ... begin (a last one may point at the end of
        the file), and the hash of the file."""
        digest = hashed()
        starts = array("q", [self._begin])
        newlines = 0
        for offset in range(0, self._file.size, _CHUNK):
            read = self._file.read(offset, min(offset + _CHUNK, self._file.size))
            digest.update(read)
            chunk = np.frombuffer(read, dtype=np.uint8)
            ends = np.flatnonzero(chunk == ord("\n"))
            # The line after the k-th newline has the number k + 1.
            starts.extend((ends[(GROUP - 1 - newlines) % GROUP :: GROUP] + (offset + 1)).tolist())
            newlines += len(ends)
        unfinished = self._file.read(self._file.size - 1, self._file.size) != b"\n"
        return newlines + unfinished, starts, bytes(digest.digest())

    def _decode(self, raw: bytes, index: int) -> str:
        try:
            return raw.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            bad_byte = raw[error.start : error.start + 1].hex()
            raise InputError(
                f"{self.place(index)}: not UTF-8 (byte 0x{bad_byte} at column {error.start + 1}); convert "
                "the file with `iconv -t UTF-8`"
            ) from None
