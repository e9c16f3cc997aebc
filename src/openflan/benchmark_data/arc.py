"""ARC: science questions of school tests, in two sets (Clark et al. 2018): `arc_easy` and `arc_challenge`.

Read from the authors' JSON lines (`ARC-Easy/ARC-Easy-Test.jsonl`) or the hub's Parquet files
(`ARC-Easy/test-00000-of-00001.parquet`). Both hold the same questions in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from openflan.benchmark_data.data import BenchmarkData, Item, TaskData
from openflan.benchmark_data.files import find_files, records, text_field
from openflan.errors import InputError

SETS = {"arc_easy": "ARC-Easy", "arc_challenge": "ARC-Challenge"}
"""The benchmarks, and the names of the sets in file names."""

NUM_QUESTIONS = {
    "arc_easy": {"test": 2376, "validation": 570},
    "arc_challenge": {"test": 1172, "validation": 299},
}

CHANCE = 25.0
"""In percent. Nearly all questions have four options; a few have three or five."""

_SPLIT_NAMES = {"test": "Test", "validation": "Dev", "train": "Train"}
"""The names of the splits in the authors' files."""

_LAYOUT = (
    "expected the authors' JSON lines (question.stem, question.choices, answerKey) or the hub's Parquet "
    "files (question, choices.text, choices.label, answerKey)"
)


@dataclass(frozen=True, slots=True)
class ArcQuestion:
    """A question, the texts of its options, and the index of the right one."""

    question: str
    options: tuple[str, ...]
    answer: int


def arc_rows(data: Path, benchmark: str, split: str) -> list[ArcQuestion]:
    """The questions of a split (`test`, `validation`, `train`) of `arc_easy` or `arc_challenge`.

    `data` is the folder that holds the set's files, or that holds `arc/`. Raises InputError for missing
    files, and, naming the row, for another layout.
    """
    paths = find_files(data, "arc", _patterns(benchmark, split), f"the {split} split of {benchmark}")
    return [_question(row, position) for position, row in records(paths)]


def _patterns(benchmark: str, split: str) -> tuple[str, ...]:
    """Paths of a split's files, by layout."""
    name = SETS[benchmark]
    authors = f"{name}-{_SPLIT_NAMES[split]}.jsonl"
    return (f"{name}/{authors}", f"*/{name}/{authors}", authors, f"{name}/{split}-*.parquet")


def _question(row: Mapping[str, Any], position: str) -> ArcQuestion:
    key = text_field(row, "answerKey", position)
    try:
        if isinstance(row["question"], Mapping):
            question = row["question"]["stem"]
            options = [(choice["label"], choice["text"]) for choice in row["question"]["choices"]]
        else:
            question = row["question"]
            options = list(zip(row["choices"]["label"], row["choices"]["text"], strict=True))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{position} is no question of ARC ({error!r}): {_LAYOUT}") from None
    labels = [label for label, _ in options]
    if not all(isinstance(text, str) for text in (question, *(text for _, text in options))):
        raise InputError(f"{position}: the question or an option is no text: {_LAYOUT}")
    if key not in labels:
        raise InputError(f"{position}: `answerKey` is {key!r}, expected one of the labels {labels}")
    return ArcQuestion(question, tuple(text for _, text in options), labels.index(key))


def _items(benchmark: str, path: Path) -> Iterator[Item]:
    for index, (position, row) in enumerate(records([path])):
        question = _question(row, position)
        yield Item(benchmark, path.stem, index, question.question)
        for option in question.options:
            yield Item(benchmark, path.stem, index, option, "option")


BENCHMARKS = tuple(
    BenchmarkData(
        name=name,
        tasks={name: TaskData(NUM_QUESTIONS[name], CHANCE)},
        benchmark=f"openflan.evaluation.arc:{name}_benchmark",
        items=partial(_items, name),
        item_files=(_patterns(name, "validation"), _patterns(name, "test")),
        homepage="https://allenai.org/data/arc (hub: allenai/ai2_arc)",
        splits=("test", "validation"),
        modes=("direct",),
        folder="arc",
        training_tasks=training_tasks,
    )
    for name, training_tasks in (
        ("arc_easy", ("muffin/arc_easy", "niv2/task228_arc_answer_generation_easy")),
        ("arc_challenge", ("muffin/arc_challenge", "niv2/task229_arc_answer_generation_hard")),
    )
)
