"""A user's own rows as a benchmark, in the wording in which a run rendered its training rows.

The prompt of a row is the one that training showed: finished rows (instruction and output, prompt and
completion, conversations) are sent as they are, and rows of fields are written in the run's own wordings,
without exemplars. Which layout a model gets (plain, the paper's, its chat template) is the model's affair;
for a chat template an example has its whole conversation.

The measure follows the rows. Options give accuracy. Short targets give exact match. Long ones, of more than
MANY_WORDS words on average, give ROUGE-L with exact match beside it. The first ROWS_LOOKED_AT rows of a task
decide, whatever `limit` is, so that a longer evaluation of the same rows goes on in the same file.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Literal

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.metrics import words
from openflan.evaluation.task_benchmark import metric_of, task_benchmark
from openflan.tasks.custom import find_own, task_of_split
from openflan.tasks.formats.reading import AS_IT_IS, Reading
from openflan.tasks.sources import open_submixture
from openflan.tasks.splits import choose, split_of_file
from openflan.tasks.task import Task
from openflan.templates.choice import Named, choose_wordings
from openflan.templates.wording import WordingSet

OWN = "own"
"""The name of the submixture of own rows where no run says another."""

MANY_WORDS = 5
ROWS_LOOKED_AT = 100

_LONG = frozenset({"rouge_l", "rouge_l_stemmed", "translation"})
"""Metrics of tasks with long targets."""

LONG_TARGETS = 256
"""The most tokens of a generation where targets are long."""


@dataclass(frozen=True, slots=True)
class RowRendering:
    """How a run rendered its own rows: the name of their submixture, its wordings, and how its files are
    read."""

    submixture: str = OWN
    wordings: Named | Path | None = None
    reading: Reading = AS_IT_IS

    def wordings_of(self, task: str, fields: frozenset[str]) -> WordingSet:
        """The wordings of a task with such fields. Raises InputError if there are none."""
        return choose_wordings(self.wordings, task, fields)


def own_rows_benchmark(
    tasks: Mapping[str, Task],
    mode: Literal["direct", "cot"],
    data: Path,
    *,
    rendering: RowRendering,
    split: str = "",
    shots: int = 0,
    limit: int | None = None,
    metric: str | None = None,
    all_wordings: bool = False,
) -> Benchmark:
    """The benchmark of the tasks of `own_tasks`, zero-shot or with `shots` exemplars drawn from their other
    rows. `metric` replaces the measure that follows from the rows; `all_wordings` asks every question with
    each of the run's wordings that suits.

    It is named after the task, or after `data` where there are several. Raises InputError for exemplars of
    conversations, for mode `cot` without rationales, and for rows that no wording can show.
    """
    for name, task in tasks.items():
        if shots and task.finished:
            raise InputError(f"{name}: conversations are shown without exemplars: leave `--shots` out")
    metrics = {name: _metric_of(task) for name, task in tasks.items()}
    benchmark = task_benchmark(
        tasks,
        mode,
        shots=shots,
        limit=limit,
        metrics=dict.fromkeys(tasks, metric) if metric else metrics,
        wordings=rendering.wordings_of,
        all_wordings=all_wordings,
    )
    name = benchmark.name
    if len(tasks) > 1:
        name = f"{rendering.submixture}-{data.absolute().stem}" + ("-all-wordings" if all_wordings else "")
    is_long = mode == "direct" and not _LONG.isdisjoint(metrics.values())
    return replace(
        benchmark,
        name=name,
        prompt_version=f"{name}-{mode}-{shots}-shot-1",
        split=split,
        max_tokens=LONG_TARGETS if is_long else benchmark.max_tokens,
    )


def own_tasks(
    data: Path, rendering: RowRendering, reading: Reading = AS_IT_IS, split: str | None = None
) -> tuple[dict[str, Task], str]:
    """The tasks of a file, folder or data set of the hub, and the split that their rows are of.

    A file gives its rows, whatever its name. A folder gives the rows of `split`, by default those of its test
    split; where it has no other splits at all, its rows. `reading` is what the user says of the rows; where
    he says nothing, they are read as those of the run were, and if they do not fit that, by their own fields.
    The split is empty where rows are of none.

    Raises InputError for data that are missing or broken, and for a split that a folder lacks.
    """
    if data.is_dir() and (only := _files_of_split_alone(data, split or "test")):
        openers = {
            name: opener
            for file in only
            for name, opener in find_own(file, rendering.submixture, reading).items()
        }
        return {name: opener() for name, opener in openers.items()}, split or "test"
    with warnings.catch_warnings():
        # It says which files are not trained on, and nothing is trained here.
        warnings.filterwarnings("ignore", message=".* left aside and not trained on")
        tasks = _opened(data, rendering, reading)
    present = {name for task in tasks.values() for name in task.splits}
    if split is None and not present:
        return tasks, ""
    if split is None and "test" not in present:
        raise InputError(
            f"{data}: has rows to train on and others for {', '.join(sorted(present))}, but none of a split "
            f"`test`; choose with `--split {min(present)}`, or name a file itself"
        )
    wanted = split or "test"
    having = {name: task for name, task in tasks.items() if wanted in task.splits}
    return {name: task_of_split(task, wanted) for name, task in (having or tasks).items()}, wanted


def _files_of_split_alone(data: Path, split: str) -> list[Path]:
    """The files of a split in a folder that has nothing to train on."""
    chosen = choose(data)
    return [] if chosen.files else [file for file in chosen.aside if split_of_file(data, file) == split]


def _opened(data: Path, rendering: RowRendering, reading: Reading) -> dict[str, Task]:
    if not reading.is_given and rendering.reading.is_given:
        try:
            return open_submixture(rendering.submixture, data, None, rendering.reading)
        except InputError:
            # Rows of another format than those of the run; what is wrong with them is said of their own.
            pass
    return open_submixture(rendering.submixture, data, None, reading)


def _metric_of(task: Task) -> str:
    metric = metric_of(task)
    if metric != "exact_match":
        return metric
    key = "answer" if "answer" in task.fields else "targets"
    shown = [task.rows[index].get(key, "") for index in range(min(len(task.rows), ROWS_LOOKED_AT))]
    return "rouge_l" if fmean(len(words(str(text))) for text in shown) > MANY_WORDS else metric
