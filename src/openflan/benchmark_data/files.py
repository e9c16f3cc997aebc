"""Finding and reading the files of benchmarks on this machine."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openflan.benchmark_data.registry import find_benchmark_data
from openflan.errors import InputError
from openflan.json_files import json_lines, read_json_file, reading

_MAX_LISTED = 3


def locate(data: Path, name: str, files: tuple[str, ...] = ()) -> Path:
    """The folder with all files of benchmark `name`, or with those of them in `files`: `data` itself or the
    benchmark's folder in `data`.

    Raises InputError for an unknown benchmark, and for files that are missing.
    """
    benchmark = find_benchmark_data(name)
    _check_folder(data, benchmark.folder_name)
    files = files or benchmark.files
    folder = next(
        (
            folder
            for folder in (data / benchmark.folder_name, data)
            if any(is_file(folder / file) for file in files)
        ),
        None,
    )
    if folder is None:
        raise InputError(
            f"{data} holds neither `{benchmark.folder_name}/` nor its files: expected {_listed(files)}"
        )
    missing = tuple(file for file in files if not is_file(folder / file))
    if missing:
        raise InputError(
            f"{folder} lacks {len(missing)} of the {len(files)} files of {name}: {_listed(missing)}"
        )
    return folder


def find_files(data: Path, folder: str, patterns: Sequence[str], needed_for: str) -> tuple[Path, ...]:
    """Return the files of the first pattern that any file matches, in alphabetical order. They are looked for
    in `data/folder` and in `data`. A Parquet file may be split into several.

    `needed_for` completes the message of the InputError that is raised if there is none.
    """
    _check_folder(data, folder)
    for parent in (data / folder, data):
        for pattern in patterns:
            if paths := tuple(sorted(parent.glob(pattern))):
                return paths
    raise InputError(
        f"{data} holds no file for {needed_for}: expected one of {', '.join(patterns)}, in it or in its "
        f"folder `{folder}/`"
    )


def _check_folder(data: Path, folder: str) -> None:
    if not os.path.isdir(data):
        raise InputError(f"{data} is not a folder: `--data` names the folder that holds `{folder}/`")


def records(paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Position (`file:line`, or `file: row N`, counted from 1) and fields of each row of JSON lines (.jsonl),
    JSON lists (.json) or Parquet files (.parquet), file after file.

    Raises InputError, naming the file, for a file that cannot be read, and for a row that is no object.
    """
    for path in paths:
        for position, row in _READERS[path.suffix](path):
            if not isinstance(row, Mapping):
                raise InputError(f"{position} holds a {type(row).__name__}, expected an object")
            yield position, row


def _json_list(path: Path) -> Iterator[tuple[str, Any]]:
    rows = read_json_file(path)
    if not isinstance(rows, list):
        raise InputError(f"{path} holds a {type(rows).__name__}, expected a list of objects")
    for row_number, row in enumerate(rows, 1):
        yield f"{path}: row {row_number}", row


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import read_table

    with reading(path):
        content = path.read_bytes()
    try:
        rows = read_table(BufferReader(content)).to_pylist()
    except (ArrowException, ValueError, OSError) as error:
        raise InputError(f"{path} is no Parquet file that can be read ({error}): fetch it again") from None
    for row_number, row in enumerate(rows, 1):
        yield f"{path}: row {row_number}", row


_READERS = {".jsonl": json_lines, ".json": _json_list, ".parquet": _parquet}


def text_field(row: Mapping[str, Any], key: str, position: str) -> str:
    """A text of a row; InputError if it is missing or no text."""
    value = row.get(key)
    if not isinstance(value, str):
        raise InputError(
            f"{position}: `{key}` is {'missing' if key not in row else repr(value)[:80]}, expected a text"
        )
    return value


def text_of(path: Path) -> str:
    """A file's text with its line ends as they are; InputError if it cannot be read or is not UTF-8."""
    with reading(path):
        content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}): fetch it again") from error


def is_file(path: Path) -> bool:
    """Return True if the file exists; False also for text that is no path (too long, or with a NUL)."""
    return os.path.isfile(path)


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Last line (counted from 1) and cells of each row; raises InputError for a file that is not UTF-8 or not
    CSV."""
    reader = csv.reader(io.StringIO(text_of(path).removeprefix("\ufeff"), newline=""))
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: no row of CSV ({error}); correct or remove it") from None


def _listed(files: tuple[str, ...]) -> str:
    return ", ".join(files[:_MAX_LISTED]) + (
        f" and {len(files) - _MAX_LISTED} more" if len(files) > _MAX_LISTED else ""
    )
