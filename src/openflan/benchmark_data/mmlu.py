"""MMLU: 57 subjects; the group of each, and the number of questions of the two splits that are scored.

Groups are the four of the benchmark's own release (Hendrycks et al. 2021): 18 subjects of science and
technology, 13 humanities, 12 social sciences, 14 others. Sizes are counted in the released files; every
subject has five questions in `dev`, the exemplars.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from openflan.benchmark_data.data import BenchmarkData, Item, TaskData
from openflan.benchmark_data.files import csv_rows
from openflan.errors import InputError

LETTERS = "ABCD"
CHANCE = 25.0
SPLIT_FOLDERS = {"validation": "val", "test": "test"}
"""The splits that are scored, and the folders of their files."""

_NUM_COLUMNS = 6

Group: TypeAlias = Literal["stem", "humanities", "social_sciences", "other"]

GROUPS: tuple[Group, ...] = ("stem", "humanities", "social_sciences", "other")


@dataclass(frozen=True, slots=True)
class Subject:
    """`validation` and `test` are numbers of questions."""

    group: Group
    validation: int
    test: int


SUBJECTS: dict[str, Subject] = {
    "abstract_algebra": Subject("stem", 11, 100),
    "anatomy": Subject("other", 14, 135),
    "astronomy": Subject("stem", 16, 152),
    "business_ethics": Subject("other", 11, 100),
    "clinical_knowledge": Subject("other", 29, 265),
    "college_biology": Subject("stem", 16, 144),
    "college_chemistry": Subject("stem", 8, 100),
    "college_computer_science": Subject("stem", 11, 100),
    "college_mathematics": Subject("stem", 11, 100),
    "college_medicine": Subject("other", 22, 173),
    "college_physics": Subject("stem", 11, 102),
    "computer_security": Subject("stem", 11, 100),
    "conceptual_physics": Subject("stem", 26, 235),
    "econometrics": Subject("social_sciences", 12, 114),
    "electrical_engineering": Subject("stem", 16, 145),
    "elementary_mathematics": Subject("stem", 41, 378),
    "formal_logic": Subject("humanities", 14, 126),
    "global_facts": Subject("other", 10, 100),
    "high_school_biology": Subject("stem", 32, 310),
    "high_school_chemistry": Subject("stem", 22, 203),
    "high_school_computer_science": Subject("stem", 9, 100),
    "high_school_european_history": Subject("humanities", 18, 165),
    "high_school_geography": Subject("social_sciences", 22, 198),
    "high_school_government_and_politics": Subject("social_sciences", 21, 193),
    "high_school_macroeconomics": Subject("social_sciences", 43, 390),
    "high_school_mathematics": Subject("stem", 29, 270),
    "high_school_microeconomics": Subject("social_sciences", 26, 238),
    "high_school_physics": Subject("stem", 17, 151),
    "high_school_psychology": Subject("social_sciences", 60, 545),
    "high_school_statistics": Subject("stem", 23, 216),
    "high_school_us_history": Subject("humanities", 22, 204),
    "high_school_world_history": Subject("humanities", 26, 237),
    "human_aging": Subject("other", 23, 223),
    "human_sexuality": Subject("social_sciences", 12, 131),
    "international_law": Subject("humanities", 13, 121),
    "jurisprudence": Subject("humanities", 11, 108),
    "logical_fallacies": Subject("humanities", 18, 163),
    "machine_learning": Subject("stem", 11, 112),
    "management": Subject("other", 11, 103),
    "marketing": Subject("other", 25, 234),
    "medical_genetics": Subject("other", 11, 100),
    "miscellaneous": Subject("other", 86, 783),
    "moral_disputes": Subject("humanities", 38, 346),
    "moral_scenarios": Subject("humanities", 100, 895),
    "nutrition": Subject("other", 33, 306),
    "philosophy": Subject("humanities", 34, 311),
    "prehistory": Subject("humanities", 35, 324),
    "professional_accounting": Subject("other", 31, 282),
    "professional_law": Subject("humanities", 170, 1534),
    "professional_medicine": Subject("other", 31, 272),
    "professional_psychology": Subject("social_sciences", 69, 612),
    "public_relations": Subject("social_sciences", 12, 110),
    "security_studies": Subject("social_sciences", 27, 245),
    "sociology": Subject("social_sciences", 22, 201),
    "us_foreign_policy": Subject("social_sciences", 11, 100),
    "virology": Subject("other", 18, 166),
    "world_religions": Subject("humanities", 19, 171),
}


def subjects_of(group: Group) -> tuple[str, ...]:
    """The names of one group, in the order of `SUBJECTS`."""
    return tuple(name for name, subject in SUBJECTS.items() if subject.group == group)


def mmlu_rows(path: Path) -> list[list[str]]:
    """Question, four options and letter of each row; raises InputError, naming the row, for another layout.

    Cells are texts: "None" and "NA" are options, and quoted cells may hold line ends.
    """
    rows = [row for _, row in csv_rows(path)]
    for row_number, row in enumerate(rows, 1):
        if len(row) != _NUM_COLUMNS:
            raise InputError(
                f"{path}: row {row_number} has {len(row)} columns, expected {_NUM_COLUMNS} (question, four "
                "options, letter)"
            )
        if len(row[-1]) != 1 or row[-1] not in LETTERS:
            raise InputError(
                f"{path}: row {row_number} has the answer {row[-1]!r}, expected one of A, B, C, D"
            )
    return rows


def mmlu_files(mode: str, folder: str) -> tuple[str, ...]:
    """The files that prompts of a mode need, for the split in `folder` (`val`, `test`); others may be
    absent."""
    prefixes = ("mmlu-cot.json", f"{folder}/") if mode == "cot" else ("dev/", f"{folder}/")
    return tuple(file for file in FILES if file.startswith(prefixes))


def _items(path: Path) -> Iterator[Item]:
    for index, (question, *options, _) in enumerate(mmlu_rows(path)):
        yield Item("mmlu", path.stem, index, question)
        for option in options:
            yield Item("mmlu", path.stem, index, option, "option")


FILES = (
    "mmlu-cot.json",
    *(f"{folder}/{subject}_{folder}.csv" for folder in ("dev", "val", "test") for subject in SUBJECTS),
)
"""The release of the benchmark, and the prompts of the Flan paper (github.com/jasonwei20/flan-2)."""

BENCHMARKS = (
    BenchmarkData(
        name="mmlu",
        tasks={
            name: TaskData({"validation": subject.validation, "test": subject.test}, CHANCE)
            for name, subject in SUBJECTS.items()
        },
        benchmark="openflan.evaluation.mmlu:mmlu_benchmark",
        items=_items,
        item_files=(("dev/*.csv",), ("val/*.csv",), ("test/*.csv",)),
        homepage="https://github.com/hendrycks/test",
        splits=tuple(SPLIT_FOLDERS),
        files=FILES,
        training_tasks=("niv2/task*_mmmlu_*",),
    ),
)
