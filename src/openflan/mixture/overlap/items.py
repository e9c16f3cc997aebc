"""The items of the benchmarks as texts to compare with: what must not stand in training data.

The benchmarks' own rooms read the same files as prompts; this reader knows questions only, because the
mixture may not depend on how something is evaluated. Layouts are those that the benchmarks are published in.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from openflan.errors import InputError

Part: TypeAlias = Literal["question", "option", "passage"]


@dataclass(frozen=True, slots=True)
class Item:
    """A text of a benchmark. `task` is the name of its file, `index` counts that file's questions from 0.

    Answer options and passages are apart from the question: a passage is public text that many collections
    share, and no leak of the question. A passage has the index of the first question about it.
    """

    benchmark: str
    task: str
    index: int
    text: str
    part: Part = "question"

    @property
    def group(self) -> str:
        """What its hits are counted under: `mmlu`, `mmlu options`, `tydiqa passages`."""
        return self.benchmark if self.part == "question" else f"{self.benchmark} {self.part}s"


@dataclass(frozen=True, slots=True)
class Found:
    """The files of the benchmarks that are there, and the patterns of those that are not."""

    files: Mapping[str, tuple[Path, ...]]
    missing: tuple[str, ...]


PATTERNS: Mapping[str, tuple[str, ...]] = {
    "bbh": ("bbh/*.json",),
    "mmlu": ("mmlu/dev/*.csv", "mmlu/val/*.csv", "mmlu/test/*.csv"),
    "mgsm": ("mgsm/mgsm_*.tsv",),
    "gsm8k": ("gsm8k/test.jsonl",),
    "tydiqa": ("tydiqa/dev/*.json",),
}
"""Files relative to the folder of all benchmarks."""


def find_benchmarks(data: Path) -> Found:
    """Looks for every benchmark in `data`; raises InputError if none is there."""
    if not data.is_dir():
        raise InputError(
            f"{data}: no such folder; `--benchmarks` names the folder that holds "
            f"{', '.join(f'{name}/' for name in PATTERNS)}"
        )
    files: dict[str, tuple[Path, ...]] = {}
    missing: list[str] = []
    for name, patterns in PATTERNS.items():
        found = {pattern: sorted(data.glob(pattern)) for pattern in patterns}
        missing += [pattern for pattern, paths in found.items() if not paths]
        if any(found.values()):
            files[name] = tuple(path for paths in found.values() for path in paths)
    if not files:
        raise InputError(f"{data}: holds no benchmark; expected some of {', '.join(missing)}")
    return Found(files, tuple(missing))


def benchmark_items(data: Path) -> Iterator[Item]:
    """Every text of every benchmark in `data`, benchmark by benchmark; what is not there is passed over
    (`find_benchmarks` names it).

    Raises InputError naming the file, for one that is not in its benchmark's layout, and if no benchmark is
    there.
    """
    for name, files in find_benchmarks(data).files.items():
        for file in files:
            yield from _READERS[name](file)


def _bbh(file: Path) -> Iterator[Item]:
    for index, question in enumerate(
        _read(
            file,
            lambda text: [str(row["input"]) for row in json.loads(text)["examples"]],
            '{"examples": [{"input"}]}',
        )
    ):
        yield Item("bbh", file.stem, index, question)


def _mmlu(file: Path) -> Iterator[Item]:
    def rows(text: str) -> list[tuple[str, list[str]]]:
        return [
            (question, [a, b, c, d]) for question, a, b, c, d, _ in csv.reader(io.StringIO(text, newline=""))
        ]

    for index, (question, options) in enumerate(_read(file, rows, "rows of question, A, B, C, D, answer")):
        yield Item("mmlu", file.stem, index, question)
        for option in options:
            yield Item("mmlu", file.stem, index, option, "option")


def _mgsm(file: Path) -> Iterator[Item]:
    def questions(text: str) -> list[str]:
        return [
            question for question, _ in (line.split("\t") for line in text.removesuffix("\n").split("\n"))
        ]

    for index, question in enumerate(
        _read(file, questions, "lines of question and answer, separated by one tab")
    ):
        yield Item("mgsm", file.stem.removeprefix("mgsm_"), index, question)


def _gsm8k(file: Path) -> Iterator[Item]:
    def questions(text: str) -> list[str]:
        return [str(json.loads(line)["question"]) for line in text.split("\n") if line.strip()]

    for index, question in enumerate(_read(file, questions, 'lines of {"question", "answer"}')):
        yield Item("gsm8k", file.stem, index, question)


def _tydiqa(file: Path) -> Iterator[Item]:
    def passages(text: str) -> list[tuple[str, list[str]]]:
        articles = json.loads(text)["data"]
        return [
            (passage["context"], [qa["question"] for qa in passage["qas"]])
            for article in articles
            for passage in article["paragraphs"]
        ]

    index, seen = 0, set[str]()
    for passage, questions in _read(
        file, passages, 'SQuAD 1.1, {"data": [{"paragraphs": [{"context", "qas"}]}]}'
    ):
        if passage not in seen:
            yield Item("tydiqa", file.stem, index, passage, "passage")
        seen.add(passage)
        for question in questions:
            yield Item("tydiqa", file.stem, index, question)
            index += 1


_READERS: Mapping[str, Callable[[Path], Iterator[Item]]] = {
    "bbh": _bbh,
    "mmlu": _mmlu,
    "mgsm": _mgsm,
    "gsm8k": _gsm8k,
    "tydiqa": _tydiqa,
}


def _read(file: Path, parse: Callable[[str], Any], expected: str) -> Any:
    try:
        return parse(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 (byte {error.start}); fetch it again") from None
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{file}: not in the benchmark's layout ({error!r}); expected {expected}") from None
