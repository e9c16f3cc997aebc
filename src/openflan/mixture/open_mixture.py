"""From a recipe's mixture section to a stream."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from openflan.benchmark_data.registry import benchmark_names, find_benchmark_data
from openflan.embedded import EMBEDDED_SUBMIXTURES
from openflan.errors import InputError
from openflan.mixture.copies import as_released, capped_task
from openflan.mixture.left_out import left_out_line
from openflan.mixture.licences import check_licences, licence_of, refusal
from openflan.mixture.overlap.drop import without_overlaps
from openflan.mixture.rates import Capped, cap_of, rate_group, relative_rates, shares
from openflan.mixture.stream import Entry, Stream
from openflan.mixture.style_shares import shots_of, style_shares
from openflan.mixture.validation import hold_back
from openflan.recipe.presets import NOT_BUILT, PARTS
from openflan.recipe.schema import Mixture
from openflan.tasks.catalogue import SUBMIXTURES, catalogue, real_name
from openflan.tasks.shuffled import ShuffledAnswers
from openflan.tasks.sources import check_layout, open_usable
from openflan.tasks.task import Task
from openflan.templates.choice import choose_wordings
from openflan.templates.render import Renderer, TokenBudget

HELD_OUT = "held out"
"""How the reason begins for tasks that are kept for evaluation."""

RATE_0 = "rate 0"
NOT_IN_RELEASE = "not built by the release"
"""The reasons for tasks that the recipe's rates leave out."""

UNUSABLE = "cannot be used"
"""How the reason begins for public tasks none of whose rows can be used, or whose data set is gone."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A task that the recipe's patterns chose but that is not trained on, and why: `held out (mmlu)`,
    `licence unknown`, `rate 0`, `cannot be used: ...`."""

    task: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The tasks of a mixture, opened, those that it leaves out, and tasks of the rows that are held back for
    validation."""

    tasks: dict[str, Task]
    left_out: tuple[LeftOut, ...]
    validation: dict[str, Task] = field(default_factory=dict)

    @property
    def described(self) -> dict[str, Any]:
        """For the ledger: `left_out`, a list of tasks with their reasons."""
        return {"left_out": [asdict(left) for left in self.left_out]}

    @property
    def warning(self) -> str | None:
        """One line that says which rows and tasks of public data are left out as they cannot be used; None if
        there are none."""
        return left_out_line(
            self.tasks, {left.task: left.reason for left in self.left_out if left.reason.startswith(UNUSABLE)}
        )


def open_tasks(mixture: Mixture) -> dict[str, Task]:
    """Return every task of the mixture that may be trained on, with its rows opened and checked (see
    `open_mixture`). A warning names what cannot be used."""
    opened = open_mixture(mixture)
    if opened.warning:
        warnings.warn(opened.warning, stacklevel=2)
    return opened.tasks


def open_mixture(mixture: Mixture) -> Opened:
    """Return every task of the mixture that may be trained on, with its rows opened and checked, and what is
    left out.

    Patterns skip tasks that are held out, whose licence is not allowed, or that are public and cannot be
    used; a rate of 0 leaves a task out even if it is named; rows that `drop_overlaps` names are left out.
    Raises InputError for missing or broken data, an unknown task, one named outright that is held out, of
    another licence or not usable, a licence that nothing has, if no task is left, or for a file of overlaps
    that was made from other data.
    """
    _check_data(mixture)
    usable_by_submixture = {
        name: open_usable(name, submixture.data, submixture.tasks)
        for name, submixture in mixture.submixtures.items()
    }
    opened = {name: tasks for name, (tasks, _) in usable_by_submixture.items()}
    check_licences(
        mixture.licences, [licence_of(task) for tasks in opened.values() for task in tasks.values()]
    )
    tasks: dict[str, Task] = {}
    left_out = [
        LeftOut(task, f"{UNUSABLE}: {why}")
        for _, unusable in usable_by_submixture.values()
        for task, why in unusable.items()
    ]
    for name, there in opened.items():
        passed_over = [
            LeftOut(task.name, reason)
            for task in there.values()
            if (reason := why_left_out(mixture, task.name, task.held_out, licence_of(task)))
        ]
        _check_named(mixture, name, passed_over)
        if len(passed_over) == len(there) and all(left.reason.startswith(HELD_OUT) for left in passed_over):
            raise InputError(
                f"submixture `{name}` holds only tasks that are held out for evaluation "
                f"({passed_over[0].task}, ...); choose others with `tasks:`"
            )
        left_out += passed_over
        skipped = {left.task for left in passed_over}
        tasks |= {task.name: task for task in there.values() if task.name not in skipped}
    check_something_left(tasks, left_out)
    if mixture.drop_overlaps is not None:
        tasks = without_overlaps(tasks, mixture.drop_overlaps)
    tasks = {
        name: replace(task, rows=ShuffledAnswers(task.rows, name))
        if mixture.submixtures[task.submixture].targets == "shuffled"
        else task
        for name, task in tasks.items()
    }
    tasks, validation = hold_back(tasks, mixture.validation_rows)
    return Opened(tasks, tuple(left_out), validation)


def why_left_out(mixture: Mixture, name: str, held_out: str | None, licence: str | None) -> str | None:
    """Why a task is not trained on, None if it is.

    A task is left out if the recipe holds out the benchmark that it is made from, if its licence is not
    allowed, if the preset of its rates has no such task, or if its group has the rate 0. `held_out` is the
    task's own mark: the name of a benchmark, or of a kind of generalisation that the embedded world tests; a
    task with the latter is never trained on.
    """
    if held_out is not None and held_out not in benchmark_names():
        return f"{HELD_OUT} ({held_out})"
    for benchmark in mixture.held_out:
        if benchmark == held_out or find_benchmark_data(benchmark).is_source_of(real_name(name)):
            return f"{HELD_OUT} ({benchmark})"
    if reason := refusal(licence, mixture.licences):
        return reason
    if isinstance(mixture.rates, str) and real_name(name) in NOT_BUILT.get(mixture.rates, ()):
        return NOT_IN_RELEASE
    return RATE_0 if (relative_rates(mixture) or {}).get(group_of(mixture, name)) == 0 else None


def group_of(mixture: Mixture, name: str) -> str:
    """The group that a task is weighed in: its submixture, or the part of it that the rates name.

    Raises InputError if the rates name parts of the submixture alone and the task belongs to none of them.
    """
    submixture, _, bare = name.partition("/")
    entry = catalogue().get(real_name(name))
    # Ready-made copies name the source in front: muffin/dialog_zs_opt.
    part = (
        entry.part
        if entry
        else next((part for part in PARTS.get(submixture, ()) if bare.startswith(f"{part}_")), None)
    )
    group = rate_group(mixture, submixture, part)
    if group is None:
        parts = [rated for rated in relative_rates(mixture) or {} if rated.startswith(f"{submixture}/")]
        raise InputError(
            f"{name}: no rate, as `mixture.rates` names only {', '.join(parts)} and the task belongs to "
            "none of these; "
            f"write the rates as a mapping that also has `{submixture}`, for all other tasks of it, or "
            "choose others with `tasks:`"
        )
    return group


def check_something_left(tasks: Mapping[str, object], left_out: list[LeftOut]) -> None:
    """Raise InputError with the most frequent reason if every task was left out."""
    if not tasks and left_out:
        reasons = [left.reason for left in left_out]
        commonest_reason = max(dict.fromkeys(reasons), key=reasons.count)
        raise InputError(
            f"no task is left to train on: all {len(left_out):,} are left out, "
            f"{reasons.count(commonest_reason):,} for `{commonest_reason}`; "
            "change `licences`, `rates` or `tasks` of `mixture`"
        )


def build_stream(
    mixture: Mixture,
    tasks: dict[str, Task],
    seed: int,
    token_budget: TokenBudget | None = None,
    mean_tokens: Callable[[Stream], Sequence[float]] | None = None,
) -> Stream:
    """Return the stream of a mixture over its opened tasks.

    `mean_tokens` estimates the mean tokens of an example for each entry of a stream; `mixture.unit: tokens`
    needs it. Raises InputError without it, and if a task has no wording, or one that names a field its rows
    lack.
    """
    share = task_shares(mixture, tasks)
    entries = {}
    for name, task in tasks.items():
        submixture = mixture.submixtures[task.submixture]
        wordings = choose_wordings(submixture.wordings, name, task.fields)
        renderer = Renderer(task, wordings, shots=shots_of(submixture.styles, task))
        entries[name] = Entry(task, renderer, share[name], style_shares(submixture.styles, task, wordings))
    stream = Stream(entries, seed, token_budget)
    if mixture.unit == "examples":
        return stream
    if mean_tokens is None:
        raise InputError(
            "`mixture.unit: tokens` needs the recipe's tokenizer, by which the examples of each task are "
            "measured; here there is none: leave out --no-pruning, or set mixture.unit=examples"
        )
    return stream.shared_by_tokens(mean_tokens(stream))


def task_shares(mixture: Mixture, tasks: Mapping[str, Task]) -> dict[str, float]:
    """Return each task's share of the mixture, of its examples or of its tokens (`mixture.unit`). The sources
    and styles of a ready-made copy have the ratios of the public release."""
    capped = capped_tasks(mixture, tasks)
    groups = {name: task.group for name, task in capped.items()}
    return as_released(shares(capped, relative_rates(mixture)), groups, tasks)


def rows_of_one_epoch(mixture: Mixture, tasks: Mapping[str, Task]) -> int:
    """Return the number of examples of one epoch: the rows of every task, each task at most its cap.

    Rates change how the examples are divided among tasks, but not their number.
    """
    return sum(task.weight for task in capped_tasks(mixture, tasks).values())


def check_places(mixture: Mixture) -> None:
    """Check where the rows will come from, without reading them, before any slow import.

    Raises InputError for missing data, a path that is not there, or a file or folder of no known layout.
    """
    _check_data(mixture)
    for name, submixture in mixture.submixtures.items():
        check_layout(name, submixture.data)


def _check_data(mixture: Mixture) -> None:
    """Raise InputError that names every submixture without data, and the overrides that add it."""
    missing = [
        name
        for name, submixture in mixture.submixtures.items()
        if submixture.data is None and name not in EMBEDDED_SUBMIXTURES
    ]
    if missing:
        overrides = " ".join(f"mixture.submixtures.{name}.data=PATH" for name in missing)
        known = all(name in SUBMIXTURES for name in missing)
        hint = (
            "; `openflan mixture` with the same recipe says what to fetch"
            if known
            else f"; only {' and '.join(EMBEDDED_SUBMIXTURES)} come with openflan"
        )
        raise InputError(
            f"no data for {', '.join(missing)}: add {overrides} (each a file or folder, or "
            f"hub:OWNER/NAME){hint}"
        )


def _check_named(mixture: Mixture, submixture: str, passed_over: list[LeftOut]) -> None:
    """Raises InputError for tasks that the recipe names outright, not by a pattern, though it forbids
    them."""
    patterns = mixture.submixtures[submixture].tasks
    named = [
        left
        for left in passed_over
        if left.reason not in (RATE_0, NOT_IN_RELEASE)
        and not {left.task, left.task.partition("/")[2]}.isdisjoint(patterns)
    ]
    if not named:
        return
    if named[0].reason.startswith(HELD_OUT):
        names = ", ".join(left.task for left in named if left.reason.startswith(HELD_OUT))
        raise InputError(
            f"submixture `{submixture}`: {names} held out for evaluation, never trained on; take it out "
            "of `tasks:`"
        )
    raise InputError(
        f"submixture `{submixture}`: {', '.join(f'{left.task} ({left.reason})' for left in named)} not "
        "allowed by `mixture.licences`; "
        "take it out of `tasks:`, or allow its licence"
    )


def capped_tasks(mixture: Mixture, tasks: Mapping[str, Task]) -> dict[str, Capped]:
    """Return the group of each task, and what of its rows counts."""
    return {
        name: capped_task(task, group := group_of(mixture, name), cap_of(mixture, group))
        for name, task in tasks.items()
    }
