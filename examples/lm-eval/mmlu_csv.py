"""The rows of mmlu_local.yaml: MMLU's own CSV files as documents of lm-evaluation-harness, which imports this
file.

Decision: a document holds its whole prompt, exemplars included, so that it is the one `openflan evaluate`
sends, byte for byte; lm-eval would draw exemplars over all subjects. Price: its own `--num_fewshot` has
nothing to say here.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from datasets import Dataset

LETTERS = "ABCD"


def documents(
    data: str | None = None,
    split: str = "val",
    shots: int = 5,
    subjects: Sequence[str] | None = None,
    end: str = "",
    **_: object,
) -> dict[str, Dataset]:
    """All questions of `split`, subjects in the order of their names. lm-eval hands over its model's
    arguments as well, which do not matter.

    Raises ValueError if no folder is given, or it holds none of the subjects.
    """
    if not data:
        raise ValueError(
            'mmlu_local needs the folder with dev/, val/ and test/: --metadata \'{"data": "FOLDER"}\''
        )
    folder = Path(data)
    found = sorted(
        path.name.removesuffix(f"_{split}.csv") for path in (folder / split).glob(f"*_{split}.csv")
    )
    chosen = found if subjects is None else list(subjects)
    if not chosen or not set(chosen) <= set(found):
        raise ValueError(
            f"{folder / split} holds {', '.join(found) or 'no *.csv files'}; asked for "
            f"{', '.join(chosen) or 'all'}"
        )
    return {
        "test": Dataset.from_list(
            [row for subject in chosen for row in _of_subject(folder, subject, split, shots, end)]
        )
    }


def judged(document: dict[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """The likeliest option, the first of equals, against the right one."""
    values = [value for value, _ in results]
    right = float(values.index(max(values)) == document["answer"])
    return {"acc": right, "acc_by_subject": (document["subject"], right)}


def mean_of_subjects(items: Sequence[tuple[str, float]]) -> float:
    """The mean over subjects, which the paper reports, instead of over questions."""
    by_subject = defaultdict(list)
    for subject, right in items:
        by_subject[subject].append(right)
    return fmean(fmean(values) for values in by_subject.values())


def _of_subject(folder: Path, subject: str, split: str, shots: int, end: str) -> list[dict[str, Any]]:
    header = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}."
    exemplars = [
        f"{_asked(row)}\nA: ({row[-1]})" for row in _rows(folder / "dev" / f"{subject}_dev.csv")[:shots]
    ]
    space = "" if end else " "
    return [
        {
            "subject": subject,
            "index": index,
            "prompt": "\n\nQ: ".join([header, *exemplars, _asked(row)]) + "\nA:" + end,
            "options": [f"{space}({letter})" for letter in LETTERS],
            "answer": LETTERS.index(row[-1]),
        }
        for index, row in enumerate(_rows(folder / split / f"{subject}_{split}.csv"))
    ]


def _asked(row: Sequence[str]) -> str:
    question, *options = (cell.strip() for cell in row[:-1])
    listed = " ".join(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=True))
    return f"{question}\n{listed}"


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))
