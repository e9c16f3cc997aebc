"""The section `mixture:` of a recipe: which tasks, how much of each, and in which formats.

Section and table numbers refer to Chung et al. 2022. The shares that follow from it are calculated in
`mixture.rates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Discriminator, Field, PositiveInt, Tag, field_validator, model_validator

from openflan.errors import did_you_mean
from openflan.recipe.benchmark_name import BenchmarkName
from openflan.recipe.effects import PLAN
from openflan.recipe.presets import EXEMPLARS_ONLY, INVERTED, PARTS, RATES
from openflan.recipe.section import AsList, Section, Share

WordingsName: TypeAlias = Literal["original", "openflan", "both"]


RELEASE = "release"
"""Stands for what the public release of the collection has, task by task."""

FEW_SHOT = 0.5
"""The share of few-shot examples where a recipe states none, for all but a user's own rows."""

STYLES_OF_RELEASE = {"inverted": RELEASE, "shots": RELEASE}
"""What `styles: release` means."""


def _number_or_name(value: Any) -> str:
    return "name" if isinstance(value, str) else "number"


def _list_or_name(value: Any) -> str:
    return "name" if isinstance(value, str) else "list"


class Styles(Section):
    """How often each format occurs in a submixture. Defaults are those of the collection's public release as
    a whole, and for a user's own rows each row as it is; `release` in place of a mapping takes what it has
    for each task."""

    few_shot: Share | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "The share of examples that contain exemplars. Absent: 0.5, and none for your own rows."
        ),
    )
    rationale: Share = Field(
        1.0,
        json_schema_extra=PLAN,
        description="The share of examples with a chain of thought, for tasks that have rationales.",
    )
    options: Share = Field(
        0.5,
        json_schema_extra=PLAN,
        description="The share of examples that list the answer options, for tasks that have options.",
    )
    inverted: (
        Annotated[
            Annotated[Share, Tag("number")] | Annotated[Literal["release"], Tag("name")],
            Discriminator(_number_or_name),
        ]
        | None
    ) = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "The share of inverted examples, for tasks that have inverted wordings. Absent: the release's "
            f"ratio of 0.3 to 1.0 for its inverted tasks ({INVERTED:.3f}), and none for your own rows. "
            "release: each task's own share (docs/wordings.md)."
        ),
    )
    shots: Annotated[
        Annotated[list[PositiveInt], Field(min_length=1), Tag("list")]
        | Annotated[Literal["release"], Tag("name")],
        Discriminator(_list_or_name),
    ] = Field(
        [5, 5, 2, 3],
        json_schema_extra=PLAN,
        description=(
            "The numbers of exemplars in few-shot examples, drawn evenly: half of the release's have five, "
            "the others two or three. release: the same, but two for natural instructions."
        ),
    )
    instruction_on_top: Share | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "The share of few-shot examples that give the instruction once, above the exemplars. Absent: "
            "all of them where rows contain a definition, else none."
        ),
    )
    exemplars_only: Share = Field(
        EXEMPLARS_ONLY,
        json_schema_extra=PLAN,
        description="The share of the other few-shot examples that contain no instruction.",
    )


def _places(value: Any) -> Any:
    """One place by itself, several as a tuple. Raises ValueError for an empty list, for anything but paths,
    and for a place that is named twice."""
    if value is None or isinstance(value, str | Path):
        return value
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(isinstance(place, str | Path) for place in value)
    ):
        raise ValueError(f"expected a path or hub:OWNER/NAME, or a list of them; found {value!r:.60}")
    if len({str(place) for place in value}) < len(value):
        raise ValueError("names a place twice; each may stand there once")
    return value[0] if len(value) == 1 else tuple(value)


class Submixture(Section):
    """A group of tasks with one cap and one data source."""

    tasks: Annotated[list[str], AsList] = Field(
        ["*"],
        json_schema_extra=PLAN,
        min_length=1,
        description=(
            "Names or patterns of tasks, such as cot/gsm8k or cot/*; a pattern that begins with `!`, such "
            "as '!cot/qed', excludes tasks. Default: all tasks of the data."
        ),
    )
    cap: PositiveInt | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "The largest number of a task's rows that counts towards its rate. All rows are still used "
            "(Table 23)."
        ),
    )
    data: Annotated[Path | tuple[Path, ...] | None, BeforeValidator(_places)] = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "The file or folder with the rows, or hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT] "
            "(docs/data.md); of a list of them, the first that has a task gives it. Absent: the embedded "
            "world; embedded:microflan@SEED makes another one."
        ),
    )
    format: str | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "The format of your own rows, such as alpaca or messages (docs/data.md). Absent: recognised by "
            "the fields of all rows."
        ),
    )
    columns: dict[str, str] | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "Names for the columns of your own rows, as a mapping {inputs: prompt, targets: answer} or as "
            "inputs=prompt,targets=answer: `inputs` is what the file calls `prompt`."
        ),
    )
    wordings: WordingsName | Path | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "Which wordings to use: openflan (the default), original (the collection's own, imported with "
            "`openflan wordings import`) or both; or a YAML file or folder of wordings, which are used "
            "before the packaged ones."
        ),
    )
    styles: Styles = Field(
        Styles(),
        description=(
            "How often each format of examples occurs. `styles: release` stands for {inverted: release, "
            "shots: release}."
        ),
    )
    targets: Literal["own", "shuffled"] = Field(
        "own",
        json_schema_extra=PLAN,
        description=(
            "Which targets rows have: own, or shuffled. `shuffled` is a control experiment: each row gets "
            "the answer of another row of its task."
        ),
    )

    @field_validator("styles", mode="before")
    @classmethod
    def _styles_by_name(cls, styles: Any) -> Any:
        if not isinstance(styles, str):
            return styles
        if styles == RELEASE:
            return STYLES_OF_RELEASE
        hint = did_you_mean(styles, [RELEASE]) or ""
        raise ValueError(f"expected `{RELEASE}`, or a mapping such as {{few_shot: 0.5}}{hint}")

    @field_validator("columns", mode="before")
    @classmethod
    def _mapping_or_text(cls, columns: Any) -> Any:
        if not isinstance(columns, str):
            return columns
        pairs = [pair.split("=") for pair in columns.split(",")]
        if not all(len(pair) == 2 and all(part.strip() for part in pair) for pair in pairs):
            raise ValueError("expected FIELD=COLUMN pairs, such as inputs=prompt,targets=answer")
        return {pair[0].strip(): pair[1].strip() for pair in pairs}

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
    """Which tasks to train on, and how much of each."""

    submixtures: dict[str, Submixture] = Field(
        description="The submixtures by name, each with its tasks.", min_length=1
    )
    rates: Rates | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            f"The rates of the submixtures, or of parts such as muffin/dialog: {', '.join(RATES)}, or a "
            "mapping. Absent: in proportion to capped sizes."
        ),
    )
    unit: Literal["examples", "tokens"] = Field(
        "examples",
        json_schema_extra=PLAN,
        description=(
            "What rates and shares count: examples, or tokens (inputs and targets as they are trained on; "
            "each task's mean is estimated from a sample, docs/rates.md)."
        ),
    )
    licences: Annotated[list[str], AsList] | None = Field(
        None,
        json_schema_extra=PLAN,
        min_length=1,
        description=(
            "The licences that are allowed, such as [mit, cc-by-*]. Tasks with another or an unknown "
            "licence are left out. Absent: all tasks."
        ),
    )
    held_out: Annotated[list[BenchmarkName], AsList] = Field(
        ["mmlu"],
        json_schema_extra=PLAN,
        description=(
            "The benchmarks that will be evaluated, such as [mmlu, arc_easy]. Tasks made from them are not "
            "trained on (section 2.1)."
        ),
    )
    drop_overlaps: Path | None = Field(
        None,
        json_schema_extra=PLAN,
        description=(
            "A file that `openflan overlap --out` wrote (docs/contamination.md). The rows that it names are "
            "left out."
        ),
    )

    validation_rows: int = Field(
        0,
        json_schema_extra=PLAN,
        ge=0,
        description=(
            "How many rows of each task (at most a tenth of them) are never trained on. The loss on them is "
            "measured every `evaluation.every` steps."
        ),
    )

    validation: Literal["rows", "split"] = Field(
        "rows",
        json_schema_extra=PLAN,
        description=(
            "Which rows the validation loss is measured on: `rows`, those that `validation_rows` holds back, "
            "or "
            "`split`, the validation rows that lie beside the training rows of a task (validation.jsonl "
            "beside "
            "train.jsonl); tasks without any hold back rows."
        ),
    )

    @field_validator("rates")
    @classmethod
    def _known_preset(cls, rates: Rates | None) -> Rates | None:
        if isinstance(rates, str) and rates not in RATES:
            raise ValueError(
                f"`{rates}` is not a preset; presets: {', '.join(RATES)}, or give a mapping such as {{cot: "
                f"1, niv2: 3}}"
            )
        return rates

    @model_validator(mode="after")
    def _consistent_rates(self) -> Mixture:
        if self.rates is not None:
            _check_rates(self.rates, self.submixtures)
        return self


def _check_rates(rates: str | Mapping[str, float], submixtures: Iterable[str]) -> None:
    """Raise ValueError if `rates` and `submixtures` do not name the same groups, or all rates are 0."""
    names = set(submixtures)
    rate_of_group = RATES[rates] if isinstance(rates, str) else rates
    submixture_of_group = {group: group.partition("/")[0] for group in rate_of_group}
    unknown = (
        []
        if isinstance(rates, str)
        else [group for group, submixture in submixture_of_group.items() if submixture not in names]
    )
    absent = [name for name in submixtures if name not in submixture_of_group.values()]
    if unknown or absent:
        raise ValueError(f"`rates` and `submixtures` name different things: {', '.join(unknown + absent)}")
    for group, submixture in submixture_of_group.items():
        if group != submixture and group.partition("/")[2] not in PARTS.get(submixture, ()):
            known = (
                f"; its parts: {', '.join(PARTS[submixture])}" if submixture in PARTS else ("; it has none")
            )
            raise ValueError(f"`rates`: `{group}` is not a part of {submixture}{known}")
    if sum(rate for group, rate in rate_of_group.items() if submixture_of_group[group] in names) <= 0:
        raise ValueError("`rates` sum to 0, so no example would be drawn")
