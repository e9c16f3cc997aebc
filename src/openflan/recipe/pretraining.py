"""What a recipe of continued pretraining may say: `pretraining:` where a finetuning recipe has `mixture:`,
the other sections as there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PositiveInt, field_validator, model_validator

from openflan.recipe.effects import NONE, OPTIMISATION, PLAN
from openflan.recipe.paths import EMBEDDED
from openflan.recipe.schema import Checkpoints, Model, Packing, Recipe, Section, Share, Training

Objective: TypeAlias = Literal["span-corruption", "prefix-lm", "causal-lm", "ul2", "ul2r"]
Mode: TypeAlias = Literal["r", "s", "x"]
MIXTURES: tuple[Objective, ...] = ("ul2", "ul2r")
"""Objectives that are mixtures of denoisers."""

MARKED: tuple[Objective, ...] = ("span-corruption", "prefix-lm")
"""Objectives that know what to do with a marked span (`salient`)."""

WINDOW = 1_024


class Pretraining(Section):
    """Which text, and what is learned from it."""

    data: list[Path] = Field(
        json_schema_extra=PLAN,
        min_length=1,
        description=(
            "text, JSONL, Parquet or Arrow files, folders of them, or "
            "hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT], or embedded:microflan[@SEED][/MIX]"
        ),
    )
    field: str = Field(
        "text",
        json_schema_extra=PLAN,
        description="the field or column that holds a document, where the data has several",
    )
    documents: Literal["line", "paragraph", "file"] = Field(
        "line",
        json_schema_extra=PLAN,
        description="a document of a .txt file: a line; a paragraph, up to an empty line; or the whole file",
    )
    objective: Objective = Field(
        json_schema_extra=PLAN,
        description=(
            "span-corruption (T5), prefix-lm (LM adaptation), causal-lm (PaLM), ul2, or ul2r (U-PaLM); "
            "docs/pretraining.md"
        ),
    )
    mean_span: float | None = Field(
        None,
        json_schema_extra=PLAN,
        ge=1,
        description="span-corruption: tokens a span, on average; absent: 3, as in T5",
    )
    corruption_rate: float | None = Field(
        None,
        json_schema_extra=PLAN,
        gt=0,
        lt=1,
        description="span-corruption: the share of tokens that are noise; absent: 0.15, as in T5",
    )
    shares: dict[Mode, Annotated[float, Field(ge=0)]] | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "ul2, ul2r: shares of the modes r, s and x, such as {r: 1, s: 2, x: 1}; absent: the objective's "
            "own"
        ),
    )
    mode_tokens: dict[Mode, str] | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "ul2, ul2r: what begins the inputs of each mode; absent: [NLU], [S2S], [NLG] for r, s, x; {} "
            "for "
            "none"
        ),
    )
    salient: Share | None = Field(
        None,
        json_schema_extra=PLAN,
        description="span-corruption, prefix-lm: the share of documents whose marked span is the noise, or "
        "where "
        "they are cut (salient span masking); "
        "absent: none",
    )
    salient_field: str | None = Field(
        None,
        json_schema_extra=PLAN,
        description="the field or column that holds [begin, end] of the marked span, in characters",
    )
    length: PositiveInt | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "the most tokens of a piece, to which longer documents are cut; absent: the most that always "
            "fit "
            "a row, for each denoiser"
        ),
    )
    pieces: Literal["separate", "joined"] = Field(
        "separate",
        json_schema_extra=PLAN,
        description=(
            "separate: documents are cut each by itself; joined: those of a window stand one after another "
            "first, as in T5"
        ),
    )
    window: PositiveInt = Field(
        WINDOW,
        json_schema_extra=PLAN,
        description="documents that are in memory and packed together; fewer where documents are books",
    )

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_many(cls, data: Any) -> Any:
        return [data] if isinstance(data, str | Path) else data

    @model_validator(mode="after")
    def _only_what_is_used(self) -> Pretraining:
        spans, modes = ("mean_span", "corruption_rate"), ("shares", "mode_tokens")
        unused: tuple[str, ...] = (() if self.objective == "span-corruption" else spans) + (
            () if self.objective in MIXTURES else modes
        )
        if self.objective not in MARKED:
            unused += ("salient",)
        stated = next((name for name in unused if getattr(self, name) is not None), None)
        if stated is not None:
            raise ValueError(f"`{stated}` does not belong to `objective: {self.objective}`; leave it out")
        if self.salient and self.pieces == "joined":
            raise ValueError(
                "`salient` does not belong to `pieces: joined`, where documents lose their places; leave "
                "one out"
            )
        if (
            self.salient
            and self.salient_field is None
            and any(not str(place).startswith(EMBEDDED) for place in self.data)
        ):
            raise ValueError(
                "`salient` needs `salient_field`, the field or column of `data` that holds the marks"
            )
        return self


class Validation(Section):
    """What is measured while pretraining; absent, nothing is."""

    documents: PositiveInt = Field(
        64,
        json_schema_extra=PLAN,
        description="documents that are never trained on, the same ones whatever the seed",
    )
    every: PositiveInt = Field(
        1_000,
        json_schema_extra=OPTIMISATION,
        description="steps between measurements of the loss on them; the last step always has one",
    )


class PretrainRecipe(Section):
    """A run of continued pretraining."""

    name: str = Field(
        json_schema_extra=NONE,
        description="names the run folder, runs/NAME",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$",
    )
    seed: int = Field(0, json_schema_extra=PLAN, ge=0, description="every random choice derives from it")
    model: Model = Field(description="where pretraining starts")
    pretraining: Pretraining = Field(description="which text, and what is learned from it")
    packing: Packing = Field(Packing(inputs=512, targets=512), description="tokens a row")
    training: Training = Field(description="the optimisation")
    checkpoints: Checkpoints = Field(Checkpoints(), description="what is kept while training")
    validation: Validation | None = Field(None, description="what is measured while training")


AnyRecipe: TypeAlias = Recipe | PretrainRecipe
"""What the loop trains."""
