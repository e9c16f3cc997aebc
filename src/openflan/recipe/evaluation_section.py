"""The section `evaluation:` of a recipe: what is measured during training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt, model_validator

from openflan.recipe.effects import OPTIMISATION
from openflan.recipe.section import AsList, Section


class Evaluation(Section):
    """What is measured during training. Without this section, nothing is until `openflan evaluate`."""

    every: PositiveInt = Field(
        1_000,
        json_schema_extra=OPTIMISATION,
        description="Steps between evaluations. The last step is always evaluated.",
    )
    validation_examples: PositiveInt = Field(
        512,
        json_schema_extra=OPTIMISATION,
        description=(
            "How many examples the validation loss is measured on. They are made from the rows that "
            "`mixture.validation_rows` holds back."
        ),
    )
    benchmarks: Annotated[list[str], AsList] = Field(
        [],
        json_schema_extra=OPTIMISATION,
        description=(
            "The held-out benchmarks, such as [bbh, mgsm:cot, mmlu]. `:cot` selects chain-of-thought prompts."
        ),
    )
    data: Path | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        description="The folder that contains bbh/, mgsm/ and so on (microflan needs none).",
    )
    limit: PositiveInt | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        description="How many items of each task are evaluated, the first ones. Absent: all items.",
    )
    max_tokens: PositiveInt | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        description="The largest number of tokens of an answer. Absent: each benchmark's own limit.",
    )
    select: str | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        description=(
            "The benchmark, such as mgsm:cot, whose average selects the best checkpoint. Absent: the mean "
            "of all benchmarks (section 2.2)."
        ),
    )

    @model_validator(mode="after")
    def _selects_what_it_measures(self) -> Evaluation:
        if self.select is not None and self.select not in self.benchmarks:
            raise ValueError(
                f"`select: {self.select}` is not one of its `benchmarks` "
                f"({', '.join(self.benchmarks) or 'there are none'})"
            )
        return self
