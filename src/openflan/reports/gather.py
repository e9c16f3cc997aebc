"""What a run folder holds, read once and checked; everything after this is pure.

Any part may be absent: a run that was only finetuned has no scores, and its report says so; a model that was only evaluated has nothing else. Files are
checked against the shapes below; keys beyond them are ignored, so that files may grow. Price: what a file says beyond these shapes cannot appear in a
report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from openflan.errors import InputError
from openflan.recipe.load import load_any_recipe
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.schema import Recipe
from openflan.reports.samples import Sample, sample_generations, unanswered_generations
from openflan.run import Run, read_jsonl

SAMPLES = 10
"""Generations shown in a report."""

UNANSWERED = 5
"""Generations without an answer shown in a report: whether the model or the extraction failed is for people to see."""

_NO_AVERAGES = {
    *("model", "benchmark", "mode", "split", "variant", "averages", "normalized", "partial", "prompt_version", "tasks", "intervals", "agreement", "curve"),
    *("samples", "missing", "duplicates", "exemplars", "exemplars_dropped", "prompts_shortened", "exemplar_from_dev"),
}
"""Keys of a score that are no mean over tasks."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """A line of metrics.jsonl. `loss` is in nats a target token, `fill` a share of the packed capacity; `seconds` include the wait for data.

    `validation_loss` and held-out `scores` (percent, by benchmark) stand where they were measured.
    """

    step: int
    loss: float
    tokens: int
    examples: int
    fill: float
    seconds: float
    waiting_seconds: float
    validation_loss: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskShare:
    """What the mixture gives a task: `share` of all examples, `passes` over its rows."""

    task: str
    submixture: str
    category: str
    rows: int
    cap: int | None
    share: float
    passes: float


@dataclass(frozen=True, slots=True)
class SubmixtureShare:
    """The same for a submixture."""

    submixture: str
    tasks: int
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What packing the first `examples` examples showed."""

    examples: int
    counts: Mapping[str, int]
    formats: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ledger:
    """ledger.json."""

    examples: int
    submixtures: tuple[SubmixtureShare, ...]
    tasks: tuple[TaskShare, ...]
    measured: Measured


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task's accuracy, chance, 95 % interval, share of questions with an answer (`extracted`), share of generations that were cut (`truncation`) and
    normalised accuracy in percent; `too_long` and `truncated` count generations."""

    accuracy: float
    n: int
    chance: float | None = None
    ci95: tuple[float, float] | None = None
    too_long: int = 0
    truncated: int = 0
    extracted: float | None = None
    truncation: float | None = None
    normalized: float | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """The uncertainty of a mean: its 95 % interval in percent, and the number of questions."""

    ci95: tuple[float, float]
    n: int


@dataclass(frozen=True, slots=True)
class ModelScore:
    """A model on a benchmark in a mode; `averages` has the headline `average` first, `intervals` are theirs. `curve` is the average by number of
    samples, where questions were answered several times; `prompts_shortened` counts prompts that lost exemplars. `variant`
    names another way of answering than greedily, as generation files do (`-likelihood`)."""

    model: str
    benchmark: str
    mode: str
    averages: Mapping[str, float | None]
    tasks: Mapping[str, TaskResult]
    normalized: float | None = None
    partial: bool = False
    prompt_version: str | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    samples: int = 1
    agreement: float | None = None
    curve: Mapping[str, float | None] = field(default_factory=dict)
    prompts_shortened: int = 0
    split: str = ""
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Versions, and hashes of each task's rows and of the tokenizer."""

    versions: Mapping[str, str]
    data: Mapping[str, str]
    tokenizer: str | None


@dataclass(frozen=True, slots=True)
class Gathered:
    """A run as its report sees it; what the folder lacks is None or empty. A model that was only evaluated has no recipe."""

    name: str
    recipe_text: str
    recipe: AnyRecipe | None
    ledger: Ledger | None
    metrics: tuple[Step, ...]
    scores: tuple[ModelScore, ...]
    samples: tuple[Sample, ...]
    unanswered: tuple[Sample, ...]
    provenance: Provenance | None


def gather(run: Run) -> Gathered:
    """Reads the folder of a run; raises InputError for a file that is damaged or lacks what its kind needs."""
    recipe = None if run.scores.is_file() and not run.recipe.is_file() else load_any_recipe(run.recipe)
    # Of a pretraining run it speaks of documents, not of tasks.
    ledger = _json(run.ledger) if isinstance(recipe, Recipe) else None
    scores = _json(run.scores)
    provenance = _json(run.provenance)
    return Gathered(
        name=recipe.name if recipe else run.folder.resolve().name,
        recipe_text=run.recipe.read_text(encoding="utf-8") if recipe else "",
        recipe=recipe,
        ledger=None if ledger is None else _checked(run.ledger, Ledger, ledger),
        metrics=_checked(run.metrics, tuple[Step, ...], _lines(run.metrics)),
        scores=() if scores is None else _scores(run.scores, scores),
        samples=sample_generations(run.generations, SAMPLES),
        unanswered=unanswered_generations(run.generations, UNANSWERED),
        provenance=None if provenance is None else _provenance(run.provenance, provenance),
    )


def _json(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); restore it, or remove it to report the run without") from None


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return read_jsonl(path)
    except ValueError as error:
        raise InputError(f"{path}: a line is not valid JSON ({error}); repair or remove it") from None


def _checked(path: Path, kind: type[T], value: Any) -> T:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: `{where}`: {first['msg']}; write it anew with the command that made it, or remove it to report the run without") from None


def _scores(path: Path, value: Any) -> tuple[ModelScore, ...]:
    """Every score with its means in one mapping: they stand under `averages`, or beside the other keys."""
    found = _checked(path, list[dict[str, Any]], value.get("scores") if isinstance(value, dict) else value)
    whole = []
    for score in found:
        beside = {name: mean for name, mean in score.items() if name not in _NO_AVERAGES and (mean is None or isinstance(mean, float | int))}
        averages = {"average": score.get("average")} | beside | dict(score.get("averages") or {})
        whole.append(score | {"averages": averages})
    # A later score of the same model, benchmark and mode stands in the place of an earlier one.
    scores = _checked(path, tuple[ModelScore, ...], whole)
    return tuple({(score.model, score.benchmark, score.mode, score.split, score.samples): score for score in scores}.values())


def _provenance(path: Path, value: Any) -> Provenance:
    fields = _checked(path, dict[str, Any], value)
    versions = {name: text for name, text in fields.items() if name not in ("data", "tokenizer")}
    return _checked(path, Provenance, {"versions": versions, "data": fields.get("data", {}), "tokenizer": fields.get("tokenizer")})
