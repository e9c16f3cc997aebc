"""The objects of a JSON array as records, by index.

The file is walked once, element by element, and the position of each is kept (8 bytes a record), so that a
record costs one read wherever it stands and memory does not grow with the elements' sizes.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from openflan.errors import InputError
from openflan.json_files import DEEPEST, LONGEST_LINE
from openflan.tasks.digest import file_digest
from openflan.tasks.lines import holds_any
from openflan.tasks.records import Record, json_record
from openflan.tasks.slices import Slices
from openflan.tasks.unpacked import unpacked

_CHUNK = 1 << 18
_SPACES = re.compile(r"[ \t\r\n]*")
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


class JsonArray:
    """The objects of a file that is one JSON array, which may be compressed."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that is missing, empty or UTF-16, that is no array, and for an element
        that is not valid JSON or larger than 256 MiB, with its number."""
        self.path = path
        self._file = Slices(unpacked(path))
        self._spans = _Walk(path, self._file).spans()
        if not self._spans:
            raise InputError(f"{path}: an empty JSON array; expected one object an example")
        self._digest: bytes | None = None

    def holds(self, marks: Sequence[bytes]) -> bool:
        """Whether any of some byte strings occurs in the file."""
        return holds_any(self._file, marks)

    def __len__(self) -> int:
        return len(self._spans) - 1

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(index)
        text = self._file.read(self._spans[index], self._spans[index + 1])
        # Behind an element stands white space and a comma, or the end of the array.
        return json_record(text.rstrip()[:-1], self.place(index))

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def place(self, index: int) -> str:
        """`file, row N`, counted from 0, for messages."""
        return f"{self.path}, row {index}"

    def digest(self) -> bytes:
        if self._digest is None:
            self._digest = file_digest(self._file.path)
        return self._digest


class _Walk:
    """One pass over the elements. Bytes are read as Latin-1, which has one letter a byte, so that positions
    in the text are those in the file; no byte above 127 means anything to JSON's grammar."""

    def __init__(self, path: Path, file: Slices) -> None:
        self._path = path
        self._file = file
        self._start = 0  # where the text begins in the file
        self._text = ""
        self._at = 0  # where the walk is in the text

    def spans(self) -> array[int]:
        """Where each element begins, and behind the last, one byte after the end of the array; empty for an
        empty array."""
        starts = array("q")
        if self._file.size == 0:
            raise InputError(f"{self._path}: empty file; expected a JSON array of objects")
        head = self._file.read(0, min(3, self._file.size))
        if head.startswith(_WIDE_MARKS):
            raise InputError(
                f"{self._path}: UTF-16, expected UTF-8; convert the file with `iconv -f UTF-16 -t UTF-8`"
            )
        self._start = 3 if head == b"\xef\xbb\xbf" else 0
        if self._next() != "[":
            raise InputError(
                f"{self._path}: not a JSON array; expected `[` and objects such as "
                '{"inputs": ..., "targets": ...}, or one object a line; a list inside an object is taken out '
                f"with `jq .NAME {self._path.name}`"
            )
        self._at += 1
        if self._next() == "]":
            return starts
        while True:
            self._next()
            starts.append(self._start + self._at)
            self._pass_element(len(starts) - 1)
            mark = self._next()
            self._at += 1
            if mark == "]":
                break
            if mark != ",":
                self._refuse(len(starts) - 1, f"expected `,` or `]` behind it, found {mark!r}")
        starts.append(self._start + self._at)
        if rest := self._next():
            raise InputError(f"{self._path}: something stands behind the array ({rest!r}); remove it")
        return starts

    def _next(self) -> str:
        """Moves to the next character that is no white space and returns it; empty at the end."""
        while True:
            match = _SPACES.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on(_CHUNK):
                return ""

    def _pass_element(self, number: int) -> None:
        """Moves behind the object that begins here."""
        if self._next() != "{":
            self._refuse(number, 'expected a JSON object such as {"inputs": ..., "targets": ...}')
        while True:
            try:
                _, self._at = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # An element that is cut off fails at the end of the text, or in a text without an end.
                is_cut = error.msg.startswith("Unterminated string") or (error.pos >= len(self._text) - 16)
                length = len(self._text) - self._at
                if length > LONGEST_LINE:
                    self._refuse(number, f"larger than {LONGEST_LINE >> 20} MiB")
                if not is_cut or not self._read_on(max(_CHUNK, length)):
                    self._refuse(number, f"not valid JSON ({error.msg})")
            except RecursionError:
                self._refuse(number, f"lists and objects nested more than {DEEPEST} deep")
            except ValueError:
                self._refuse(number, "holds a whole number of thousands of digits")
            else:
                return

    def _read_on(self, length: int) -> bool:
        """Drops the text that was passed and reads more; false at the end of the file."""
        begin = self._start + len(self._text)
        end = min(begin + length, self._file.size)
        if begin >= end:
            return False
        self._text = self._text[self._at :] + self._file.read(begin, end).decode("latin-1")
        self._start, self._at = self._start + self._at, 0
        return True

    def _refuse(self, number: int, why: str) -> NoReturn:
        raise InputError(f"{self._path}, row {number}: {why}; correct or remove it")


_DECODER = json.JSONDecoder()
