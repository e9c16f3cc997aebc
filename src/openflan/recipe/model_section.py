"""The section `model:` of a recipe."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from openflan.recipe.effects import OPTIMISATION, WEIGHTS
from openflan.recipe.section import Section, Share


class Model(Section):
    """The model that training starts from."""

    base: str | None = Field(
        None,
        json_schema_extra=WEIGHTS,
        description="The pretrained model: a hub id, a Hugging Face folder, or `embedded:NAME`.",
    )
    config: dict[str, Any] | None = Field(
        None,
        json_schema_extra=WEIGHTS,
        description=(
            "A Hugging Face configuration with its `model_type`. It replaces `base`; the weights are "
            "initialised at random."
        ),
    )
    tokenizer: str | None = Field(
        None,
        json_schema_extra=WEIGHTS,
        description="The tokenizer: a hub id or a folder. Absent: the tokenizer of `base`.",
    )
    dropout: Share | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        description=(
            "The dropout rate during training (Table 22: 0.05 for T5). Absent: the rate of the model's "
            "configuration."
        ),
    )
    attention: Literal["causal", "prefix"] | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        description=(
            "The attention of a causal model. With `prefix`, input tokens attend to each other in both "
            "directions, as in UL2 and U-PaLM. Absent: as `base` was finetuned, else `causal`."
        ),
    )
    expert_dropout: Share | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        description="The dropout rate inside the experts of a sparse model. Absent: the same as `dropout`.",
    )
    expert_capacity: PositiveInt | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        description=(
            "How many tokens of a sequence each expert of a sparse model processes. Absent: no limit, so "
            "that no token is skipped and packed examples do not compete."
        ),
    )

    @model_validator(mode="after")
    def _one_start(self) -> Model:
        if (self.base is None) == (self.config is None):
            raise ValueError("name either `base` (a pretrained model) or `config` (random initialisation)")
        if self.config is not None and "model_type" not in self.config:
            raise ValueError("`config` needs a `model_type`, such as t5 or llama")
        if self.config is not None and self.tokenizer is None:
            raise ValueError("`config` needs a `tokenizer`")
        return self
