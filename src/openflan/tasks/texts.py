"""Plain documents by index: lines, paragraphs or whole text files, and a field of JSONL, Parquet, Arrow or
hub rows.

A document is read when it is drawn, in constant memory, except that the numbers of the first and last line of
each paragraph are kept (16 bytes).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from openflan.embedded import parse_data
from openflan.errors import InputError, did_you_mean
from openflan.json_files import reading
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.digest import digest_of, joined
from openflan.tasks.embedded_rows import embedded_documents
from openflan.tasks.hub import FORM, hub_records, is_hub
from openflan.tasks.lines import Lines
from openflan.tasks.records import JsonRecords, Records
from openflan.tasks.saved import is_saved, saved_files
from openflan.tasks.slices import is_there
from openflan.tasks.splits import training_only
from openflan.tasks.table_files import open_table

Unit: TypeAlias = Literal["line", "paragraph", "file"]
Span: TypeAlias = tuple[int, int]
"""Begin and end of a part of a document, in characters."""

SUFFIXES = (".txt", ".jsonl", ".parquet", ".arrow")


class Texts(Protocol):
    """Documents by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> str: ...

    def place(self, index: int) -> str:
        """The file and line or row of a document, for messages."""
        ...


@runtime_checkable
class Salient(Protocol):
    """Documents that may mark the span which matters in them."""

    def salient(self, index: int) -> Span | None: ...


def salient_span(texts: Texts, index: int) -> Span | None:
    """The marked span of a document; None where there is none."""
    return texts.salient(index) if isinstance(texts, Salient) else None


def open_texts(
    data: Sequence[Path], field: str = "text", unit: Unit = "line", salient_field: str | None = None
) -> Texts:
    """The documents of files, folders and hub data sets, one after the other in that order; a folder's files
    by name, those in folders below too.

    `field` holds the document of a row, `salient_field` the beginning and end of its marked span; `unit` is a
    document of a .txt file. Raises InputError for a place without documents, a file of another kind, a row
    without the field, or a folder without such files.
    """
    parts = [texts for path in data for texts in _open(path, field, unit, salient_field)]
    return parts[0] if len(parts) == 1 else JoinedTexts(parts)


class JoinedTexts:
    """Several sources, one after the other."""

    def __init__(self, parts: Sequence[Texts]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(len(part) for part in parts)]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> str:
        part, within = self._find(index)
        return part[within]

    def place(self, index: int) -> str:
        part, within = self._find(index)
        return part.place(within)

    def salient(self, index: int) -> Span | None:
        part, within = self._find(index)
        return salient_span(part, within)

    def digest(self) -> bytes | None:
        return joined("one after another", map(digest_of, self._parts))

    def _find(self, index: int) -> tuple[Texts, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part_index = bisect_right(self._starts, index) - 1
        return self._parts[part_index], index - self._starts[part_index]


class Paragraphs:
    """The parts of a text file between lines that are empty or blank, line breaks within them kept."""

    def __init__(self, path: Path) -> None:
        """Raises InputError as `Lines` does, and for a file of blank lines only."""
        self._lines = Lines(path)
        self._starts, self._ends = array("q"), array("q")
        after_blank = True
        for line_index, line in enumerate(self._lines):
            blank = not line.strip()
            if after_blank and not blank:
                self._starts.append(line_index)
            if blank and not after_blank:
                self._ends.append(line_index)
            after_blank = blank
        if not after_blank:
            self._ends.append(len(self._lines))
        if not self._starts:
            raise InputError(f"{path}: holds blank lines only; expected text")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> str:
        return "\n".join(self._lines[line] for line in range(self._starts[index], self._ends[index]))

    def place(self, index: int) -> str:
        return self._lines.place(self._starts[index])

    def digest(self) -> bytes | None:
        return joined("paragraphs", [self._lines.digest()])


class WholeFile:
    """A text file that is one document."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> str:
        if index != 0:
            raise IndexError(index)
        return "\n".join(self._lines)

    def place(self, index: int) -> str:
        return str(self._lines.path)

    def digest(self) -> bytes | None:
        return joined("whole", [self._lines.digest()])


class Field:
    """One field of every row of a source."""

    def __init__(self, records: Records, field: str, salient_field: str | None = None) -> None:
        """Raises InputError if the first row lacks the field, naming the nearest, or if no row has a mark
        (which takes reading them all)."""
        self._records = records
        self._field, self._salient_field = field, salient_field
        first = records[0]
        if field not in first:
            hint = did_you_mean(field, first) or f"; it has {', '.join(first) or 'none that holds text'}"
            raise InputError(f"{records.place(0)}: no field `{field}`{hint}; set `pretraining.field`")
        if salient_field is not None and not any(record.get(salient_field) for record in records):
            hint = (
                did_you_mean(salient_field, [name for name in first if name != field])
                or f"; it has {', '.join(first)}"
            )
            raise InputError(
                f"{records.place(0)} and the rows after it have no mark `{salient_field}`{hint}; set "
                "`pretraining.salient_field`"
            )

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> str:
        """Raises InputError for a row without the field, or with something else than text in it."""
        text = self._records[index].get(self._field)
        if not isinstance(text, str):
            raise InputError(
                f"{self._records.place(index)}: `{self._field}` is "
                f"{'missing' if text is None else 'no text'}; expected a document"
            )
        return text

    def salient(self, index: int) -> Span | None:
        """Raises InputError for a row whose mark is no span of its document."""
        record = self._records[index]
        marked = record.get(self._salient_field) if self._salient_field else None
        if marked is None:
            return None
        pair = list(marked) if isinstance(marked, Sequence) and not isinstance(marked, str) else []
        length = len(self[index])
        if (
            len(pair) != 2
            or not all(type(place) is int for place in pair)
            or not 0 <= pair[0] < pair[1] <= length
        ):
            raise InputError(
                f"{self._records.place(index)}: `{self._salient_field}` is {marked!r}; expected [begin, "
                "end] of a span, in characters"
            )
        return int(pair[0]), int(pair[1])

    def place(self, index: int) -> str:
        return self._records.place(index)

    def digest(self) -> bytes | None:
        return joined(f"field {self._field} {self._salient_field}", [digest_of(self._records)])


def _open(path: Path, field: str, unit: Unit, salient_field: str | None) -> Iterator[Texts]:
    if embedded := parse_data(path):
        yield Field(embedded_documents(embedded), "text", "salient")
        return
    if is_hub(path):
        yield Field(hub_records(path.as_posix()), field, salient_field)
        return
    if not is_there(path):
        raise InputError(f"{path}: no such file or folder; expected {', '.join(SUFFIXES)} files, or {FORM}")
    files = saved_files(path) if is_saved(path) else _files_in(path) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: no {', '.join(SUFFIXES)} file in it")
    for file in files:
        yield _of_file(file, field, unit, salient_field)


def _files_in(folder: Path) -> list[Path]:
    with reading(folder):
        files = sorted(file for file in folder.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    return training_only(folder, files) if files else []


def _of_file(file: Path, field: str, unit: Unit, salient_field: str | None) -> Texts:
    if file.suffix == ".txt":
        return Lines(file) if unit == "line" else Paragraphs(file) if unit == "paragraph" else WholeFile(file)
    if file.suffix == ".jsonl":
        return Field(JsonRecords(file), field, salient_field)
    if file.suffix in (".parquet", ".arrow"):
        columns = frozenset([field] if salient_field is None else [field, salient_field])
        return Field(ColumnRecords([open_table(file)], columns), field, salient_field)
    raise InputError(f"{file}: not a file of documents; expected {', '.join(SUFFIXES)}")
