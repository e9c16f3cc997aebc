"""What a recipe of continued pretraining may contain: `pretraining:` in place of `mixture:`.

The other sections are those of a finetuning recipe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PositiveInt, model_validator

from openflan.embedded import EMBEDDED
from openflan.recipe.effects import NONE, OPTIMISATION, PLAN
from openflan.recipe.model_section import WithAdapter
from openflan.recipe.schema import Checkpoints, Model, Packing, Recipe, Section, Share, Training
from openflan.recipe.section import AsList
from openflan.recipe.trackers import TRACK_HELP, TrackerName

Objective: TypeAlias = Literal["span-corruption", "prefix-lm", "causal-lm", "ul2", "ul2r"]
Mode: TypeAlias = Literal["r", "s", "x"]
MIXTURES: tuple[Objective, ...] = ("ul2", "ul2r")
"""Objectives that are mixtures of denoisers."""

MARKED: tuple[Objective, ...] = ("span-corruption", "prefix-lm")
"""Objectives that can use a marked span (`salient`)."""

WINDOW = 1_024


class Pretraining(Section):
    """Which text to train on, and what is learned from it."""

    data: Annotated[list[Path], AsList] = Field(
        json_schema_extra=PLAN,
        min_length=1,
        description=(
            "Text, JSONL, Parquet or Arrow files, folders of them, "
            "hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT], or embedded:microflan[@SEED][/MIX]."
        ),
    )
    field: str = Field(
        "text",
        json_schema_extra=PLAN,
        description="The field or column that contains a document, where the data has several.",
    )
    documents: Literal["line", "paragraph", "file"] = Field(
        "line",
        json_schema_extra=PLAN,
        description=(
            "What counts as a document of a .txt file: a line, a paragraph (up to an empty line), or the "
            "file."
        ),
    )
    objective: Objective = Field(
        json_schema_extra=PLAN,
        description=(
            "The objective: span-corruption (T5), prefix-lm (LM adaptation), causal-lm (PaLM), ul2, or "
            "ul2r (U-PaLM). See docs/pretraining.md."
        ),
    )
    mean_span: float | None = Field(
        None,
        json_schema_extra=PLAN,
        ge=1,
        description="For span-corruption: the mean length of a span in tokens. Absent: 3, as in T5.",
    )
    corruption_rate: float | None = Field(
        None,
        json_schema_extra=PLAN,
        gt=0,
        lt=1,
        description="For span-corruption: the share of tokens that are noise. Absent: 0.15, as in T5.",
    )
    shares: dict[Mode, Annotated[float, Field(ge=0)]] | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "For ul2 and ul2r: the shares of the modes r, s and x, such as {r: 1, s: 2, x: 1}. Absent: the "
            "shares of the objective's paper."
        ),
    )
    mode_tokens: dict[Mode, str] | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "For ul2 and ul2r: the token at the start of the inputs of each mode. Absent: [NLU], [S2S] and "
            "[NLG] for r, s and x. {}: no such tokens."
        ),
    )
    salient: Share | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "For span-corruption and prefix-lm: the share of documents in which the marked span is the "
            "noise, or the point where the document is split (salient span masking). Absent: 0."
        ),
    )
    salient_field: str | None = Field(
        None,
        json_schema_extra=PLAN,
        description="The field or column that contains [begin, end] of the marked span, in characters.",
    )
    length: PositiveInt | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "The largest number of tokens of a piece; longer documents are split into pieces. Absent: the "
            "largest number that always fits a sequence, for each denoiser."
        ),
    )
    pieces: Literal["separate", "joined"] = Field(
        "separate",
        json_schema_extra=PLAN,
        description=(
            "How documents become pieces: separate splits each document by itself; joined first "
            "concatenates the documents of a window, as in T5."
        ),
    )
    window: PositiveInt = Field(
        WINDOW,
        json_schema_extra=PLAN,
        description=(
            "How many documents are in memory and packed together. Choose fewer if documents are as long "
            "as books."
        ),
    )

    @model_validator(mode="after")
    def _only_what_is_used(self) -> Pretraining:
        spans, modes = ("mean_span", "corruption_rate"), ("shares", "mode_tokens")
        unused: tuple[str, ...] = (() if self.objective == "span-corruption" else spans) + (
            () if self.objective in MIXTURES else modes
        )
        if self.objective not in MARKED:
            unused += ("salient",)
        stated_key = next((name for name in unused if getattr(self, name) is not None), None)
        if stated_key is not None:
            raise ValueError(f"`{stated_key}` does not belong to `objective: {self.objective}`; leave it out")
        if self.salient and self.pieces == "joined":
            raise ValueError(
                "`salient` does not belong to `pieces: joined`, which does not keep the positions of "
                "marked spans; leave one out"
            )
        if (
            self.salient
            and self.salient_field is None
            and any(not str(source).startswith(EMBEDDED) for source in self.data)
        ):
            raise ValueError(
                "`salient` needs `salient_field`, the field or column of `data` that holds the marks"
            )
        return self


class Validation(Section):
    """What is measured during pretraining. Without this section, nothing is."""

    documents: PositiveInt = Field(
        64,
        json_schema_extra=PLAN,
        description=("How many documents are never trained on. They are the same ones for every seed."),
    )
    every: PositiveInt = Field(
        1_000,
        json_schema_extra=OPTIMISATION,
        description="Steps between measurements of the loss on them. The last step is always measured.",
    )


class PretrainRecipe(WithAdapter):
    """A run of continued pretraining."""

    name: str = Field(
        json_schema_extra=NONE,
        description="The name of the run, which also names its folder, runs/NAME.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$",
    )
    seed: int = Field(0, json_schema_extra=PLAN, ge=0, description="The seed of every random choice.")
    model: Model = Field(description="The model that pretraining starts from.")
    pretraining: Pretraining = Field(description="Which text to train on, and what is learned from it.")
    packing: Packing = Field(
        Packing(inputs=512, targets=512), description="The size of a packed sequence, in tokens."
    )
    training: Training = Field(description="The optimisation.")
    checkpoints: Checkpoints = Field(
        Checkpoints(), description="When checkpoints are written, and how many stay."
    )
    validation: Validation | None = Field(
        None, description="What is measured during training. Absent: nothing."
    )
    track: Annotated[list[TrackerName], AsList] = Field([], json_schema_extra=NONE, description=TRACK_HELP)


AnyRecipe: TypeAlias = Recipe | PretrainRecipe
"""A recipe of either kind: finetuning or continued pretraining."""
