"""The 27 files of BIG-Bench Hard as data: size, part, chance.

Chance is Table 3 of the BIG-Bench Hard paper (Suzgun et al. 2022) with two repairs that the Flan paper's
printed averages confirm: `formal_fallacies` is binary (that table prints 25), and the object tasks have one
chance per number of objects. Parts as in the same paper's split into NLP and algorithmic tasks; the Flan
paper's means run over the 12 and 15 files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
