"""BIG-Bench Hard: 27 files with 6,511 questions; size, part and chance of each.

Chance is Table 3 of the BIG-Bench Hard paper (Suzgun et al. 2022) with two repairs that the Flan paper's
printed averages confirm: `formal_fallacies` is binary (that table prints 25), and the object tasks have one
chance per number of objects. Parts as in the same paper's split into NLP and algorithmic tasks; the Flan
paper's means run over the 12 and 15 files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from openflan.benchmark_data.data import BenchmarkData, Item, TaskData
from openflan.errors import InputError
from openflan.json_files import read_json_file


@dataclass(frozen=True, slots=True)
class BBHTask:
    """`chance` in percent; `size` is the number of examples published."""

    part: Literal["nlp", "algorithmic"]
    chance: float
    size: int = 250


BBH_TASKS: dict[str, BBHTask] = {
    "boolean_expressions": BBHTask("algorithmic", 50.0),
    "causal_judgement": BBHTask("nlp", 50.0, 187),
    "date_understanding": BBHTask("nlp", 17.2),
    "disambiguation_qa": BBHTask("nlp", 33.2),
    "dyck_languages": BBHTask("algorithmic", 1.2),
    "formal_fallacies": BBHTask("nlp", 50.0),
    "geometric_shapes": BBHTask("algorithmic", 11.6),
    "hyperbaton": BBHTask("nlp", 50.0),
    "logical_deduction_five_objects": BBHTask("algorithmic", 100 / 5),
    "logical_deduction_seven_objects": BBHTask("algorithmic", 100 / 7),
    "logical_deduction_three_objects": BBHTask("algorithmic", 100 / 3),
    "movie_recommendation": BBHTask("nlp", 25.0),
    "multistep_arithmetic_two": BBHTask("algorithmic", 0.0),
    "navigate": BBHTask("algorithmic", 50.0),
    "object_counting": BBHTask("algorithmic", 0.0),
    "penguins_in_a_table": BBHTask("nlp", 0.0, 146),
    "reasoning_about_colored_objects": BBHTask("nlp", 11.9),
    "ruin_names": BBHTask("nlp", 25.0),
    "salient_translation_error_detection": BBHTask("nlp", 16.7),
    "snarks": BBHTask("nlp", 50.0, 178),
    "sports_understanding": BBHTask("nlp", 50.0),
    "temporal_sequences": BBHTask("algorithmic", 25.0),
    "tracking_shuffled_objects_five_objects": BBHTask("algorithmic", 100 / 5),
    "tracking_shuffled_objects_seven_objects": BBHTask("algorithmic", 100 / 7),
    "tracking_shuffled_objects_three_objects": BBHTask("algorithmic", 100 / 3),
    "web_of_lies": BBHTask("algorithmic", 50.0),
    "word_sorting": BBHTask("algorithmic", 0.0),
}


def bbh_part(part: Literal["nlp", "algorithmic"]) -> tuple[str, ...]:
    """The names of one part, in the order of `BBH_TASKS`."""
    return tuple(name for name, task in BBH_TASKS.items() if task.part == part)


def bbh_rows(path: Path) -> list[tuple[str, str]]:
    """Question and target of each example; raises InputError, naming the file, for another layout."""
    expected = 'expected {"examples": [{"input", "target"}]}, both texts: fetch it again'
    document = read_json_file(path)
    rows = document.get("examples") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise InputError(f"{path} is not a BIG-Bench Hard file: {expected}")
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("input", "target")):
            raise InputError(f"{path}: example {index} is not one of BIG-Bench Hard: {expected}")
    return [(row["input"], row["target"]) for row in rows]


def _items(path: Path) -> Iterator[Item]:
    for index, (question, _) in enumerate(bbh_rows(path)):
        yield Item("bbh", path.stem, index, question)


BENCHMARKS = (
    BenchmarkData(
        name="bbh",
        tasks={name: TaskData({"test": task.size}, task.chance) for name, task in BBH_TASKS.items()},
        benchmark="openflan.evaluation.bbh:bbh_benchmark",
        items=_items,
        item_files=(("*.json",),),
        homepage="https://github.com/suzgunmirac/BIG-Bench-Hard",
        files=(
            *(f"{task}.json" for task in BBH_TASKS),
            *(f"cot-prompts/{task}.txt" for task in BBH_TASKS),
        ),
    ),
)
