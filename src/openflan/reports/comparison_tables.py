"""The tables of a report that compare models: before and after finetuning, and along training. Pure.

The two models of a comparison must have answered the same questions with the same prompts; elsewhere the
difference is left out, as it would be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from openflan.evaluation.bits_per_byte import GOLD
from openflan.evaluation.decoding import GREEDY
from openflan.evaluation.score_record import SELECTED_ON, EvaluationScore, ScoreKey
from openflan.reports.gather import Gain, Gathered
from openflan.reports.table import Cell, Table


@dataclass(frozen=True, slots=True)
class Headline:
    """A benchmark's average before and after finetuning, in percent; `difference` is None where the two
    cannot be compared."""

    benchmark: str
    mode: str
    before: float | None
    after: float | None
    difference: float | None
    partial: bool


def headlines(gathered: Gathered) -> list[Headline]:
    """Return one headline for each benchmark and mode that the base or the final model was evaluated on."""
    lines = []
    for models in _by_benchmark(gathered.scores).values():
        before, after = models.get("base"), models.get("final")
        known = after or before
        if known:
            first, last = (score.average if score else None for score in (before, after))
            partial = any(score.partial for score in (before, after) if score)
            difference = _difference(first, last, _same_questions(before, after))
            lines.append(Headline(known.key.benchmark, known.variant, first, last, difference, partial))
    return lines


def gain(gathered: Gathered) -> tuple[str, Gain] | None:
    """Return the one figure that summarises a run, and what it is the mean over: the gain over the base,
    normalized by chance.

    For a quickstart it is the gain over its groups. For other runs it is the mean over the benchmarks on
    which both models were evaluated greedily with the usual exemplars. Returns None if there is none.
    """
    if gathered.gain:
        return "groups", gathered.gain
    differences = []
    for key, models in _by_benchmark(gathered.scores).items():
        base, final = models.get("base"), models.get("final")
        if (
            base
            and final
            and key.decoding == GREEDY
            and not key.split
            and final.at_usual_shots
            and _same_questions(base, final)
        ):
            difference = _difference(base.normalized, final.normalized, same=True)
            differences += [] if difference is None else [difference]
    if not differences:
        return None
    over = "tasks" if len(differences) == 1 else f"{len(differences)} benchmarks"
    return over, Gain(fmean(differences), None)


def before_after(gathered: Gathered) -> list[Table]:
    """Return one table for each benchmark and mode: averages first, then tasks. Random weights get a column
    if they were evaluated."""
    tables = []
    for models in _by_benchmark(gathered.scores).values():
        base, final = models.get("base"), models.get("final")
        compared = [
            name for name in ("random-init", "base", "final") if name != "random-init" or name in models
        ]
        present = [models[name] for name in ("final", "base", "random-init") if name in models]
        if not present:
            continue
        rows: list[tuple[Cell, ...]] = []
        for label, means in _means(present):
            difference = _difference(means.get("base"), means.get("final"), _same_questions(base, final))
            rows.append((label, None, None, *(means.get(name) for name in compared), difference, None, None))
        for task in dict.fromkeys(name for score in present for name in score.tasks):
            results = {score.key.model: score.tasks[task] for score in present if task in score.tasks}
            first, accuracies = (
                next(iter(results.values())),
                {name: result.accuracy for name, result in results.items()},
            )
            same = (
                _same_prompts(base, final)
                and len({results[name].n for name in ("base", "final") if name in results}) == 1
            )
            low, high = (results["final"].ci95 if "final" in results else None) or (None, None)
            difference = _difference(accuracies.get("base"), accuracies.get("final"), same)
            rows.append(
                (
                    task,
                    first.n,
                    first.chance,
                    *(accuracies.get(name) for name in compared),
                    difference,
                    low,
                    high,
                )
            )
        columns = (
            "task",
            "n",
            "chance %",
            *(f"{name} %" for name in compared),
            "difference",
            "95% from",
            "95% to",
        )
        benchmark, variant = present[0].key.benchmark, present[0].variant
        title, note = f"{benchmark}, {variant}: before and after", _comparison_note(present, base, final)
        tables.append(
            Table(f"{benchmark} {variant}", title, columns, tuple(rows), note, averages=len(_means(present)))
        )
    return tables


def by_checkpoint(gathered: Gathered) -> Table | None:
    """Return the averages along training, or None if no checkpoint was evaluated."""
    benchmarks = _by_benchmark(gathered.scores)
    evaluated = {score.key.model for score in gathered.scores}
    steps = {model for model in evaluated if _step(model) is not None}
    if not steps:
        return None
    order = ["random-init", "base", *sorted(steps, key=lambda model: _step(model) or 0), "final"]
    models = [model for model in order if model in evaluated]
    rows = tuple(
        (model, *(scores[model].average if model in scores else None for scores in benchmarks.values()))
        for model in models
    )
    names = [next(iter(scores.values())).named for scores in benchmarks.values()]
    marked = [
        score.key.model + " on " + score.named
        for of in benchmarks.values()
        for score in of.values()
        if score.selected_on
    ]
    note = (
        f"Checkpoints that the benchmark itself chose ({SELECTED_ON}): {', '.join(marked)}." if marked else ""
    )
    columns = ("model", *(f"{name} %" for name in names))
    return Table("checkpoints", "Averages along training", columns, rows, note)


def _by_benchmark(scores: Iterable[EvaluationScore]) -> dict[ScoreKey, dict[str, EvaluationScore]]:
    """Return the scores by key without model, then by model: those under one key are comparable."""
    scores_by_key: dict[ScoreKey, dict[str, EvaluationScore]] = {}
    for score in scores:
        if score.key.decoding.likelihood == GOLD:
            continue  # it has no accuracy, and a table of its own
        scores_by_key.setdefault(score.key.of_model(""), {})[score.key.model] = score
    return scores_by_key


def _means(scores: Sequence[EvaluationScore]) -> list[tuple[str, dict[str, float | None]]]:
    """Return the averages of the models by label: the headline first, its normalized form second."""
    names = dict.fromkeys(["average", *(name for score in scores for name in score.averages)])
    rows = [
        (
            name if name == "average" else f"average: {name}",
            {score.key.model: score.averages.get(name) for score in scores},
        )
        for name in names
    ]
    if any(score.normalized is not None for score in scores):
        rows.insert(1, ("normalized average", {score.key.model: score.normalized for score in scores}))
    return rows


def _difference(before: float | None, after: float | None, same: bool) -> float | None:
    return after - before if same and before is not None and after is not None else None


def _same_prompts(base: EvaluationScore | None, final: EvaluationScore | None) -> bool:
    return base is not None and final is not None and base.prompt_version == final.prompt_version


def _same_questions(base: EvaluationScore | None, final: EvaluationScore | None) -> bool:
    if base is None or final is None or not _same_prompts(base, final):
        return False
    return {name: task.n for name, task in base.tasks.items()} == {
        name: task.n for name, task in final.tasks.items()
    }


def _comparison_note(
    present: Sequence[EvaluationScore], base: EvaluationScore | None, final: EvaluationScore | None
) -> str:
    notes = [
        (
            "The average is the plain mean of the tasks' scores. In the normalized average, chance is 0 and "
            "all right is 100 in every task."
        )
    ]
    notes += (
        ["The interval belongs to the accuracy of the final model."]
        if final and any(task.ci95 for task in final.tasks.values())
        else []
    )
    if any(score.partial for score in present):
        notes.append("Only some of the questions were evaluated.")
    if base and final and not _same_prompts(base, final):
        notes.append("The two models had different prompts, so the difference is left out.")
    elif base and final and not _same_questions(base, final):
        notes.append(
            "The difference is left out where the two models answered different numbers of questions; n is "
            "the number of the final model."
        )
    notes += [
        f"The {name} model was not evaluated."
        for name, score in (("base", base), ("final", final))
        if score is None
    ]
    return " ".join(notes)


def _step(model: str) -> int | None:
    digits = model.removeprefix("step-")
    return int(digits) if digits != model and digits.isdigit() else None
