"""What a run folder holds, read once and checked; everything after this is pure.

Any part may be absent: a run that was only finetuned has no scores, and its report says so; a model that was
only evaluated has nothing else. Files are checked against the shapes below; keys beyond them are ignored, so
that files may grow. Price: what a file says beyond these shapes cannot appear in a report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from openflan.errors import InputError
from openflan.evaluation.score_record import EvaluationScore, read_scores
from openflan.evaluation.selected_on import is_selected_on
from openflan.recipe.load_recipe import load_any_recipe
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.schema import Recipe
from openflan.reports.samples import Sample, sample_generations, unanswered_generations
from openflan.run_folder import Run, read_json, read_jsonl

SAMPLES = 10
"""Generations shown in a report."""

UNANSWERED = 5
"""Generations without an answer shown in a report: whether the model or the extraction failed is for people
to see."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """A line of metrics.jsonl. `loss` is in nats a target token, `fill` a share of the packed capacity;
    `seconds` include the wait for data.

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
    """What the mixture gives a task: `share` of all examples, and `epochs` over its rows."""

    task: str
    submixture: str
    category: str
    rows: int
    cap: int | None
    share: float
    epochs: float


@dataclass(frozen=True, slots=True)
class SubmixtureShare:
    """What the mixture gives a submixture: `share` of all examples."""

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
    """The contents of ledger.json that a report shows."""

    examples: int
    submixtures: tuple[SubmixtureShare, ...]
    tasks: tuple[TaskShare, ...]
    measured: Measured


@dataclass(frozen=True, slots=True)
class Provenance:
    """Versions, and hashes of each task's rows and of the tokenizer."""

    versions: Mapping[str, str]
    data: Mapping[str, str]
    tokenizer: str | None


@dataclass(frozen=True, slots=True)
class Gain:
    """The headline of a quickstart (summary.json): the gain over the base, normalized by chance, mean of the
    groups, in points, with its 95 % interval."""

    normalized: float
    ci95: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """A run as its report sees it; what the folder lacks is None or empty. A model that was only evaluated
    has no recipe."""

    name: str
    recipe_text: str
    recipe: AnyRecipe | None
    ledger: Ledger | None
    metrics: tuple[Step, ...]
    scores: tuple[EvaluationScore, ...]
    gain: Gain | None
    samples: tuple[Sample, ...]
    unanswered: tuple[Sample, ...]
    provenance: Provenance | None


def gather(run: Run) -> Gathered:
    """Reads the folder of a run; raises InputError for a file that is damaged or lacks what its kind
    needs."""
    recipe = None if run.scores.is_file() and not run.recipe.is_file() else load_any_recipe(run.recipe)
    # Of a pretraining run it speaks of documents, not of tasks.
    ledger = read_json(run.ledger) if isinstance(recipe, Recipe) else None
    provenance = read_json(run.provenance)
    summary = read_json(run.summary)
    return Gathered(
        name=recipe.name if recipe else run.folder.resolve().name,
        recipe_text=run.recipe.read_text(encoding="utf-8") if recipe else "",
        recipe=recipe,
        ledger=None if ledger is None else _checked(run.ledger, Ledger, _with_epochs(ledger)),
        metrics=_checked(run.metrics, tuple[Step, ...], read_jsonl(run.metrics)),
        # The checkpoint may have been chosen after the score was written.
        scores=tuple(
            replace(score, selected_on=score.selected_on or is_selected_on(run, score.key))
            for score in read_scores(run.scores)
        ),
        gain=None
        if summary is None
        else _checked(run.summary, Gain, summary.get("gain") if isinstance(summary, dict) else summary),
        samples=sample_generations(run.generations, SAMPLES),
        unanswered=unanswered_generations(run.generations, UNANSWERED),
        provenance=None if provenance is None else _provenance(run.provenance, provenance),
    )


def _with_epochs(ledger: Any) -> Any:
    """Return the values of a ledger.json with `epochs` in its rows, which version 0.1 called `passes`."""
    if not isinstance(ledger, dict):
        return ledger
    return {
        name: [_row_with_epochs(row) for row in value] if isinstance(value, list) else value
        for name, value in ledger.items()
    }


def _row_with_epochs(row: Any) -> Any:
    if not isinstance(row, dict) or "passes" not in row:
        return row
    return {"epochs": row["passes"]} | {name: value for name, value in row.items() if name != "passes"}


def _checked(path: Path, kind: type[T], value: Any) -> T:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path}: `{key}`: {first['msg']}; write it anew with the command that made it, or remove "
            "it to report the run without"
        ) from None


def _provenance(path: Path, value: Any) -> Provenance:
    fields = _checked(path, dict[str, Any], value)
    versions = {
        name: fields[name] for name in ("openflan", "python", "torch", "transformers") if name in fields
    }
    return _checked(
        path,
        Provenance,
        {"versions": versions, "data": fields.get("data", {}), "tokenizer": fields.get("tokenizer")},
    )
