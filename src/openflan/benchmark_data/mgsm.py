"""MGSM: 250 questions of GSM8K in eleven languages (Shi et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openflan.benchmark_data.data import BenchmarkData, Item, TaskData
from openflan.benchmark_data.files import text_of
from openflan.errors import InputError

LANGUAGE_CODES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
NUM_QUESTIONS = 250
"""The number of questions in each language."""


def mgsm_rows(path: Path) -> list[tuple[str, str]]:
    """Question and answer of each line; raises InputError, naming the line, for another layout.

    There is no quoting, and lines end at LF only: Unicode counts other characters as line ends, too.
    """
    rows = []
    for line_number, line in enumerate(text_of(path).removesuffix("\n").split("\n"), 1):
        row = line.split("\t")
        if len(row) != 2:
            raise InputError(
                f"{path}:{line_number}: {len(row)} columns, expected 2 (question, answer) separated by one "
                "tab"
            )
        rows.append((row[0], row[1]))
    return rows


def _items(path: Path) -> Iterator[Item]:
    for index, (question, _) in enumerate(mgsm_rows(path)):
        yield Item("mgsm", path.stem.removeprefix("mgsm_"), index, question)


BENCHMARKS = (
    BenchmarkData(
        name="mgsm",
        tasks={code: TaskData({"test": NUM_QUESTIONS}) for code in LANGUAGE_CODES},
        benchmark="openflan.evaluation.mgsm:mgsm_benchmark",
        items=_items,
        item_files=(("mgsm_*.tsv",),),
        homepage="https://github.com/google-research/url-nlp/tree/main/mgsm",
        files=("exemplars.json", *(f"mgsm_{code}.tsv" for code in LANGUAGE_CODES)),
    ),
)
