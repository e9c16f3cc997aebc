"""TyDi QA, gold passage task: nine languages; the number of questions in dev, and the first of them by id.

That row is the exemplar where there is no train file. Counts and rows are those of version 1.1, split by
language.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openflan.benchmark_data.data import BenchmarkData, Item, TaskData
from openflan.errors import InputError
from openflan.json_files import read_json_file

_MAX_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Size:
    """`questions` of dev, and the index of the one whose id sorts first."""

    questions: int
    first_by_id: int


TYDIQA_LANGUAGES: dict[str, Size] = {
    "arabic": Size(921, 84),
    "bengali": Size(113, 93),
    "english": Size(440, 368),
    "finnish": Size(782, 553),
    "indonesian": Size(565, 383),
    "korean": Size(276, 160),
    "russian": Size(812, 354),
    "swahili": Size(499, 350),
    "telugu": Size(669, 15),
}

TYDIQA_AVERAGED = tuple(language for language in TYDIQA_LANGUAGES if language != "english")
"""The paper's average leaves English out (Table 20)."""


@dataclass(frozen=True, slots=True)
class SquadQuestion:
    """A question of a file. `cluster` is the index of the first passage with the same text: a passage with
    several questions may occur in the file once for each."""

    id: str
    passage: str
    question: str
    answers: tuple[str, ...]
    cluster: str


def read_squad(path: Path) -> list[SquadQuestion]:
    """The questions of a file in SQuAD 1.1's layout, in its order; raises InputError if it has another one or
    no question."""
    document = read_json_file(path)
    try:
        passages = [passage for article in document["data"] for passage in article["paragraphs"]]
        first_index = {passage["context"]: index for index, passage in reversed(list(enumerate(passages)))}
        rows = [
            SquadQuestion(
                question["id"],
                passage["context"],
                question["question"],
                tuple(answer["text"] for answer in question["answers"]),
                str(first_index[passage["context"]]),
            )
            for passage in passages
            for question in passage["qas"]
        ]
        for row in rows:
            if not all(isinstance(text, str) for text in (row.id, row.passage, row.question, *row.answers)):
                raise TypeError(f"question {row.id!r} has a field that is no text"[:_MAX_SHOWN])
    except (KeyError, TypeError) as error:
        expected = (
            '{"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text"}]}]}]}]}'
        )
        raise InputError(
            f"{path} has not the layout of SQuAD 1.1 ({error!r}): expected {expected}"
        ) from error
    if not rows:
        raise InputError(f"{path} holds no question: fetch it again")
    for row in rows:
        if not row.answers:
            raise InputError(f"{path}: question {row.id} has no answer: fetch the file again")
    return rows


def _items(path: Path) -> Iterator[Item]:
    seen_passages: set[str] = set()
    for index, row in enumerate(read_squad(path)):
        if row.passage not in seen_passages:
            yield Item("tydiqa", path.stem, index, row.passage, "passage")
        seen_passages.add(row.passage)
        yield Item("tydiqa", path.stem, index, row.question)


BENCHMARKS = (
    BenchmarkData(
        name="tydiqa",
        tasks={language: TaskData({"test": size.questions}) for language, size in TYDIQA_LANGUAGES.items()},
        benchmark="openflan.evaluation.tydiqa:tydiqa_benchmark",
        items=_items,
        item_files=(("dev/*.json",),),
        homepage="https://github.com/google-research-datasets/tydiqa",
        files=tuple(f"dev/{language}.json" for language in TYDIQA_LANGUAGES),
    ),
)
