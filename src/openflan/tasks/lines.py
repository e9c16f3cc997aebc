"""A text file as lines by index, in constant memory.

The file is memory-mapped and only the offsets of its lines are kept (8 bytes a line). Lines end at LF and nowhere else: `str.splitlines` would also
split at U+2028, which occurs inside rows of public data.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from openflan.errors import InputError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Lines:
    """The lines of a UTF-8 file, without their LF or CRLF and without a byte order mark; a trailing newline adds no empty line."""

    def __init__(self, path: Path) -> None:
        """Raises InputError if the file is missing, a folder, or empty."""
        self.path = path
        if not path.exists():
            raise InputError(f"{path}: no such file")
        if not path.is_file():
            raise InputError(f"{path}: not a file")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: empty file; expected one example a line")
        try:
            self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        ends = np.flatnonzero(self._bytes == ord("\n"))
        if len(ends) == 0 or ends[-1] != len(self._bytes) - 1:
            ends = np.append(ends, len(self._bytes))
        self._ends = ends
        marked = self._bytes[: len(_BYTE_ORDER_MARK)].tobytes() == _BYTE_ORDER_MARK
        self._starts = np.concatenate(([len(_BYTE_ORDER_MARK) if marked else 0], ends[:-1] + 1))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:
        """Raises InputError with file and line for bytes that are not UTF-8."""
        raw = self._bytes[self._starts[index] : self._ends[index]].tobytes()
        try:
            return raw.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            found = raw[error.start : error.start + 1].hex()
            raise InputError(f"{self.place(index)}: not UTF-8 (byte 0x{found} at column {error.start + 1}); convert the file with `iconv -t UTF-8`") from None

    def place(self, index: int) -> str:
        """`file:line`, counted from 1, for messages."""
        return f"{self.path}:{index + 1}"
