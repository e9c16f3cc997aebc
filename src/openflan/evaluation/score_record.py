"""A model's score on a benchmark, and its form in a run folder (`scores.json`).

A score is identified by its key: model, benchmark, mode, split, number of exemplars and decoding. Scores that
differ in any of them are kept side by side. Averages have a key of their own, `averages`, and are not mixed
with other values. The form of version 0.1, where they were mixed, is still read (`scores_0_1.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from openflan.errors import InputError
from openflan.evaluation.bits_per_byte import GoldLikelihood
from openflan.evaluation.decoding import GREEDY, Decoding
from openflan.evaluation.saved_answers import ThinkingCounts
from openflan.evaluation.scores_0_1 import is_0_1, upgraded
from openflan.evaluation.statistics import TaskScore
from openflan.evaluation.wording_sensitivity import WordingSensitivity
from openflan.frames import frame_of

if TYPE_CHECKING:
    from pandas import DataFrame

SELECTED_ON = "selected on"
"""The mark of a score on a benchmark that also chose the checkpoint."""


@dataclass(frozen=True, slots=True)
class ScoreKey:
    """The key of a score in a run folder.

    `split` is empty for the benchmark's usual one. `shots` is the number of exemplars that was requested (a
    prompt that is too long may have fewer), None if unknown.
    """

    model: str
    benchmark: str
    mode: str
    split: str = ""
    shots: int | None = None
    decoding: Decoding = GREEDY

    def of_model(self, model: str) -> ScoreKey:
        """This key with another model."""
        return replace(self, model=model)


VARIANT = "@"
"""Stands between a model's label and the name that a user gives to a variant of its evaluation:
`final@short`."""

_VARIANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")


def labelled(model: str, name: str | None) -> str:
    """The label of a model's variant that a user calls `name`; the model's own without one. Raises InputError
    for a name that no file could have."""
    if name is None:
        return model
    if not _VARIANT_NAME.fullmatch(name):
        raise InputError(
            f"`--label {name}`: expected letters, digits, `_`, `.` and `-`, a letter or digit first"
        )
    return f"{model}{VARIANT}{name}"


@dataclass(frozen=True, slots=True)
class Interval:
    """The uncertainty of a mean: its 95 % interval in percent, the number of questions, and how many are
    independent."""

    ci95: tuple[float, float]
    n: int
    stderr: float | None = None
    clusters: int | None = None


@dataclass(frozen=True, slots=True)
class RecordedOptions:
    """The options of an evaluation that its key does not name; None where none was given or recorded.

    `benchmark` is the name that the command line takes, where it is not the benchmark's own (`mine/*`,
    `capitals.yaml`). `limit` counts the questions of a task, `subset` names tasks, `max_tokens`,
    `thinking_tokens` and `context` are in tokens. `metric` replaced the tasks' own; `wordings` is `all` where
    every question was asked with each wording.
    """

    benchmark: str | None = None
    limit: int | None = None
    subset: tuple[str, ...] | None = None
    max_tokens: int | None = None
    thinking_tokens: int | None = None
    context: int | None = None
    metric: str | None = None
    wordings: str | None = None
    chat: bool = False
    dtype: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluationScore:
    """A model's score on a benchmark, in percent and unrounded.

    `averages` has the headline `average` first, None where no task of a mean was answered; `intervals` are
    theirs, by the same names. `normalized` is the headline's tasks with chance at 0. `partial` says that
    questions are missing (`missing`) or there twice (`duplicates`). If questions were answered several times,
    `curve` is the average by number of samples, and `agreement` the share of samples that gave the answer.
    `thinking` counts thinking blocks, None if no generation has one.
    `exemplars` is the mean number in a prompt. `exemplars_dropped` and `prompts_shortened` count what did not
    fit. `exemplar_from_dev` names tasks one row of which is the exemplar. `usual_shots` is the benchmark's
    own number of exemplars, None where it is not known.

    `selected_on` says that the checkpoint was chosen by its score on this benchmark, so that the score is too
    high for a held-out one. `signatures` name library, version and settings of metrics that a library
    computed. `gold` are the bits per byte of the right answers, where their log-probabilities were computed.
    `wordings` is the effect of the wording by task, where the questions were asked with all of them.
    """

    key: ScoreKey
    averages: Mapping[str, float | None]
    tasks: Mapping[str, TaskScore] = field(default_factory=dict)
    normalized: float | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    partial: bool = False
    missing: int = 0
    duplicates: int = 0
    agreement: float | None = None
    curve: Mapping[str, float | None] = field(default_factory=dict)
    exemplars: float | None = None
    exemplars_dropped: int = 0
    prompts_shortened: int = 0
    exemplar_from_dev: tuple[str, ...] = ()
    selected_on: bool = False
    signatures: Mapping[str, str] = field(default_factory=dict)
    gold: GoldLikelihood | None = None
    wordings: Mapping[str, WordingSensitivity] = field(default_factory=dict)
    prompt_version: str | None = None
    prompt_hash: str | None = None
    usual_shots: int | None = None
    thinking: ThinkingCounts | None = None
    options: RecordedOptions = field(default_factory=RecordedOptions)

    @property
    def average(self) -> float | None:
        """The headline."""
        return self.averages.get("average")

    @property
    def at_usual_shots(self) -> bool:
        """True if the benchmark's own number of exemplars was requested; an unknown number counts as that."""
        return self.key.shots is None or self.key.shots == self.usual_shots

    @property
    def variant(self) -> str:
        """Mode, and split, exemplars and decoding where they are not the usual ones, as tables show them."""
        shots = "" if self.at_usual_shots else f"{self.key.shots}-shot"
        return " ".join(
            part for part in (self.key.mode, self.key.split, shots, self.key.decoding.described) if part
        )

    @property
    def named(self) -> str:
        """The benchmark with its variant."""
        return f"{self.key.benchmark} {self.variant}"

    @property
    def marked(self) -> str:
        """`named`, marked where the benchmark also chose the checkpoint."""
        return self.named + (f" ({SELECTED_ON})" if self.selected_on else "")

    def to_json(self) -> dict[str, Any]:
        """The form of `scores.json`; `from_json` is its inverse."""
        value = asdict(self)
        if self.thinking is None:
            del value["thinking"]
        return {
            **value.pop("key"),
            **value,
            "tasks": {name: task.to_json() for name, task in self.tasks.items()},
            "options": {
                name: option for name, option in value["options"].items() if option not in (None, False)
            },
        }

    def to_frame(self) -> DataFrame:
        """One line for each average (`kind` is `average`) and each task (`kind` is `task`), in percent.

        Every line has the columns `model`, `benchmark`, `mode`, `split`, `shots` and `decoding` of the key.
        Then follow `kind`, `name`, `value` (the average, or the task's own measure), `n`, `stderr`,
        `ci95_low` and `ci95_high`. Frames of several scores can be concatenated. Raises SetupError if pandas
        is not installed.
        """
        key = {name: getattr(self.key, name) for name in ("model", "benchmark", "mode", "split", "shots")}
        key["decoding"] = self.key.decoding.described or self.key.decoding.kind
        averages = [
            _line("average", name, value, self.intervals.get(name)) for name, value in self.averages.items()
        ]
        tasks = [
            _line("task", name, task.accuracy if task.value is None else task.value, task)
            for name, task in self.tasks.items()
        ]
        return frame_of([key | line for line in (*averages, *tasks)])

    @classmethod
    def from_json(cls, value: Any) -> EvaluationScore:
        """A score from its form in `scores.json`, also that of version 0.1; keys that are not known are
        passed over.

        Raises InputError, naming the key, for anything else.
        """
        if not isinstance(value, Mapping):
            raise InputError(f"a score is a {type(value).__name__}, expected an object")
        fields = upgraded(value) if is_0_1(value) else value
        if "options" not in fields and "asked" in fields:  # the key's name before 0.2
            fields = {**fields, "options": fields["asked"]}
        key = {name: fields[name] for name in ScoreKey.__slots__ if name in fields}
        try:
            return _SCORE.validate_python({**fields, "key": key})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            keys = [str(part) for part in first["loc"]]
            raise InputError(
                f"`{'.'.join(keys[1:] if keys[:1] == ['key'] else keys)}`: {first['msg']}"
            ) from None


def _line(
    kind: str, name: str, value: float | None, uncertainty: Interval | TaskScore | None
) -> dict[str, Any]:
    """A line of `EvaluationScore.to_frame`, without the key."""
    low, high = (uncertainty.ci95 if uncertainty else None) or (None, None)
    return {
        "kind": kind,
        "name": name,
        "value": value,
        "n": uncertainty.n if uncertainty else None,
        "stderr": uncertainty.stderr if uncertainty else None,
        "ci95_low": low,
        "ci95_high": high,
    }


_SCORE: TypeAdapter[EvaluationScore] = TypeAdapter(EvaluationScore)


def read_scores(path: Path) -> tuple[EvaluationScore, ...]:
    """The scores of a run folder's `scores.json`, none if there is no such file; of two with one key the
    later counts.

    Raises InputError naming file and key for a file that is damaged.
    """
    scores = (score for _, score in stored_scores(path))
    return tuple({score.key: score for score in scores}.values())


def stored_scores(path: Path) -> list[tuple[dict[str, Any], EvaluationScore]]:
    """The file's scores as they stand there and as they are read, in its order; raises InputError as
    `read_scores` does."""
    if not path.is_file():
        return []
    remedy = "write it anew with `openflan evaluate`, or remove it to report the run without"
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); restore it, or {remedy}") from None
    scores = value.get("scores") if isinstance(value, dict) else value
    if not isinstance(scores, list):
        raise InputError(f"{path}: `scores`: should be a valid list; {remedy}")
    stored = []
    for score_index, score in enumerate(scores):
        try:
            stored.append((score, EvaluationScore.from_json(score)))
        except InputError as error:
            problem = str(error).replace("`", f"`{score_index}.", 1)
            raise InputError(f"{path}: {problem}; {remedy}") from None
    return stored
