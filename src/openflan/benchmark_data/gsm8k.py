"""GSM8K: the 1,319 test questions of the grade-school problems of Cobbe et al. 2021."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openflan.benchmark_data.data import BenchmarkData, Item, TaskData
from openflan.errors import InputError
from openflan.json_files import json_lines

NUM_QUESTIONS = 1319
TEST_FILE = "test.jsonl"


def gsm8k_rows(path: Path) -> list[tuple[str, str]]:
    """Question and final answer of each line; raises InputError, naming the line, for another layout."""
    rows = []
    for position, row in json_lines(path):
        if not isinstance(row, dict) or not all(
            isinstance(row.get(key), str) for key in ("question", "answer")
        ):
            raise InputError(
                f'{position} is no problem of GSM8K: expected {{"question", "answer"}}, both texts'
            )
        _, mark, answer = row["answer"].rpartition("#### ")
        if not mark:
            raise InputError(f"{position}: the answer has no `#### N` at its end: fetch the file again")
        rows.append((row["question"].strip(), answer.strip()))
    return rows


def _items(path: Path) -> Iterator[Item]:
    for index, (question, _) in enumerate(gsm8k_rows(path)):
        yield Item("gsm8k", path.stem, index, question)


BENCHMARKS = (
    BenchmarkData(
        name="gsm8k",
        tasks={"gsm8k": TaskData({"test": NUM_QUESTIONS})},
        benchmark="openflan.evaluation.gsm8k:gsm8k_benchmark",
        items=_items,
        item_files=((TEST_FILE,),),
        homepage="https://github.com/openai/grade-school-math",
        files=(TEST_FILE,),
        training_tasks=("cot/gsm8k",),
    ),
)
