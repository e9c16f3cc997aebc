"""`openflan evaluate RUN --watch`: the checkpoints of a run as they come, scored by a process of their
own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import typer

from openflan.errors import InputError
from openflan.evaluation.score_record import EvaluationScore
from openflan.run_folder import Run, find_run

PAUSE = 10.0
"""Seconds between looks at the run's folder."""


def watch_run(
    run: Run, evaluate: Callable[[str], Sequence[EvaluationScore]], checkpoint: str | None, as_json: bool
) -> None:
    """Calls `evaluate` with every checkpoint (`200`, in the end `last`) and records the best by the mean of
    its averages; returns when the run has ended.

    Raises InputError for something that is no run, and for options that ask for one thing only.
    """
    find_run(run.folder)
    if checkpoint or as_json:
        raise InputError(
            "--watch takes every checkpoint and prints as it goes: leave "
            f"{'--checkpoint' if checkpoint else '--json'} out"
        )
    from openflan.training.best_checkpoint import name_best

    for step in arriving(run, time.sleep):
        try:
            scores = evaluate(step)
        except InputError as error:
            if step == "last" or (run.checkpoints / f"step-{step}").is_dir():
                raise
            typer.echo(f"{error}; it was removed meanwhile", err=True)
            continue
        if step != "last":
            name_best(run.checkpoints, int(step), "mean", _mean(scores))


def arriving(run: Run, pause: Callable[[float], None]) -> Iterator[str]:
    """The steps of finished checkpoints, each once, and `last` when the model is exported."""
    seen: set[int] = set()
    while True:
        # Asked first: what is written after this look is found by the next.
        ended = run.model.is_dir()
        numbers = (
            path.parent.name.removeprefix("step-") for path in run.checkpoints.glob("step-*/state.json")
        )
        new = sorted({int(number) for number in numbers if number.isdigit()} - seen)
        yield from map(str, new)
        seen.update(new)
        if ended:
            yield "last"
            return
        if not new:
            pause(PAUSE)


def _mean(scores: Sequence[EvaluationScore]) -> float:
    """The mean of what was asked now: the folder may hold scores of other benchmarks, or of another
    decoding."""
    averages = [score.average for score in scores if score.average is not None]
    return fmean(averages) if averages else float("-inf")
