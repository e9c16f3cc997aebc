"""What a study may say: one YAML file states a question, the grid of runs that is to answer it, and the
directions expected, before any of them runs.

Decision: axes are named values that set keys of a recipe, so a study can vary whatever a recipe can say and
needs no code. Five words beside the keys say what keys cannot: `tasks` (a nested, seeded subset),
`submixtures` (some of the recipe's, at its rates), `init: random`, `pretrain` (a recipe of continued
pretraining and its keys, which comes first), and `recipe` (another one).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from openflan.recipe.schema import Section

WORDS = ("tasks", "submixtures", "init", "pretrain", "recipe")
"""Keys of a setting that are no keys of a recipe."""

AVERAGE = "average"
"""The group that holds all tasks of an evaluation."""


def _text(value: Any) -> Any:
    """Numbers may name values, as in `tasks: {5: ..., 50: ...}`."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _named(values: Any) -> Any:
    return {_text(name): value for name, value in values.items()} if isinstance(values, dict) else values


Name = Annotated[str, BeforeValidator(_text), Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+%\-]*$")]
Setting: TypeAlias = dict[str, Any]
"""Keys of a recipe with dots, and WORDS."""

Where = Annotated[
    dict[str, Name],
    Field(description="axis to the value that is meant; axes that are not named are averaged over"),
]


class Ask(Section):
    """An evaluation of every cell."""

    benchmark: str = Field(
        description=(
            "microflan, microflan-dev, bbh, mmlu, ..., a YAML file of your own, or a task of the data"
        )
    )
    mode: Literal["direct", "cot"] = Field(
        "direct", description="direct: the answer at once; cot: a chain of thought first"
    )
    shots: int | None = Field(
        None,
        ge=0,
        description="exemplars; the benchmark's own number if absent; 0 with cot is the zero-shot trigger",
    )
    limit: PositiveInt | None = Field(None, description="the first so many items of each task; all if absent")
    tasks: list[str] = Field(
        ["*"], min_length=1, description="patterns of the benchmark's tasks that are asked"
    )
    max_tokens: PositiveInt | None = Field(
        None, description="the most tokens of an answer; the benchmark's own if absent"
    )
    likelihood: Literal["sum", "mean"] | None = Field(
        None,
        description=(
            "choose the likeliest option instead of generating, by the whole text (sum) or a token on "
            "average (mean); tasks with options only"
        ),
    )

    @field_validator("tasks", mode="before")
    @classmethod
    def _one_or_many(cls, tasks: Any) -> Any:
        return [tasks] if isinstance(tasks, str) else tasks


class Control(Section):
    """Cells that differ from those of the grid in what must not help."""

    at: Where = Field({}, description="which cells get such a twin; all if empty")
    set: Setting = Field(description="what is set in them, over the cell's own values")


class Selector(Section):
    """Some scores: of which cells, under which evaluation."""

    where: Where = Field({})
    control: str | None = Field(None, description="a control's cells instead of those of the grid")
    evaluation: str | None = Field(None, description="an evaluation or average; the direction's if absent")


class Contrast(Section):
    """One mean of scores minus another."""

    more: Selector
    less: Selector


class Direction(Contrast):
    """Stated before the runs: the scores of `more` exceed those of `less` by more than `by`, in normalized
    points.

    With `beyond` it is the difference of two differences: more - less - (beyond.more - beyond.less).
    """

    says: str = Field(description="the direction in words")
    evaluation: str = Field(description="an evaluation or average")
    groups: list[str] = Field(
        [AVERAGE], min_length=1, description="groups of tasks; each is decided by itself"
    )
    by: float = Field(
        0.0, description="normalized points that must be exceeded; below 0: that must not be lost"
    )
    beyond: Contrast | None = None

    @field_validator("groups", mode="before")
    @classmethod
    def _one_or_many(cls, groups: Any) -> Any:
        return [groups] if isinstance(groups, str) else groups

    @property
    def terms(self) -> list[tuple[float, Selector]]:
        """Weights of the means that are added up."""
        own = [(1.0, self.more), (-1.0, self.less)]
        return own if self.beyond is None else [*own, (-1.0, self.beyond.more), (1.0, self.beyond.less)]


class Figure(Section):
    """A drawing: an axis along the bottom, a line for each value of another, a panel for each group or
    evaluation."""

    name: Name
    title: str
    x: str = Field(description="the axis along the bottom")
    lines: str | None = Field(
        None, description="the axis whose values are lines; without one each evaluation is a line"
    )
    evaluations: list[str] = Field(min_length=1)
    groups: list[str] = Field([AVERAGE], min_length=1)
    where: Where = Field({})


class Study(Section):
    """A question and its grid."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")
    question: str
    note: str = Field("", description="what a reader of the results should know")
    recipe: str = Field(
        description="the recipe that every cell begins with: a file beside the study, or a packaged one"
    )
    set: Setting = Field({}, description="keys of the recipe that all cells set")
    tasks_of: str = Field("microflan", description="the submixture whose tasks a setting's `tasks` counts")
    axes: dict[str, dict[Name, Setting]] = Field(min_length=1)
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    controls: dict[Name, Control] = Field({})
    evaluations: dict[Name, Ask] = Field(min_length=1)
    averages: dict[Name, list[str]] = Field(
        {}, description="means over the averages of several evaluations, by name"
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
            raise ValueError("`seeds` has one of them twice")
        for name, over in self.averages.items():
            if name in self.evaluations:
                raise ValueError(f"`averages.{name}` has the name of an evaluation")
            self._known("averages", over, self.evaluations)
        for control in self.controls.values():
            self._check_where(control.at)
        asked = [*self.evaluations, *self.averages]
        for direction in self.directions:
            for _, selector in direction.terms:
                self._check_where(selector.where)
                self._known("directions", [selector.evaluation or direction.evaluation], asked)
                self._known("directions", [selector.control] if selector.control else [], self.controls)
        for figure in self.figures:
            self._known("figures", [figure.x, *([figure.lines] if figure.lines else [])], self.axes)
            self._known("figures", figure.evaluations, asked)
            self._check_where(figure.where)
        return self

    def _check_where(self, where: Mapping[str, str]) -> None:
        for axis, value in where.items():
            self._known("axes", [axis], self.axes)
            self._known(f"axes.{axis}", [value], self.axes[axis])

    @staticmethod
    def _known(place: str, names: Any, known: Any) -> None:
        for name in names:
            if name not in known:
                raise ValueError(f"`{place}`: there is no `{name}`; there is {', '.join(known) or 'none'}")
