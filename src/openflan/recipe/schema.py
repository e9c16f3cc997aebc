"""What a recipe may contain: one YAML file describes a run. This module joins the sections.

Each section stands in a module of its own; other rooms import all of them from here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from openflan.recipe.benchmark_name import BenchmarkName
from openflan.recipe.effects import NONE, PLAN
from openflan.recipe.evaluation_section import Evaluation
from openflan.recipe.mixture_section import (
    Mixture,
    Rates,
    Styles,
    Submixture,
    WordingsName,
)
from openflan.recipe.model_section import Adapter, Model, WithAdapter
from openflan.recipe.section import LARGEST, AsList, Section, Share
from openflan.recipe.trackers import TRACK_HELP, TrackerName
from openflan.recipe.training_section import Checkpoints, Packing, Training

__all__ = [
    "LARGEST",
    "Adapter",
    "BenchmarkName",
    "Checkpoints",
    "Evaluation",
    "Mixture",
    "Model",
    "Packing",
    "Rates",
    "Recipe",
    "Section",
    "Share",
    "Styles",
    "Submixture",
    "Training",
    "WordingsName",
]


class Recipe(WithAdapter):
    """A finetuning run."""

    name: str = Field(
        json_schema_extra=NONE,
        description="The name of the run, which also names its folder, runs/NAME.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$",
    )
    seed: int = Field(0, json_schema_extra=PLAN, ge=0, description="The seed of every random choice.")
    model: Model = Field(description="The model that finetuning starts from.")
    mixture: Mixture = Field(description="Which tasks to train on, and how much of each.")
    packing: Packing = Field(Packing(), description="The size of a packed sequence, in tokens.")
    training: Training = Field(description="The optimisation.")
    checkpoints: Checkpoints = Field(
        Checkpoints(), description="When checkpoints are written, and how many stay."
    )
    evaluation: Evaluation | None = Field(
        None, description="What is measured during training. Absent: nothing."
    )
    track: Annotated[list[TrackerName], AsList] = Field([], json_schema_extra=NONE, description=TRACK_HELP)
