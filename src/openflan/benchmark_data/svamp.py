"""SVAMP: 1,000 arithmetic word problems for grades up to four (Patel et al. 2021).

Read from the authors' `SVAMP.json` or the hub's Parquet files, which split the same problems into `train` and
`test`: both are read, and problems are put into the authors' order by their `ID` (`chal-1` to `chal-1000`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from openflan.benchmark_data.data import BenchmarkData, Item, TaskData
from openflan.benchmark_data.files import find_files, records, text_field
from openflan.errors import InputError

NUM_QUESTIONS = 1000

_AUTHORS = ("SVAMP.json", "data/SVAMP.json")
_HUB = ("data/train-*.parquet", "data/test-*.parquet")
_ID = re.compile(r"chal-(\d+)")


def svamp_rows(data: Path) -> list[tuple[str, str]]:
    """Question (`Body`, one space, `Question`) and answer of each problem, in the authors' order.

    `data` is the folder of the files, or the one that holds `svamp/`. Raises InputError for missing files,
    and, naming the row, for another layout.
    """
    needed_for = "the problems of svamp"
    paths = find_files(data, "svamp", (*_AUTHORS, _HUB[0]), needed_for)
    if paths[0].suffix == ".json":
        return [_problem(row, position) for position, row in records(paths)]
    paths += find_files(data, "svamp", _HUB[1:], needed_for)
    problems = sorted((_index(row, position), *_problem(row, position)) for position, row in records(paths))
    return [(question, answer) for _, question, answer in problems]


def _problem(row: Mapping[str, Any], position: str) -> tuple[str, str]:
    body, question = (text_field(row, key, position).strip() for key in ("Body", "Question"))
    answer = row.get("Answer")
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise InputError(f"{position}: `Answer` is {answer!r:.80}, expected a number")
    try:
        value = float(answer)
    except ValueError:
        raise InputError(f"{position}: `Answer` is {answer!r:.80}, expected a number") from None
    return f"{body} {question}", str(int(value)) if value.is_integer() else str(answer)


def _index(row: Mapping[str, Any], position: str) -> int:
    match = _ID.fullmatch(text_field(row, "ID", position))
    if not match:
        raise InputError(f"{position}: `ID` is {row['ID']!r:.80}, expected `chal-` and a number")
    return int(match[1])


def _items(path: Path) -> Iterator[Item]:
    for index, (position, row) in enumerate(records([path])):
        yield Item("svamp", path.stem, index, _problem(row, position)[0])


BENCHMARKS = (
    BenchmarkData(
        name="svamp",
        tasks={"svamp": TaskData({"test": NUM_QUESTIONS})},
        benchmark="openflan.evaluation.svamp:svamp_benchmark",
        items=_items,
        item_files=((*_AUTHORS, "data/*.parquet"),),
        homepage="https://github.com/arkilpatel/SVAMP (hub: ChilleD/SVAMP)",
        training_tasks=("niv2/task75[1-4]_svamp_*",),
    ),
)
