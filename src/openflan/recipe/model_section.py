"""The section `model:` of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from openflan.recipe.effects import NONE, OPTIMISATION, WEIGHTS
from openflan.recipe.section import Section, Share


class Adapter(Section):
    """A LoRA adapter: of each adapted matrix, two thin matrices are trained instead of the matrix itself."""

    rank: PositiveInt = Field(
        64,
        json_schema_extra=WEIGHTS,
        description="The inner dimension of the two thin matrices.",
    )
    alpha: float | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        gt=0,
        description="The product of the two counts alpha / rank times. Absent: twice the rank.",
    )
    targets: Annotated[Literal["all-linear"] | list[str], Field(union_mode="left_to_right")] = Field(
        "all-linear",
        json_schema_extra=WEIGHTS,
        description=(
            "The adapted matrices: all-linear (every linear layer but the head), or a list of names of "
            "linear layers, such as [q_proj, v_proj]."
        ),
    )
    dropout: Share = Field(
        0.0,
        json_schema_extra=OPTIMISATION,
        description="The dropout rate of what goes into an adapter.",
    )

    @property
    def scale_alpha(self) -> float:
        """The `alpha` that holds: the recipe's, else twice the rank."""
        return 2.0 * self.rank if self.alpha is None else self.alpha

    @field_validator("targets", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) and value != "all-linear" else value

    @model_validator(mode="after")
    def _names_targets(self) -> Adapter:
        if not self.targets:
            raise ValueError("`targets` is empty; take all-linear, or name linear layers")
        return self


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

    adapter: Adapter | None = Field(
        None,
        description=(
            "Train a LoRA adapter on the base, whose own weights stay as they are (needs the extra `lora`). "
            "Absent: all weights are trained."
        ),
    )
    export_dtype: Literal["float32", "bfloat16", "float16"] | None = Field(
        None,
        json_schema_extra=NONE,
        description=(
            "The number format of the exported model's weights. Absent: the format of the files of `base`; "
            "without `base`, the format of training."
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
        if self.adapter is not None and self.base is None:
            raise ValueError("`adapter` needs a pretrained `base`: it has no use on random weights")
        return self


class WithAdapter(Section):
    """A recipe of either kind, whose `model.adapter` decides which optimizer is the default."""

    @model_validator(mode="before")
    @classmethod
    def _default_optimizer(cls, values: Any) -> Any:
        # An adapter's second matrix begins at 0, and a step of adafactor is in proportion to a matrix's size.
        if not isinstance(values, dict):
            return values
        model, training = values.get("model"), values.get("training")
        if isinstance(model, dict) and isinstance(training, dict) and model.get("adapter") is not None:
            return values | {"training": {"optimizer": "adamw"} | training}
        return values

    @model_validator(mode="after")
    def _fitting_optimizer(self) -> WithAdapter:
        model, training = getattr(self, "model", None), getattr(self, "training", None)
        if getattr(model, "adapter", None) is not None and getattr(training, "optimizer", "") == "adafactor":
            raise ValueError(
                "`training.optimizer: adafactor` does not go with `model.adapter`, whose second matrix "
                "begins at 0, where its steps are near 0 too; set training.optimizer=adamw"
            )
        return self
