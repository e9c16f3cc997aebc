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
from openflan.tasks.unpacked import unpacked

GROUP = 16
"""Lines from one kept offset to the next."""

_CHUNK = 1 << 18
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LF = ord("\n")
_IS_SPACE = np.zeros(256, dtype=bool)
_IS_SPACE[list(b" \t\r\n\x0b\x0c")] = True


class Lines:
    """The lines of a UTF-8 file, without their LF or CRLF and without a byte order mark; a trailing newline
    adds no empty line."""

    def __init__(self, path: Path) -> None:
        """A compressed file is unpacked into the cache (see `unpacked`); messages name the file itself.

        Raises InputError if the file is missing, a folder, empty, or UTF-16, and as `unpacked` does.
        """
        self.path = path
        path = unpacked(path)
        self._file = Slices(path)
        if self._file.size == 0:
            raise InputError(f"{self.path}: empty file; expected one example a line")
        mark = self._file.read(0, min(len(_BYTE_ORDER_MARK), self._file.size))
        if mark.startswith(_WIDE_MARKS):
            raise InputError(
                f"{self.path}: UTF-16, expected UTF-8; convert the file with `iconv -f UTF-16 -t UTF-8`"
            )
        self._begin = len(_BYTE_ORDER_MARK) if mark == _BYTE_ORDER_MARK else 0
        self._spaced = array("Q")  # lines that begin with white space: only these can be blank
        self._length, self._starts, self._digest = self._scan()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> str:
        """Raises InputError with file and line for bytes that are not UTF-8."""
        return self._decode(self._bytes(index), index)

    def __iter__(self) -> Iterator[str]:
        """All lines in order, by one pass over the file."""
        with reading(self.path), self._file.path.open("rb") as file:
            file.seek(self._begin)
            for index, line in enumerate(file):
                yield self._decode(line.removesuffix(b"\n"), index)

    def blank(self) -> array[int]:
        """The numbers of the lines that hold nothing but white space, in order, counted from 0."""
        return array("Q", [index for index in self._spaced if not self._bytes(index).strip()])

    def digest(self) -> bytes:
        """The hash of the file's bytes, as they were when it was opened."""
        return self._digest

    def place(self, index: int) -> str:
        """`file:line`, counted from 1, for messages."""
        return f"{self.path}:{index + 1}"

    def holds(self, marks: Sequence[bytes]) -> bool:
        """Whether any of some byte strings, none longer than a chunk, occurs in the file."""
        return holds_any(self._file, marks)

    def _bytes(self, index: int) -> bytes:
        if not 0 <= index < self._length:
            raise IndexError(index)
        group, within = divmod(index, GROUP)
        end = self._starts[group + 1] if group + 1 < len(self._starts) else self._file.size
        return self._file.read(self._starts[group], end).split(b"\n", within + 1)[within]

    def _scan(self) -> tuple[int, array[int], bytes]:
        """The number of lines, where lines 0, GROUP, 2 * GROUP, ... begin (a last one may point at the end of
        the file), and the hash of the file."""
        digest = hashed()
        starts = array("q", [self._begin])
        newlines = 0
        before = _LF  # the byte before a chunk: a line begins with the file
        for offset in range(0, self._file.size, _CHUNK):
            read = self._file.read(offset, min(offset + _CHUNK, self._file.size))
            digest.update(read)
            chunk = np.frombuffer(read, dtype=np.uint8)
            ends = np.flatnonzero(chunk == _LF)
            # The line after the k-th newline has the number k + 1.
            starts.extend((ends[(GROUP - 1 - newlines) % GROUP :: GROUP] + (offset + 1)).tolist())
            if before == _LF and _IS_SPACE[chunk[0]]:
                self._spaced.append(newlines)
            first_bytes = chunk[ends[: len(ends) - (chunk[-1] == _LF)] + 1]
            self._spaced.extend((np.flatnonzero(_IS_SPACE[first_bytes]) + (newlines + 1)).tolist())
            before = int(chunk[-1])
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


def holds_any(file: Slices, marks: Sequence[bytes]) -> bool:
    """Whether any of some byte strings, none longer than a chunk, occurs in a file."""
    overlap = max(map(len, marks)) - 1
    for offset in range(0, file.size, _CHUNK):
        chunk = file.read(max(0, offset - overlap), min(offset + _CHUNK, file.size))
        if any(mark in chunk for mark in marks):
            return True
    return False
