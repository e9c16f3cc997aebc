"""Whether a score is of a benchmark that also chose the checkpoint.

`checkpoints/best.json` names the step that was chosen and the benchmarks whose scores chose it. Such a score
is the highest of several, and too high for a held-out one. Another mode, decoding or number of exemplars asks
the same questions, so that it is marked too; another split asks others, and is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from openflan.evaluation.score_record import VARIANT, EvaluationScore, ScoreKey, stored_scores
from openflan.lock import locked
from openflan.run_folder import Run, read_json, write_json


def selecting_benchmarks(run: Run, label: str) -> frozenset[str]:
    """The benchmarks whose scores chose the model `label` (`step-N`, or `step-N@NAME` for a named variant of
    its evaluation) among the checkpoints of the run; empty for every other model."""
    recorded = read_json(run.checkpoints / "best.json")
    model = label.partition(VARIANT)[0]
    if not isinstance(recorded, dict) or model != f"step-{recorded.get('step')}":
        return frozenset()
    named = recorded.get("benchmarks", [recorded.get("metric")])
    names = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    # A recipe names a benchmark with its mode (`mgsm:cot`), and a task with its submixture (`mine/quiz`).
    return frozenset(name.partition(":")[0].replace("/", "-") for name in names)


def is_selected_on(run: Run, key: ScoreKey) -> bool:
    """True for a score of the chosen checkpoint on a benchmark that chose it. A benchmark is named with its
    split where that is not the usual one (`mmlu test`)."""
    return named_with_split(key.benchmark, key.split) in selecting_benchmarks(run, key.model)


def named_with_split(benchmark: str, split: str) -> str:
    """A benchmark as `best.json` names it."""
    return f"{benchmark} {split}" if split else benchmark


def names_of(scores: Iterable[EvaluationScore]) -> list[str]:
    """The benchmarks of scores that choose a checkpoint, as `best.json` names them."""
    return list(dict.fromkeys(named_with_split(score.key.benchmark, score.key.split) for score in scores))


def mark_scores(run: Run) -> None:
    """Marks the scores in the run's `scores.json` by what `best.json` says now, and unmarks all others: the
    choice changes while a run trains. Scores in the form of version 0.1 are left as they are."""
    with locked(run.locks / run.scores.name):
        stored = stored_scores(run.scores)
        marked = [
            value
            if "decoding" not in value or score.selected_on == is_selected_on(run, score.key)
            else replace(score, selected_on=not score.selected_on).to_json()
            for value, score in stored
        ]
        if marked != [value for value, _ in stored]:
            write_json(run.scores, {"scores": marked})
