"""Chain-of-thought files: one TSV a dataset, three columns question, answer, rationale.

The layout is that of the public release of the collection: no header, no quoting (a double quote is a character), newlines inside a field written
as backslash n. It is read as such: a CSV reader with default quoting silently alters about a thousand rows of the public files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from openflan.errors import InputError, did_you_mean
from openflan.tasks.lines import Lines
from openflan.tasks.task import Opener, Row, Task

FIELDS = ("question", "answer", "rationale")

DATASETS: Mapping[str, str] = {
    "aqua": "algebra word problems",
    "creak": "commonsense fact verification",
    "ecqa": "commonsense question answering",
    "esnli": "natural language inference",
    "gsm8k": "grade school math word problems",
    "qasc": "science question answering",
    "qed": "reading comprehension",
    "sensemaking": "commonsense validation",
    "strategyqa": "implicit multi-step question answering",
}
"""The nine datasets (Chung et al. 2022, appendix E, Table 24) and their task categories."""


class CotRows:
    """The rows of one TSV file; every line is checked when it is opened."""

    def __init__(self, path: Path) -> None:
        """Raises InputError naming file and line for a row without three columns, with an empty one, or that is not UTF-8."""
        self._lines = Lines(path)
        for index, line in enumerate(self._lines):
            self._columns(line, index)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> Row:
        return dict(zip(FIELDS, self._columns(self._lines[index], index), strict=True))

    def digest(self) -> bytes:
        return self._lines.digest()

    def _columns(self, line: str, index: int) -> list[str]:
        columns = line.split("\t")
        if len(columns) != len(FIELDS):
            raise InputError(
                f"{self._lines.place(index)}: {_columns(len(columns))}, expected 3 ({', '.join(FIELDS)}); "
                f"{index:,} rows before it are fine. Separate columns with one tab and write newlines as \\n"
            )
        # One known item has its newlines escaped twice, which would leave a stray backslash.
        columns = [column.replace("\\\\n", "\n").replace("\\n", "\n").strip() for column in columns]
        for name, column in zip(FIELDS, columns, strict=True):
            if not column:
                raise InputError(f"{self._lines.place(index)}: empty {name}; every row needs {', '.join(FIELDS)}")
        return columns


def find_cot(data: Path) -> dict[str, Opener]:
    """The chain-of-thought tasks of a folder of `NAME_train.tsv` files, or of one such file, all named `cot/NAME`.

    Raises InputError if none is there, or for a file whose name is no known dataset.
    """
    files = sorted(data.glob("*_train.tsv")) if data.is_dir() else [data]
    if not files:
        raise InputError(f"{data}: no chain-of-thought files; expected {', '.join(f'{name}_train.tsv' for name in DATASETS)}")
    for file in files:
        dataset = _dataset(file)
        if dataset not in DATASETS:
            raise InputError(f"{file}: `{dataset}` is not one of the chain-of-thought datasets{did_you_mean(dataset, DATASETS) or ': ' + ', '.join(DATASETS)}")
    return {f"cot/{_dataset(file)}": partial(_open, file) for file in files}


def _open(file: Path) -> Task:
    dataset = _dataset(file)
    return Task(f"cot/{dataset}", CotRows(file), frozenset(FIELDS), dataset, DATASETS[dataset])


def _dataset(file: Path) -> str:
    return file.stem.removesuffix("_train")


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"
