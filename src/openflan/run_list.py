"""The runs and evaluated models below a folder: how far each is, its best score, and its sizes.

A run is a folder with a recipe, an evaluated model one with scores or generations alone. Nothing is loaded
or changed. A damaged file of one run does not hide the others: what cannot be read is left empty, and the
run's state says which file is damaged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.evaluation.score_record import EvaluationScore, read_scores
from openflan.lock import is_held
from openflan.run_folder import Run
from openflan.yaml_files import read_yaml

_TAIL = 1 << 16
"""Bytes at the end of the metrics that are read."""

_DEEPEST = 4
"""Folders below the named one that are looked into."""

FINISHED, NOT_STARTED = "finished", "not started"
RUNNING, EVALUATING, EVALUATED = "running", "being evaluated", "evaluated"


@dataclass(frozen=True, slots=True)
class ListedScore:
    """A score in percent: the model's label, the benchmark with its variant, and whether questions are
    missing."""

    model: str
    benchmark: str
    average: float
    partial: bool


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run folder as it stands.

    `state` is `finished` (the model is exported), `running` (a process trains it now), `being evaluated`,
    `stopped at step N` (its newest checkpoint, 0 if there is none), `not started` (a recipe or a build
    alone), `evaluated` (scores of a model that lies elsewhere), or `damaged: FILE`. `step` is the last one
    that was logged or saved, `steps` how many the recipe wants; None where nothing is trained. `best` is the
    highest average, of complete evaluations if there are any. Sizes are in bytes: of the whole folder, the
    exported model, and the checkpoints.
    """

    folder: Path
    state: str
    step: int | None
    steps: int | None
    best: ListedScore | None
    size: int
    model_size: int
    checkpoints_size: int

    def to_json(self) -> dict[str, Any]:
        best = self.best and {name: getattr(self.best, name) for name in ListedScore.__slots__}
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "folder": self.folder.as_posix(),
            "best": best,
        }


def list_runs(folder: Path) -> list[ListedRun]:
    """The runs in a folder, or the folder itself if it is one, sorted by path. Raises InputError if there is
    no such folder."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the one that holds your runs")
    return [_listed(Run(path)) for path in _run_folders(folder, _DEEPEST)]


def _run_folders(folder: Path, deepest: int) -> Iterator[Path]:
    """Folders that are runs; what lies in a run belongs to it."""
    run = Run(folder)
    if run.recipe.is_file() or run.scores.is_file() or run.generations.is_dir():
        yield folder
        return
    if not deepest:
        return
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return
    for path in inside:
        if not path.name.startswith("."):
            yield from _run_folders(path, deepest - 1)


def _listed(run: Run) -> ListedRun:
    damaged: list[str] = []

    def whole(read: Any, otherwise: Any) -> Any:
        try:
            return read()
        except InputError as error:
            damaged.append(str(error).partition(":")[0])
            return otherwise

    recipe = whole(lambda: read_yaml(run.recipe), None) if run.recipe.is_file() else None
    newest = max(_checkpoints(run), default=0)
    logged = whole(lambda: _last_logged(run), 0)
    scores = whole(lambda: read_scores(run.scores), ())
    trains = recipe is not None
    steps = _steps(recipe)
    state = _state(run, newest) if trains else _at_work(run) or EVALUATED
    step = max(newest, logged) if trains else None
    if state == FINISHED and step == 0:
        step = steps
    return ListedRun(
        run.folder,
        f"damaged: {damaged[0]}" if damaged else state,
        step,
        steps,
        best_of(scores),
        size_of(run.folder),
        size_of(run.model),
        size_of(run.checkpoints),
    )


def best_of(scores: tuple[EvaluationScore, ...]) -> ListedScore | None:
    """The highest average, of complete evaluations if there are any; None without a score."""
    averages = [
        ListedScore(score.key.model, score.named, score.average, score.partial)
        for score in scores
        if score.average is not None
    ]
    return max(averages, key=lambda one: (not one.partial, one.average), default=None)


def size_of(path: Path) -> int:
    """The bytes of all files below a path; links count as nothing. 0 if there is no such path."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:  # removed meanwhile
                continue
            total += status.st_size
    return total


def _state(run: Run, newest: int) -> str:
    if at_work := _at_work(run):
        return at_work
    if run.model.is_dir():
        return FINISHED
    has_begun = newest > 0 or run.metrics.is_file()
    return f"stopped at step {newest}" if has_begun else NOT_STARTED


def _at_work(run: Run) -> str | None:
    """What a process does in the run folder now, by the locks that are held: it trains, or evaluates a model;
    None if there is none."""
    held = [path for path in run.locks.rglob("*") if path.is_file() and is_held(path)]
    if not held:
        return None
    return RUNNING if run.locks / "training" in held else EVALUATING


def _checkpoints(run: Run) -> list[int]:
    """The steps of whole checkpoints."""
    names = (path.parent.name.removeprefix("step-") for path in run.checkpoints.glob("step-*/state.json"))
    return [int(name) for name in names if name.isdigit()]


def _last_logged(run: Run) -> int:
    """The step of the last whole line of the metrics, 0 without one."""
    if not run.metrics.is_file():
        return 0
    with run.metrics.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        lines = file.read().split(b"\n")
    for line in reversed(lines):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        step = value.get("step") if isinstance(value, dict) else None
        if isinstance(step, int):
            return step
    return 0


def _steps(recipe: Any) -> int | None:
    """The number of steps that a recipe wants. The file is read as it stands, because the data that it names
    may be gone."""
    training = recipe.get("training") if isinstance(recipe, dict) else None
    steps = training.get("steps") if isinstance(training, dict) else None
    return steps if isinstance(steps, int) else None
