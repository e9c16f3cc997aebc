"""What a recipe may say: one YAML file describes a run.

Every key has a line of help. Unknown keys are refused, so that a misspelt one never passes as its default.
Section and table numbers refer to Chung et al. 2022.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    field_validator,
    model_validator,
)

from openflan.recipe.benchmark_name import BenchmarkName
from openflan.recipe.presets import EXEMPLARS_ONLY, INVERTED, PARTS, RATES

Share = Annotated[float, Field(ge=0.0, le=1.0)]
WordingsName: TypeAlias = Literal["original", "openflan", "both"]

LARGEST = 2**53
"""Whole numbers up to here are exact as doubles, which the arithmetic of rates needs."""


class Section(BaseModel):
    """A part of a recipe: immutable, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain_numbers(cls, value: Any) -> Any:
        # YAML reads yes and no as truth values, which would pass as the numbers 1 and 0.
        if isinstance(value, bool):
            raise ValueError(
                f"expected a number, a text or a mapping; found `{str(value).lower()}` (so YAML reads "
                "yes, no, on and off)"
            )
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(
                f"a number of {len(str(abs(value)))} digits is beyond {LARGEST:,}, the largest whole "
                "number that openflan counts with"
            )
        return value


class Model(Section):
    """Where finetuning starts."""

    base: str | None = Field(None, description="a hub id or a Hugging Face folder")
    config: dict[str, Any] | None = Field(
        None,
        description=(
            "instead of `base`: a Hugging Face configuration with its `model_type`, initialised at random"
        ),
    )
    tokenizer: str | None = Field(None, description="a hub id or a folder; the base's own if absent")
    dropout: Share | None = Field(
        None, description="dropout while finetuning (Table 22: 0.05 for T5); the base's own if absent"
    )
    attention: Literal["causal", "prefix"] | None = Field(
        None,
        description=(
            "of a causal model: causal, or prefix (inputs see one another, as in UL2 and U-PaLM); "
            "absent: as "
            "the base was finetuned, else causal"
        ),
    )
    expert_dropout: Share | None = Field(
        None, description="dropout within the experts of a sparse model; absent: `dropout`"
    )
    expert_capacity: PositiveInt | None = Field(
        None,
        description=(
            "tokens of a row that an expert of a sparse model takes; absent: all, so that none is passed "
            "over and packed examples do not compete"
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


class Styles(Section):
    """Shares of the formats inside a submixture; defaults as in the public release of the collection."""

    few_shot: Share = Field(0.5, description="share of examples that show exemplars")
    rationale: Share = Field(
        1.0, description="share of examples that show the chain of thought, where a task has rationales"
    )
    options: Share = Field(
        0.5, description="share of examples that list the answer options, where a task has options"
    )
    inverted: Share = Field(
        INVERTED,
        description=(
            "share of inverted examples, where a task has wordings for them; the release's 0.3 beside 1.0"
        ),
    )
    instruction_on_top: Share | None = Field(
        None,
        description=(
            "share of few-shot examples that give the instruction once above the exemplars; absent: all "
            "where rows bring a definition, else none"
        ),
    )
    exemplars_only: Share = Field(
        EXEMPLARS_ONLY, description="share of the other few-shot examples that give no instruction at all"
    )


class Submixture(Section):
    """A group of tasks with one cap and one data source."""

    tasks: list[str] = Field(
        ["*"],
        min_length=1,
        description=(
            "names or patterns, such as cot/gsm8k, cot/* or, to take away, '!cot/qed'; all that the data "
            "holds if absent"
        ),
    )
    cap: PositiveInt | None = Field(
        None,
        description="the most examples of a task that count towards its rate; data is never cut (Table 23)",
    )
    data: Path | None = Field(
        None,
        description="file or folder with the rows, or hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT] "
        "(docs/data.md); "
        "absent: the embedded world, of which embedded:microflan@SEED is another",
    )
    wordings: WordingsName | Path | None = Field(
        None,
        description="openflan (the default), original (the collection's own, as imported by `openflan "
        "wordings "
        "import`) or both; "
        "or a YAML file or folder of wordings that comes before the packaged ones",
    )
    styles: Styles = Field(Styles(), description="shares of zero-/few-shot, chain of thought, options shown")
    targets: Literal["own", "shuffled"] = Field(
        "own", description="shuffled: a control, in which each row has the answer of another row of its task"
    )

    @field_validator("tasks", mode="before")
    @classmethod
    def _one_or_many(cls, tasks: Any) -> Any:
        return [tasks] if isinstance(tasks, str) else tasks

    @field_validator("wordings", mode="before")
    @classmethod
    def _name_or_path(cls, wordings: Any) -> Any:
        if not isinstance(wordings, str | Path | None):
            raise ValueError(
                f"expected {', '.join(get_args(WordingsName))}, or the path of a YAML file of wordings"
            )
        return wordings


def _kind_of_rates(value: Any) -> str | None:
    return "preset" if isinstance(value, str) else "mapping" if isinstance(value, dict) else None


Rates = Annotated[
    Annotated[str, Tag("preset")] | Annotated[dict[str, Annotated[float, Field(ge=0.0)]], Tag("mapping")],
    Discriminator(
        _kind_of_rates,
        custom_error_type="kind_of_rates",
        custom_error_message=f"expected {' or '.join(RATES)}, or a mapping such as {{cot: 1, niv2: 3}}",
    ),
]


class Mixture(Section):
    """Which tasks, and how much of each."""

    submixtures: dict[str, Submixture] = Field(description="submixture name to its tasks", min_length=1)
    rates: Rates | None = Field(
        None,
        description=(
            f"shares of the submixtures, or of parts such as muffin/dialog: {', '.join(RATES)}, or a "
            "mapping; absent: by capped size"
        ),
    )
    licences: list[str] | None = Field(
        None,
        min_length=1,
        description=(
            "licences that the rows of a task may have, such as [mit, cc-by-*]; tasks of others, or of "
            "unknown ones, are left out"
        ),
    )
    held_out: list[BenchmarkName] = Field(
        ["mmlu"],
        description=(
            "benchmarks that will be evaluated, such as [mmlu, arc_easy]: tasks made from them are not "
            "trained on (section 2.1)"
        ),
    )
    drop_overlaps: Path | None = Field(
        None,
        description=(
            "leaves out the rows that this file names; `openflan overlap --out` writes it "
            "(docs/contamination.md)"
        ),
    )

    validation_rows: int = Field(
        0,
        ge=0,
        description=(
            "rows of each task, a tenth of them at most, that are never trained on; the loss on them is "
            "measured every `evaluation.every` steps"
        ),
    )

    @field_validator("held_out", "licences", mode="before")
    @classmethod
    def _one_or_more(cls, names: Any) -> Any:
        return [names] if isinstance(names, str) else names

    @field_validator("rates")
    @classmethod
    def _known_preset(cls, rates: Rates | None) -> Rates | None:
        if isinstance(rates, str) and rates not in RATES:
            raise ValueError(
                f"`{rates}` is no preset; presets: {', '.join(RATES)}, or give a mapping such as {{cot: "
                f"1, niv2: 3}}"
            )
        return rates

    @model_validator(mode="after")
    def _consistent_rates(self) -> Mixture:
        shares = RATES[self.rates] if isinstance(self.rates, str) else self.rates
        if shares is not None:
            named = {group: group.partition("/")[0] for group in shares}
            unknown = (
                [group for group, name in named.items() if name not in self.submixtures]
                if isinstance(self.rates, dict)
                else []
            )
            absent = [name for name in self.submixtures if name not in named.values()]
            if unknown or absent:
                raise ValueError(
                    f"`rates` and `submixtures` name different things: {', '.join(unknown + absent)}"
                )
            for group, name in named.items():
                if group != name and group.partition("/")[2] not in PARTS.get(name, ()):
                    known = f"; its parts: {', '.join(PARTS[name])}" if name in PARTS else "; it has none"
                    raise ValueError(f"`rates`: `{group}` is no part of {name}{known}")
            if sum(share for group, share in shares.items() if named[group] in self.submixtures) <= 0:
                raise ValueError("`rates` sum to 0: nothing would be drawn")
        return self


class Packing(Section):
    """Token capacities of a packed row; a causal model's row holds both together."""

    inputs: PositiveInt = Field(1024, description="tokens for inputs a row (the collection's code: 2048)")
    targets: PositiveInt = Field(256, description="tokens for targets a row (the collection's code: 512)")
    layout: Literal["paper", "plain", "chat"] = Field(
        "paper",
        description=(
            "of a causal model's example: paper (inputs, EOS, targets, EOS), plain (inputs, targets, "
            "EOS) or "
            "chat (the tokenizer's own template)"
        ),
    )
    on_overflow: Literal["truncate-inputs", "drop", "error"] = Field(
        "truncate-inputs",
        description=(
            "inputs that do not fit: cut at the end, drop the example, or stop. Targets are never cut: such "
            "an example is dropped"
        ),
    )


class Training(Section):
    """The optimisation (section 2.2 and Table 22)."""

    optimizer: Literal["adafactor", "adamw"] = Field(
        "adafactor", description="adafactor as in T5X, the paper's; or adamw, with 8 bytes of state a weight"
    )
    learning_rate: float = Field(
        5e-4,
        gt=0,
        description="its highest value (Table 22, where it is constant: 5e-4 for T5, 3e-3 for PaLM 8B)",
    )
    schedule: Literal["constant", "linear", "cosine", "rsqrt"] = Field(
        "constant",
        description=(
            "the learning rate after warm-up: constant as in the paper, falling to 0 at the last step, or "
            "with 1 / sqrt(step)"
        ),
    )
    warmup_steps: int = Field(
        0, ge=0, description="steps in which the learning rate rises to `learning_rate`, in equal parts"
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description=(
            "a step takes this share, times the learning rate, off each weight; adamw spares norms and biases"
        ),
    )
    momentum: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="beta1, the average over gradients; absent: none for adafactor, 0.9 for adamw",
    )
    clip_norm: float | None = Field(
        None,
        gt=0,
        description=(
            "the longest a step's whole gradient may be; longer ones are scaled down; absent: not clipped"
        ),
    )
    loss_on: Literal["targets", "everything"] = Field(
        "targets", description="targets, as in the paper; or everything, inputs too (causal models only)"
    )
    z_loss: float = Field(
        0.0,
        ge=0,
        description=(
            "weight of the squared logarithm of the softmax's denominator (T5X's default 1e-4; the paper "
            "names none)"
        ),
    )
    router_aux_loss: float | None = Field(
        None,
        ge=0,
        description="weight of a sparse model's load-balancing loss; absent: its configuration's own",
    )
    router_z_loss: float | None = Field(
        None, ge=0, description="weight of a sparse model's router z-loss; absent: its configuration's own"
    )
    batch_size: PositiveInt = Field(
        64, description="packed rows a step, over all devices (Table 22: 64 for T5)"
    )
    micro_batch_size: PositiveInt | None = Field(
        None, description="packed rows at a time, which changes memory but not the result; absent: all"
    )
    steps: PositiveInt = Field(description="optimiser steps")
    precision: Literal["float32", "bf16"] = Field(
        "float32", description="arithmetic of forward and backward; weights stay float32"
    )
    step_offset: int = Field(
        0,
        ge=0,
        description=(
            "steps that the optimiser pretends to have made; T5X counts pretraining (1,100,000 for "
            "LM-adapted T5)"
        ),
    )
    activation_checkpointing: Literal["none", "full"] = Field(
        "none", description="full: layers are computed again in the backward pass, a third more work"
    )
    compile: Literal["none", "fullgraph"] = Field(
        "none", description="fullgraph: torch.compile of the whole model, which must not fall back to Python"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.warmup_steps > self.steps:
            raise ValueError(
                f"`warmup_steps` is {self.warmup_steps:,}, `steps` {self.steps:,}: the warm-up would "
                "never end"
            )
        if self.optimizer == "adamw" and self.step_offset:
            raise ValueError("`step_offset` belongs to `optimizer: adafactor`; leave it out")
        return self


class Checkpoints(Section):
    """What is kept while training."""

    every: PositiveInt = Field(1_000, description="steps between checkpoints; the last step always has one")
    keep: PositiveInt = Field(3, description="newest checkpoints that stay")


class Evaluation(Section):
    """What is measured while training; absent, nothing is until `openflan evaluate`."""

    every: PositiveInt = Field(1_000, description="steps between evaluations; the last step always has one")
    validation_examples: PositiveInt = Field(
        512,
        description=(
            "examples, made of the rows that `mixture.validation_rows` holds back, whose loss is measured"
        ),
    )
    benchmarks: list[str] = Field(
        [],
        description="held-out benchmarks, such as [bbh, mgsm:cot, mmlu]; `:cot` asks for chains of thought",
    )
    data: Path | None = Field(
        None, description="the folder that holds bbh/, mgsm/, ... (microflan needs none)"
    )
    limit: PositiveInt | None = Field(None, description="the first so many items of each task; absent: all")
    max_tokens: PositiveInt | None = Field(
        None, description="the most tokens of an answer; absent: each benchmark's own"
    )
    select: str | None = Field(
        None,
        description=(
            "the benchmark, such as mgsm:cot, by whose average the best checkpoint is chosen; absent: the "
            "mean over all (section 2.2)"
        ),
    )

    @field_validator("benchmarks", mode="before")
    @classmethod
    def _one_or_more(cls, names: Any) -> Any:
        return [names] if isinstance(names, str) else names

    @model_validator(mode="after")
    def _selects_what_it_measures(self) -> Evaluation:
        if self.select is not None and self.select not in self.benchmarks:
            raise ValueError(
                f"`select: {self.select}` is none of its `benchmarks` "
                f"({', '.join(self.benchmarks) or 'there are none'})"
            )
        return self


class Recipe(Section):
    """A run."""

    name: str = Field(description="names the run folder, runs/NAME", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")
    seed: int = Field(0, ge=0, description="every random choice derives from it")
    model: Model = Field(description="where finetuning starts")
    mixture: Mixture = Field(description="which tasks, how much of each")
    packing: Packing = Field(Packing(), description="tokens a row")
    training: Training = Field(description="the optimisation")
    checkpoints: Checkpoints = Field(Checkpoints(), description="what is kept while training")
    evaluation: Evaluation | None = Field(None, description="what is measured while training")
