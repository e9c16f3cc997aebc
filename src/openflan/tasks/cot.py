"""Chain-of-thought files: one TSV a dataset, three columns question, answer, rationale.

The layout is that of the public release of the collection: no header, no quoting (a double quote is a
character), newlines inside a field written as backslash n. It is read as such: a CSV reader with default
quoting silently alters about a thousand rows of the public files.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from openflan.errors import InputError, did_you_mean
from openflan.tasks.cot_files import DATASETS, FIELDS, dataset_of
from openflan.tasks.lines import Lines
from openflan.tasks.public import Unusable, public, usable
from openflan.tasks.records import Record
from openflan.tasks.rows import BadRow
from openflan.tasks.task import Opener, Row, Task

_LINE = "line"


class CotRows:
    """The lines of one TSV file as rows; a line that is none is refused when it is read."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that is missing, empty or UTF-16."""
        self._lines = Lines(path)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> Row:
        """Raises InputError naming file and line for a line without three columns, with an empty one, or that
        is not UTF-8."""
        line = self._lines[index]
        try:
            return _row(line)
        except BadRow as error:
            raise InputError(f"{self.place(index)}: {error}") from None

    def digest(self) -> bytes:
        return self._lines.digest()

    def place(self, index: int) -> str:
        """File and line, for messages."""
        return self._lines.place(index)


class _CotRecords:
    """Lines as records of one field, so that they are checked as those of any public data."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> Record:
        return {_LINE: self._lines[index]}

    def __iter__(self) -> Iterator[Record]:
        return ({_LINE: line} for line in self._lines)

    def digest(self) -> bytes:
        return self._lines.digest()

    def place(self, index: int) -> str:
        return self._lines.place(index)


def _row(line: str) -> Row:
    """The three columns. Raises Unusable for another number of them, or an empty one."""
    columns = line.split("\t")
    if len(columns) != len(FIELDS):
        raise Unusable(
            f"{_columns(len(columns))}, expected 3 ({', '.join(FIELDS)}). Separate columns with one tab "
            "and write newlines as \\n",
            "not three columns",
        )
    # One known item has its newlines escaped twice, which would leave a stray backslash.
    columns = [column.replace("\\\\n", "\n").replace("\\n", "\n").strip() for column in columns]
    for name, column in zip(FIELDS, columns, strict=True):
        if not column:
            raise Unusable(f"empty {name}; every row needs {', '.join(FIELDS)}", f"empty {name}")
    return dict(zip(FIELDS, columns, strict=True))


def find_cot(data: Path) -> dict[str, Opener]:
    """The chain-of-thought tasks of a folder of `NAME_train.tsv` files, or of one such file, all named
    `cot/NAME`.

    Raises InputError if none is there, or for a file whose name is no known dataset.
    """
    files = sorted(data.glob("*_train.tsv")) if data.is_dir() else [data]
    if not files:
        raise InputError(
            f"{data}: no chain-of-thought files; expected "
            f"{', '.join(f'{name}_train.tsv' for name in DATASETS)}"
        )
    for file in files:
        dataset = dataset_of(file)
        if dataset not in DATASETS:
            raise InputError(
                f"{file}: `{dataset}` is not one of the chain-of-thought "
                f"datasets{did_you_mean(dataset, DATASETS) or ': ' + ', '.join(DATASETS)}"
            )
    return {f"cot/{dataset_of(file)}": public(partial(_open, file)) for file in files}


def _open(file: Path) -> Task:
    dataset = dataset_of(file)
    records = _CotRecords(file)
    (group,) = usable(records, _of_record, lambda record: dataset).values()
    return Task(
        f"cot/{dataset}",
        group.rows(records, _of_record),
        frozenset(FIELDS),
        dataset,
        DATASETS[dataset],
        left_out=dict(group.excluded.counts),
    )


def _of_record(record: Record) -> Row:
    return _row(record[_LINE])


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"
