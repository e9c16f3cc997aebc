"""The sections `packing:`, `training:` and `checkpoints:` of a recipe.

Section and table numbers refer to Chung et al. 2022.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from openflan.recipe.effects import NONE, OPTIMISATION, PLAN, WEIGHTS
from openflan.recipe.section import Section


class Packing(Section):
    """The size of a packed sequence, in tokens. A causal model's sequence holds inputs and targets together,
    so its size is the sum of both."""

    inputs: PositiveInt = Field(
        1024,
        json_schema_extra=PLAN,
        description="Tokens for inputs in a sequence (the collection's code uses 2048).",
    )
    targets: PositiveInt = Field(
        256,
        json_schema_extra=PLAN,
        description="Tokens for targets in a sequence (the collection's code uses 512).",
    )
    layout: Literal["paper", "plain", "chat"] = Field(
        "paper",
        json_schema_extra=PLAN,
        description=(
            "How a causal model's example is laid out: paper (inputs, EOS, targets, EOS), plain (inputs, "
            "targets, EOS) or chat (the tokenizer's chat template)."
        ),
    )
    learn: Literal["all", "last"] = Field(
        "all",
        json_schema_extra=PLAN,
        description=(
            "Which turns of a conversation are learned in the layout chat: all turns of the assistant, or "
            "the "
            "last one. A turn of weight 0 never is."
        ),
    )
    added_tokens: Literal["ids", "text"] = Field(
        "ids",
        json_schema_extra=PLAN,
        description=(
            "What becomes of a text that spells a token which the vocabulary adds as a word, such as "
            "<think>: "
            "its id, or the ids of its letters (text). Control tokens are always letters."
        ),
    )
    on_overflow: Literal["truncate-inputs", "drop", "error"] = Field(
        "truncate-inputs",
        json_schema_extra=PLAN,
        description=(
            "What happens to inputs that do not fit: they are truncated at the end, the example is "
            "dropped, or the run stops. Targets are never truncated; an example whose targets do not fit "
            "is dropped."
        ),
    )


class Training(Section):
    """The optimisation (section 2.2 and Table 22)."""

    optimizer: Literal["adafactor", "adamw"] = Field(
        "adafactor",
        json_schema_extra=WEIGHTS,
        description=(
            "The optimizer: adafactor as in T5X, which the paper uses, or adamw, which keeps 8 bytes of "
            "state per weight."
        ),
    )
    learning_rate: float = Field(
        5e-4,
        json_schema_extra=OPTIMISATION,
        gt=0,
        description=(
            "The highest learning rate (Table 22, where it is constant: 5e-4 for T5, 3e-3 for PaLM 8B)."
        ),
    )
    schedule: Literal["constant", "linear", "cosine", "rsqrt"] = Field(
        "constant",
        json_schema_extra=OPTIMISATION,
        description=(
            "The learning rate after warm-up: constant as in the paper, linear or cosine down to 0 at the "
            "last step, or rsqrt, in proportion to 1 / sqrt(step)."
        ),
    )
    warmup_steps: int = Field(
        0,
        json_schema_extra=OPTIMISATION,
        ge=0,
        description="The number of steps in which the learning rate rises linearly to `learning_rate`.",
    )
    weight_decay: float = Field(
        0.0,
        json_schema_extra=OPTIMISATION,
        ge=0,
        description=(
            "Each step subtracts this share of each weight, times the learning rate. adamw does not apply "
            "it to norms and biases."
        ),
    )
    momentum: float | None = Field(
        None,
        json_schema_extra=WEIGHTS,
        gt=0,
        lt=1,
        description=(
            "The decay rate of the average over gradients (beta1). Absent: no average for adafactor, 0.9 "
            "for adamw."
        ),
    )
    clip_norm: float | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        gt=0,
        description=(
            "The largest norm of a step's gradient. Larger gradients are scaled down to it. Absent: no "
            "clipping."
        ),
    )
    loss_on: Literal["targets", "full_sequence"] = Field(
        "targets",
        json_schema_extra=OPTIMISATION,
        description=(
            "The tokens that the loss counts: targets, as in the paper, or full_sequence, inputs and "
            "targets (causal models only)."
        ),
    )
    z_loss: float = Field(
        0.0,
        json_schema_extra=OPTIMISATION,
        ge=0,
        description=(
            "The weight of the z-loss, the squared logarithm of the softmax's denominator (T5X's default "
            "is 1e-4; the paper does not mention it)."
        ),
    )
    router_aux_loss: float | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        ge=0,
        description=(
            "The weight of a sparse model's load-balancing loss. Absent: the weight in the model's "
            "configuration."
        ),
    )
    router_z_loss: float | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        ge=0,
        description=(
            "The weight of a sparse model's router z-loss. Absent: the weight in the model's configuration."
        ),
    )
    batch_size: PositiveInt = Field(
        64,
        json_schema_extra=OPTIMISATION,
        description="Packed sequences per step, over all devices (Table 22: 64 for T5).",
    )
    micro_batch_size: PositiveInt | None = Field(
        None,
        json_schema_extra=OPTIMISATION,
        description=(
            "Packed sequences per forward and backward pass. It changes the memory that is needed but not "
            "the result. Absent: all sequences of a device at once."
        ),
    )
    steps: PositiveInt = Field(json_schema_extra=OPTIMISATION, description="The number of optimizer steps.")
    precision: Literal["float32", "bf16"] = Field(
        "float32",
        json_schema_extra=OPTIMISATION,
        description=(
            "The number format of the forward and backward pass. Absent: float32, or bf16 where "
            "`weights` is bf16."
        ),
    )
    weights: Literal["float32", "bf16"] = Field(
        "float32",
        json_schema_extra=WEIGHTS,
        description=(
            "The number format of weights and gradients between steps. bf16 takes half the memory; updated "
            "weights are then rounded stochastically, so that small updates are kept on average. With "
            "`model.adapter` the base's weights have this format, and the adapter is float32."
        ),
    )
    statistics: Literal["float32", "bf16"] = Field(
        "float32",
        json_schema_extra=WEIGHTS,
        description=(
            "The number format of the optimizer's statistics that have the size of a weight: all of adamw, "
            "and adafactor's momentum. bf16, rounded stochastically, is for `weights: bf16`."
        ),
    )
    step_offset: int = Field(
        0,
        json_schema_extra=OPTIMISATION,
        ge=0,
        description=(
            "A number that adafactor adds to the step. T5X counts the steps of pretraining (1,100,000 for "
            "LM-adapted T5)."
        ),
    )
    activation_checkpointing: Literal["none", "full"] = Field(
        "none",
        json_schema_extra=OPTIMISATION,
        description=(
            "With `full`, layers are computed again in the backward pass, which saves memory and adds a "
            "third of the work."
        ),
    )
    compile: Literal["none", "fullgraph"] = Field(
        "none",
        json_schema_extra=OPTIMISATION,
        description=("With `fullgraph`, torch.compile compiles the whole model, without any graph break."),
    )

    @model_validator(mode="before")
    @classmethod
    def _precision_of_weights(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("weights") == "bf16":
            return {"precision": "bf16"} | values
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.weights == "bf16" and self.precision != "bf16":
            raise ValueError(
                "`weights: bf16` computes in bf16 too, but `precision` is float32; leave `precision` out"
            )
        if self.statistics == "bf16" and self.weights != "bf16":
            raise ValueError("`statistics: bf16` belongs to `weights: bf16`; set that too, or leave it out")
        if self.warmup_steps > self.steps:
            raise ValueError(
                f"`warmup_steps` is {self.warmup_steps:,}, `steps` {self.steps:,}: the warm-up would "
                "never end"
            )
        if self.optimizer != "adafactor" and self.step_offset:
            raise ValueError("`step_offset` belongs to `optimizer: adafactor`; leave it out")
        return self


class Checkpoints(Section):
    """When checkpoints are written, and how many stay."""

    every: PositiveInt = Field(
        1_000,
        json_schema_extra=NONE,
        description="Steps between checkpoints. The last step always has a checkpoint.",
    )
    keep: PositiveInt = Field(
        3, json_schema_extra=NONE, description="How many of the newest checkpoints stay."
    )
