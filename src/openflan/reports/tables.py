"""The tables of a report, the same for terminal, HTML and JSON. Pure.

Cells are raw values: numbers stay numbers, None is what is not known. Accuracies, shares and differences are
in percent. The two models of a comparison must have answered the same questions with the same prompts;
elsewhere the difference is left out rather than wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from openflan.evaluation.decoding import GREEDY
from openflan.evaluation.score_record import EvaluationScore, ScoreKey
from openflan.reports.gather import Gain, Gathered, Step
from openflan.reports.results import by_task, results, suite
from openflan.reports.table import Cell as Cell
from openflan.reports.table import Table as Table

LOSSES = 10
"""Rows of the loss table."""

ABSENT = {
    "scores": "No scores: no model of this run has been evaluated.",
    "samples": "No generations: no model of this run has been evaluated.",
    "metrics": "No training metrics: no step has been made.",
    "ledger": "No ledger: the mixture of this run has not been measured.",
    "provenance": "No provenance: the run has not been started.",
}
"""What stands in the place of a part that the folder lacks."""


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


def all_tables(gathered: Gathered) -> list[Table]:
    """Every table for which the run has data, in the order of the report."""
    tables = [
        *before_after(gathered),
        by_checkpoint(gathered),
        *scores(gathered),
        training(gathered),
        loss(gathered),
    ]
    return [
        table
        for table in [*tables, submixtures(gathered), tasks(gathered), formats(gathered), counts(gathered)]
        if table is not None
    ]


def scores(gathered: Gathered) -> list[Table]:
    """How good each figure is: averages, suite averages, and the final model by task."""
    return [table for table in (results(gathered), suite(gathered), *by_task(gathered)) if table is not None]


def absent(gathered: Gathered) -> list[str]:
    """A sentence for each part that the run lacks."""
    expected = ABSENT if gathered.recipe else ("scores", "samples")
    return [ABSENT[part] for part in expected if not getattr(gathered, part)]


def headlines(gathered: Gathered) -> list[Headline]:
    """One a benchmark and mode that the base or the final model has answered."""
    found = []
    for models in _by_benchmark(gathered.scores).values():
        before, after = models.get("base"), models.get("final")
        asked = after or before
        if asked:
            first, last = (score.average if score else None for score in (before, after))
            partial = any(score.partial for score in (before, after) if score)
            difference = _difference(first, last, _same_questions(before, after))
            found.append(Headline(asked.key.benchmark, asked.variant, first, last, difference, partial))
    return found


def gain(gathered: Gathered) -> tuple[str, Gain] | None:
    """The one figure that sums a run up, and over what it is the mean: the gain over the base, normalized by
    chance.

    It is that of a quickstart's groups, else the mean over the benchmarks that both models answered alike
    (greedily, with the usual exemplars); None where there is none.
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
    """One table a benchmark and mode: averages first, then tasks. A column for random weights if they were
    evaluated."""
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
    """Averages along training, if checkpoints were evaluated."""
    benchmarks = _by_benchmark(gathered.scores)
    evaluated = {score.key.model for score in gathered.scores}
    steps = {model for model in evaluated if _step(model) is not None}
    if not steps:
        return None
    order = ["random-init", "base", *sorted(steps, key=lambda model: _step(model) or 0), "final"]
    models = [model for model in order if model in evaluated]
    rows = tuple(
        (model, *(found[model].average if model in found else None for found in benchmarks.values()))
        for model in models
    )
    names = [next(iter(found.values())).named for found in benchmarks.values()]
    return Table("checkpoints", "Averages along training", ("model", *(f"{name} %" for name in names)), rows)


def training(gathered: Gathered) -> Table | None:
    """Loss at both ends, and how fast and how full the steps were."""
    steps = gathered.metrics
    if not steps:
        return None
    tenth, seconds = max(1, len(steps) // 10), sum(step.seconds for step in steps)
    tokens = sum(step.tokens for step in steps)
    rows: tuple[tuple[str, Cell], ...] = (
        ("steps", steps[-1].step),
        ("examples", sum(step.examples for step in steps)),
        ("tokens", tokens),
        ("loss, first tenth of the steps (nats a target token)", fmean(step.loss for step in steps[:tenth])),
        ("loss, last tenth of the steps (nats a target token)", fmean(step.loss for step in steps[-tenth:])),
        ("tokens a second", tokens / seconds if seconds else None),
        ("packed rows filled, %", 100 * fmean(step.fill for step in steps)),
        (
            "time spent waiting for data, %",
            100 * sum(step.waiting_seconds for step in steps) / seconds if seconds else None,
        ),
    )
    return Table("training", "Training", ("measure", "value"), rows)


def loss(gathered: Gathered) -> Table | None:
    """The loss at evenly spaced steps, and its running mean there."""
    steps = gathered.metrics
    if not steps:
        return None
    over, last = window(steps), len(steps) - 1
    means = running_mean([step.loss for step in steps], over)
    places = sorted({round(place * last / (LOSSES - 1)) for place in range(LOSSES)})
    rows = tuple((steps[place].step, steps[place].loss, means[place]) for place in places)
    note = "" if over == 1 else f"The mean is that of the last {over} steps."
    return Table("loss", "Loss, nats a target token", ("step", "loss", "running mean"), rows, note)


def submixtures(gathered: Gathered) -> Table | None:
    """What the mixture gives each submixture."""
    if gathered.ledger is None:
        return None
    rows = tuple(
        (one.submixture, one.tasks, one.rows, 100 * one.share) for one in gathered.ledger.submixtures
    )
    return Table(
        "submixtures",
        f"Submixtures of {gathered.ledger.examples:,} examples",
        ("submixture", "tasks", "rows", "share %"),
        rows,
    )


def tasks(gathered: Gathered) -> Table | None:
    """What the mixture gives each task."""
    if gathered.ledger is None:
        return None
    rows = tuple(
        (task.task, task.category, task.rows, task.cap, 100 * task.share, task.epochs)
        for task in gathered.ledger.tasks
    )
    note = "In one epoch, every row of the task is seen once."
    return Table(
        "tasks",
        f"Mixture: {len(rows):,} tasks",
        ("task", "category", "rows", "cap", "share %", "epochs"),
        rows,
        note,
    )


def formats(gathered: Gathered) -> Table | None:
    """How often each format occurs among the examples that the ledger measured."""
    if gathered.ledger is None:
        return None
    measured = gathered.ledger.measured
    rows = tuple(
        (name, number, 100 * number / measured.examples if measured.examples else None)
        for name, number in measured.formats.items()
    )
    return Table(
        "formats",
        f"Formats of the first {measured.examples:,} examples",
        ("format", "examples", "share %"),
        rows,
    )


def counts(gathered: Gathered) -> Table | None:
    """All that was truncated, pruned, dropped or did not fit, in training and in evaluation; zeros too."""
    rows: list[tuple[Cell, ...]] = []
    if gathered.ledger:
        measured = gathered.ledger.measured
        # Exemplars are counted one by one; everything else counts examples.
        rows += [
            ("training, as measured", name, number, None if "exemplars" in name else measured.examples)
            for name, number in measured.counts.items()
            if name != "examples"
        ]
    for score in gathered.scores:
        where, asked = f"{score.named}, {score.key.model}", sum(task.n for task in score.tasks.values())
        rows.append(
            (
                where,
                "prompts too long, counted as wrong",
                sum(task.too_long for task in score.tasks.values()),
                asked,
            )
        )
        generated = sum(task.n * task.samples for task in score.tasks.values())
        rows.append(
            (
                where,
                "generations cut at the token limit",
                sum(task.truncated for task in score.tasks.values()),
                generated,
            )
        )
    return (
        Table("counts", "Cut, dropped or too long", ("where", "what", "count", "of"), tuple(rows))
        if rows
        else None
    )


def watched(gathered: Gathered) -> Table | None:
    """Validation loss and held-out scores by step, as they were measured while training; None if none
    were."""
    measured = [step for step in gathered.metrics if step.validation_loss is not None or step.scores]
    if not measured:
        return None
    names = list(dict.fromkeys(name for step in measured for name in step.scores))
    rows = tuple(
        (step.step, step.validation_loss, *(step.scores.get(name) for name in names)) for step in measured
    )
    return Table(
        "watched", "While training", ("step", "validation loss", *(f"{name} %" for name in names)), rows
    )


def window(steps: Sequence[Step]) -> int:
    """Steps of a running mean: a fiftieth of them all, at least one."""
    return max(1, len(steps) // 50)


def running_mean(values: Sequence[float], over: int) -> list[float]:
    """The mean of each value and the `over` - 1 before it, of fewer at the start."""
    means, total = [], 0.0
    for place, value in enumerate(values):
        total += value - (values[place - over] if place >= over else 0.0)
        means.append(total / min(place + 1, over))
    return means


def _by_benchmark(scores: Iterable[EvaluationScore]) -> dict[ScoreKey, dict[str, EvaluationScore]]:
    """The scores of models that were asked in one way, by that way and by model."""
    found: dict[ScoreKey, dict[str, EvaluationScore]] = {}
    for score in scores:
        found.setdefault(score.key.of_model(""), {})[score.key.model] = score
    return found


def _means(scores: Sequence[EvaluationScore]) -> list[tuple[str, dict[str, float | None]]]:
    """The averages of the models by label, the headline first and its normalised form after it."""
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
            "The average is the plain mean of the tasks' scores; in the normalized one chance is 0 and all "
            "right 100, task by task."
        )
    ]
    notes += (
        ["The interval is that of the final accuracy."]
        if final and any(task.ci95 for task in final.tasks.values())
        else []
    )
    if any(score.partial for score in present):
        notes.append("Only a part of the questions was answered.")
    if base and final and not _same_prompts(base, final):
        notes.append("The two models were asked with different prompts, so there is no difference to give.")
    elif base and final and not _same_questions(base, final):
        notes.append(
            "No difference is given where the two models answered different numbers of questions; n is "
            "that of the final model."
        )
    notes += [
        f"The {name} model was not evaluated."
        for name, score in (("base", base), ("final", final))
        if score is None
    ]
    return " ".join(notes)


def _step(model: str) -> int | None:
    number = model.removeprefix("step-")
    return int(number) if number != model and number.isdigit() else None
