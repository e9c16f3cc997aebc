"""The paper's averages over benchmarks: normalized (Table 5), with and without rationales (Figure 5), and
relative error reduction (appendix A.3).

Six components weigh the same. Each task is first put on a scale where chance is 0, and then averaged;
negative values are kept. Chance is 25 for MMLU, differs by file for BBH, and is 0 for TyDiQA and MGSM, with
and without rationales. This order and these chances are not printed in full. They are the ones that reproduce
the printed averages: removing chance from BBH's mean instead of each file's misses some rows by more than one
point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import fmean

from openflan.benchmark_data.bbh import BBH_TASKS
from openflan.errors import InputError, did_you_mean
from openflan.evaluation.decoding import GREEDY
from openflan.evaluation.known_benchmarks import usual_shots
from openflan.evaluation.score_record import EvaluationScore, ScoreKey
from openflan.evaluation.statistics import normalized

COT = ("mmlu-cot", "bbh-cot", "mgsm-cot")
NON_COT = ("mmlu-direct", "bbh-direct", "tydiqa-direct")
COMPONENTS = ("mmlu-direct", "mmlu-cot", "bbh-direct", "bbh-cot", "tydiqa-direct", "mgsm-cot")
"""The columns of Table 5."""

SUITE_AVERAGES: dict[str, tuple[str, ...]] = {
    "normalized average": COMPONENTS,
    "CoT average": COT,
    "non-CoT average": NON_COT,
}
"""By the paper's name, the components of which the plain mean is taken."""

TASKS = {"mmlu": 57, "bbh": 27, "tydiqa": 8, "mgsm": 10}
_CHANCE = {"mmlu": 25.0, "tydiqa": 0.0, "mgsm": 0.0}
_APART = {"mgsm": "en", "tydiqa": "english"}


def greedy_at_usual_shots(key: ScoreKey) -> bool:
    """True for a score that enters the averages: greedy generation on the usual split with the benchmark's
    own number of exemplars, as in the paper. An unknown number of exemplars counts as its own."""
    return (
        key.decoding == GREEDY and not key.split and key.shots in (None, usual_shots(key.benchmark, key.mode))
    )


def normalized_component(component: str, score: float | Mapping[str, float]) -> float:
    """Return a component on the scale where chance is 0 and 100 means all right. It is computed from its mean
    or its accuracies by task, in percent.

    English, which MGSM and TyDiQA report too, does not count. Raises InputError for an unknown component,
    tasks that are missing, and a mere mean of BBH: its files have chances of their own.
    """
    benchmark = component.partition("-")[0]
    if component not in COMPONENTS:
        raise InputError(
            f"`{component}` is no component of the "
            f"averages{did_you_mean(component, COMPONENTS) or '; expected ' + ', '.join(COMPONENTS)}"
        )
    if not isinstance(score, Mapping):
        if benchmark == "bbh":
            raise InputError(
                f"{component} is given as one mean; its 27 files have different chances, so that their "
                "accuracies are needed"
            )
        return normalized(score, _CHANCE[benchmark])
    tasks = {task: value for task, value in score.items() if task != _APART.get(benchmark)}
    unknown = [task for task in tasks if benchmark == "bbh" and task not in BBH_TASKS]
    if unknown:
        raise InputError(f"bbh has no task `{unknown[0]}`{did_you_mean(unknown[0], BBH_TASKS)}")
    if len(tasks) != TASKS[benchmark]:
        raise InputError(
            f"{component} has {len(tasks)} of its {TASKS[benchmark]} tasks: the averages need all"
        )
    return fmean(
        normalized(value, BBH_TASKS[task].chance if benchmark == "bbh" else _CHANCE[benchmark])
        for task, value in tasks.items()
    )


def suite_averages(components: Mapping[str, float | Mapping[str, float]]) -> dict[str, float | None]:
    """The averages of SUITE_AVERAGES from components as for `normalized_component`; None where one is
    missing."""
    return averages_of_normalized(
        {name: normalized_component(name, score) for name, score in components.items() if name in COMPONENTS}
    )


def averages_of_normalized(components: Mapping[str, float]) -> dict[str, float | None]:
    """The averages of SUITE_AVERAGES from components that are normalized already; None where one is
    missing."""
    return {
        name: fmean(components[one] for one in over) if all(one in components for one in over) else None
        for name, over in SUITE_AVERAGES.items()
    }


def averages_of_scores(
    scores: Iterable[EvaluationScore],
    *,
    partial: bool = False,
    counts: Callable[[ScoreKey], bool] = greedy_at_usual_shots,
) -> dict[str, float | None]:
    """The averages of SUITE_AVERAGES from the scores of one model; None where a component is missing.

    Only scores whose key `counts` are used; scores over a part of the questions only if `partial`.
    """
    chosen = [score for score in scores if counts(score.key) and (partial or not score.partial)]
    components = {f"{score.key.benchmark}-{score.key.mode}": score.normalized for score in chosen}
    return averages_of_normalized({name: value for name, value in components.items() if value is not None})


def relative_error_reduction(before: float, after: float) -> float:
    """By how many percent the distance to 100 shrank (appendix A.3); both averages in percent. Raises
    InputError where there was no error."""
    if before >= 100:
        raise InputError(f"the average before is {before}: there is no error left that could be reduced")
    return 100 * (after - before) / (100 - before)
