"""The rows of one dataset as it publishes them, whatever their columns: the training files of a folder,
nested values included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from openflan.errors import InputError
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.records import Joined, JsonRecords, Record, Records
from openflan.tasks.splits import split_of
from openflan.tasks.table_files import open_table

SUFFIXES = (".parquet", ".arrow", ".jsonl")
_PLACES = (".", "train", "data", "default/train")


class NamedRows:
    """The rows of tables of which some columns are wanted; a text that is not UTF-8 is named with its row."""

    def __init__(self, table: ColumnRecords, columns: Sequence[str] | None = None) -> None:
        """`table`: opened `raw`. `columns`: the columns to be read, all if None; they must be there."""
        if columns is not None:
            table.columns = list(columns)
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Record:
        try:
            return self._table[index]
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.place(index)}: holds a text that is not UTF-8 (byte "
                f"0x{error.object[error.start]:02x}); write the table again with all texts in UTF-8"
            ) from None

    def __iter__(self) -> Iterator[Record]:
        records = iter(self._table)
        for index in range(len(self)):
            try:
                record = next(records)
            except (
                UnicodeDecodeError
            ):  # many rows are decoded at once: one by one, the broken one says so itself
                yield from (self[later] for later in range(index, len(self)))
                return
            yield record

    def place(self, index: int) -> str:
        return self._table.place(index)

    def digest(self) -> bytes | None:
        return self._table.digest()


def has_rows(folder: Path) -> bool:
    """Return True if a folder holds a dataset's files, of any split."""
    return any(
        True for subfolder in _PLACES for suffix in SUFFIXES for _ in (folder / subfolder).glob(f"*{suffix}")
    )


def train_files(folder: Path) -> list[Path]:
    """The files of the training split, in their order: in the folder or in its `train`, `data` or
    `default/train`. Where files are named by their split, those of `train`; others hold the training rows.

    Raises InputError if there is none.
    """
    for subfolder in _PLACES:
        for suffix in SUFFIXES:
            files = sorted((folder / subfolder).glob(f"*{suffix}"))
            if trained := [file for file in files if split_of(file.name) == "train"]:
                return trained
            if unsplit := [file for file in files if split_of(file.name) is None]:
                return unsplit
            if files:
                raise InputError(
                    f"{folder}: holds {', '.join(file.name for file in files[:3])}, which are not for "
                    f"training; expected train{suffix}"
                )
    if any(folder.rglob("*.tfrecord*")):
        raise InputError(
            f"{folder}: TFRecord files, which openflan does not read; fetch the Parquet files of "
            "https://huggingface.co/datasets/bigscience/P3"
        )
    raise InputError(f"{folder}: no rows; expected files ending in {', '.join(SUFFIXES)}")


def open_rows(files: Sequence[Path], columns: Sequence[str] | None = None) -> Records:
    """All rows of the files, one after the other; `columns` names the only columns to be read from tables."""
    if files[0].suffix == ".jsonl":
        return Joined([JsonRecords(file) for file in files])
    return NamedRows(ColumnRecords([open_table(file) for file in files], raw=True), columns)


def columns_in(file: Path) -> list[str]:
    """The columns of a table, or the keys of the first line of JSON; none if that line cannot be read, which
    is said when the file is opened."""
    if file.suffix != ".jsonl":
        return list(open_table(file).schema.names)
    try:
        with file.open("rb") as lines:
            record = json.loads(lines.readline().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return []
    return list(record) if isinstance(record, dict) else []
