"""HellaSwag: the right one of four endings of a text (Zellers et al. 2019).

Read from the authors' JSON lines (`hellaswag_val.jsonl`) or the hub's Parquet files
(`data/validation-00000-of-00001.parquet`). The test split has no answers, so the validation split is scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.benchmark_data.data import BenchmarkData, Item, TaskData
from openflan.benchmark_data.files import find_files, records, text_field
from openflan.errors import InputError

NUM_QUESTIONS = 10_042
"""The number of rows of the validation split."""

NUM_ENDINGS = 4
CHANCE = 100 / NUM_ENDINGS

_PATTERNS = {
    "validation": ("hellaswag_val.jsonl", "data/hellaswag_val.jsonl", "data/validation-*.parquet"),
    "train": ("hellaswag_train.jsonl", "data/hellaswag_train.jsonl", "data/train-*.parquet"),
}


@dataclass(frozen=True, slots=True)
class HellaSwagRow:
    """A row as published: `context` is the whole first sentences (`ctx_a`), `start` the begun last one
    (`ctx_b`, may be empty), `answer` the index of the right ending."""

    activity: str
    context: str
    start: str
    endings: tuple[str, ...]
    answer: int


def hellaswag_rows(data: Path, split: str) -> list[HellaSwagRow]:
    """The rows of a split (`validation`, `train`); `data` is the folder of the files, or that holds
    `hellaswag/`.

    Raises InputError for missing files, and, naming the row, for another layout.
    """
    paths = find_files(data, "hellaswag", _PATTERNS[split], f"the {split} split of hellaswag")
    return [_row(row, position) for position, row in records(paths)]


def _row(row: Mapping[str, Any], position: str) -> HellaSwagRow:
    endings = row.get("endings")
    if (
        not isinstance(endings, list)
        or len(endings) != NUM_ENDINGS
        or not all(isinstance(ending, str) for ending in endings)
    ):
        raise InputError(f"{position}: `endings` is {endings!r:.80}, expected {NUM_ENDINGS} texts")
    # The authors write a number, the hub a text, empty where there is no answer.
    label = str(row.get("label", ""))
    if label not in {str(index) for index in range(NUM_ENDINGS)}:
        raise InputError(f"{position}: `label` is {label!r}, expected 0 to {NUM_ENDINGS - 1}")
    return HellaSwagRow(
        text_field(row, "activity_label", position),
        text_field(row, "ctx_a", position),
        text_field(row, "ctx_b", position),
        tuple(endings),
        int(label),
    )


def _items(path: Path) -> Iterator[Item]:
    for index, (position, fields) in enumerate(records([path])):
        row = _row(fields, position)
        yield Item("hellaswag", path.stem, index, f"{row.context} {row.start}".strip())
        for ending in row.endings:
            yield Item("hellaswag", path.stem, index, ending, "option")


BENCHMARKS = (
    BenchmarkData(
        name="hellaswag",
        tasks={"hellaswag": TaskData({"validation": NUM_QUESTIONS}, CHANCE)},
        benchmark="openflan.evaluation.hellaswag:hellaswag_benchmark",
        items=_items,
        item_files=(_PATTERNS["validation"],),
        homepage="https://rowanzellers.com/hellaswag (hub: Rowan/hellaswag)",
        splits=("validation",),
        modes=("direct",),
        training_tasks=("muffin/hellaswag", "niv2/task1389_hellaswag_completion"),
    ),
)
