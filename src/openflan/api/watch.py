"""Evaluates the checkpoints of a run while it trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

from openflan.errors import InputError
from openflan.evaluation.score_record import EvaluationScore
from openflan.evaluation.selected_on import mark_scores, names_of
from openflan.run_folder import Run, find_run

PAUSE = 10.0
"""Seconds between two readings of the run folder."""


def watch_run(
    run: Run,
    evaluate: Callable[[str], Sequence[EvaluationScore]],
    notice: Callable[[str], None] = lambda text: None,
) -> None:
    """Calls `evaluate` with every checkpoint as it appears (`200`, at the end `last`), and records the one
    with the best mean of averages; returns when the run has ended.

    `notice` gets a line for a checkpoint that was removed before it was evaluated. Raises InputError for a
    folder that is not a run, and what `evaluate` raises.
    """
    find_run(run.folder)
    from openflan.training.best_checkpoint import MEAN, name_best

    for step in new_checkpoints(run, time.sleep):
        try:
            scores = evaluate(step)
        except InputError as error:
            if step == "last" or (run.checkpoints / f"step-{step}").is_dir():
                raise
            notice(f"{error}; it was removed meanwhile")
            continue
        if step != "last":
            name_best(run.checkpoints, int(step), MEAN, _mean(scores), names_of(scores))
            # An earlier step may have been the best until now.
            mark_scores(run)


def new_checkpoints(run: Run, pause: Callable[[float], None]) -> Iterator[str]:
    """The steps of finished checkpoints, each once, and `last` when the model is exported."""
    known_steps: set[int] = set()
    while True:
        # Read first: what is written after this line is found in the next round.
        has_ended = run.model.is_dir()
        steps = (path.parent.name.removeprefix("step-") for path in run.checkpoints.glob("step-*/state.json"))
        new = sorted({int(step) for step in steps if step.isdigit()} - known_steps)
        yield from map(str, new)
        known_steps.update(new)
        if has_ended:
            yield "last"
            return
        if not new:
            pause(PAUSE)


def _mean(scores: Sequence[EvaluationScore]) -> float:
    """The mean of the averages of these scores alone: the run folder may hold scores of other benchmarks, or
    of another decoding."""
    averages = [score.average for score in scores if score.average is not None]
    return fmean(averages) if averages else float("-inf")
