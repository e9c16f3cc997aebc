"""What a study may contain: one YAML file states a question, a grid of runs that answers it, and the
directions that are expected. All of it is stated before any run.

Decision: axes are named values that set keys of a recipe, so a study can vary every key of a recipe and needs
no code. Five settings are not keys of a recipe: `tasks` (a nested, seeded subset), `submixtures` (some of the
recipe's, at its rates), `init: random`, `pretrain` (a recipe of continued pretraining and its keys; it runs
first), and `recipe` (another recipe).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from openflan.recipe.section import AsList, Section

WORDS = ("tasks", "submixtures", "init", "pretrain", "recipe")
"""Keys of a setting that are not keys of a recipe."""

AVERAGE = "average"
"""The group that holds all tasks of an evaluation."""


def _text(value: Any) -> Any:
    """Return a number as text, as numbers may name values: `tasks: {5: ..., 50: ...}`."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _named(values: Any) -> Any:
    return {_text(name): value for name, value in values.items()} if isinstance(values, dict) else values


Name = Annotated[str, BeforeValidator(_text), Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+%\-]*$")]
Setting: TypeAlias = dict[str, Any]
"""Values by dotted key of a recipe, or by one of WORDS."""

Where = Annotated[
    dict[str, Name],
    Field(description="The value of each axis. Scores are averaged over the axes that are not named."),
]


class Ask(Section):
    """An evaluation of every cell."""

    benchmark: str = Field(
        description=(
            "The benchmark: microflan, microflan-dev, bbh, mmlu, ..., a custom YAML file, or a task of the "
            "data."
        )
    )
    mode: Literal["direct", "cot"] = Field(
        "direct", description="direct: the answer alone. cot: a chain of thought before the answer."
    )
    shots: int | None = Field(
        None,
        ge=0,
        description=(
            "The number of exemplars. Absent: the benchmark's default. 0 with cot uses the zero-shot trigger "
            "sentence."
        ),
    )
    limit: PositiveInt | None = Field(
        None, description="How many items of each task are evaluated, the first ones. Absent: all items."
    )
    tasks: Annotated[list[str], AsList] = Field(
        ["*"], min_length=1, description="Patterns of the benchmark's tasks to evaluate."
    )
    max_tokens: PositiveInt | None = Field(
        None, description="The largest number of tokens of an answer. Absent: the benchmark's limit."
    )
    likelihood: Literal["sum", "mean"] | None = Field(
        None,
        description=(
            "Chooses the likeliest option instead of generating text, by the log-likelihood of the option "
            "(sum) or its mean per token (mean). Only for tasks with options."
        ),
    )


class Control(Section):
    """Control cells: they differ from those of the grid in a setting that must not help."""

    at: Where = Field({}, description="Which cells get a control. Empty: all cells.")
    set: Setting = Field(description="The settings of the control, which replace those of the cell.")


class Selector(Section):
    """A selection of scores: of some cells, under one evaluation."""

    where: Where = Field({})
    control: str | None = Field(
        None, description="Selects the cells of this control instead of those of the grid."
    )
    evaluation: str | None = Field(
        None, description="An evaluation or average. Absent: that of the direction."
    )


class Contrast(Section):
    """One mean of scores minus another."""

    more: Selector
    less: Selector


class Direction(Contrast):
    """A claim, stated before the runs: scores of `more` exceed those of `less` by more than `by` normalized
    points.

    With `beyond`, the claim is about a difference of two differences: more - less - (beyond.more -
    beyond.less).
    """

    says: str = Field(description="The claim as a sentence.")
    evaluation: str = Field(description="An evaluation or average.")
    groups: Annotated[list[str], AsList] = Field(
        [AVERAGE], min_length=1, description="Groups of tasks. Each group is decided by itself."
    )
    by: float = Field(
        0.0,
        description="The normalized points that must be exceeded. Below 0: the points that must not be lost.",
    )
    beyond: Contrast | None = None

    @property
    def terms(self) -> list[tuple[float, Selector]]:
        """Return the means that are added up, each with its weight."""
        first = [(1.0, self.more), (-1.0, self.less)]
        return first if self.beyond is None else [*first, (-1.0, self.beyond.more), (1.0, self.beyond.less)]


class Figure(Section):
    """A figure: one axis on x, one line for each value of another axis, one panel for each group or
    evaluation."""

    name: Name
    title: str
    x: str = Field(description="The axis on x.")
    lines: str | None = Field(
        None, description="The axis whose values become lines. Absent: each evaluation is a line."
    )
    evaluations: list[str] = Field(min_length=1)
    groups: list[str] = Field([AVERAGE], min_length=1)
    where: Where = Field({})


class Study(Section):
    """A question and its grid."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")
    question: str
    note: str = Field("", description="A note for readers of the results.")
    recipe: str = Field(
        description="The recipe of every cell: a file in the folder of the study, or a packaged recipe."
    )
    set: Setting = Field({}, description="Settings of all cells, by key of the recipe.")
    tasks_of: str = Field(
        "microflan", description="The submixture that a setting's `tasks` takes its subset from."
    )
    axes: dict[str, dict[Name, Setting]] = Field(min_length=1)
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    controls: dict[Name, Control] = Field({})
    evaluations: dict[Name, Ask] = Field(min_length=1)
    averages: dict[Name, list[str]] = Field(
        {}, description="Means over the averages of several evaluations, by name."
    )
    directions: list[Direction] = Field([])
    figures: list[Figure] = Field([])

    @field_validator("axes", mode="before")
    @classmethod
    def _named_axes(cls, axes: Any) -> Any:
        return {name: _named(values) for name, values in axes.items()} if isinstance(axes, dict) else axes

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("`seeds` contains a seed twice")
        for name, over in self.averages.items():
            if name in self.evaluations:
                raise ValueError(f"`averages.{name}` has the name of an evaluation")
            self._known("averages", over, self.evaluations)
        for control in self.controls.values():
            self._check_where(control.at)
        evaluation_names = [*self.evaluations, *self.averages]
        for direction in self.directions:
            for _, selector in direction.terms:
                self._check_where(selector.where)
                self._known("directions", [selector.evaluation or direction.evaluation], evaluation_names)
                self._known("directions", [selector.control] if selector.control else [], self.controls)
        for figure in self.figures:
            self._known("figures", [figure.x, *([figure.lines] if figure.lines else [])], self.axes)
            self._known("figures", figure.evaluations, evaluation_names)
            self._check_where(figure.where)
        return self

    def _check_where(self, values: Mapping[str, str]) -> None:
        for axis, value in values.items():
            self._known("axes", [axis], self.axes)
            self._known(f"axes.{axis}", [value], self.axes[axis])

    @staticmethod
    def _known(key: str, names: Any, known: Any) -> None:
        for name in names:
            if name not in known:
                raise ValueError(f"`{key}`: there is no `{name}`; there is {', '.join(known) or 'none'}")
