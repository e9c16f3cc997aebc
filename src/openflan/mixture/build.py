"""From a recipe's mixture section to a stream."""

from __future__ import annotations

from collections.abc import Mapping

from openflan.errors import InputError
from openflan.mixture.overlap.drop import without_overlaps
from openflan.mixture.rates import Capped, shares
from openflan.mixture.stream import Entry, Stream
from openflan.recipe.schema import BENCHMARKS, Mixture, Styles
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task
from openflan.templates.choice import choose_wordings
from openflan.templates.render import Renderer, Room
from openflan.templates.style import StyleShares


def open_tasks(mixture: Mixture) -> dict[str, Task]:
    """Every task of the mixture that may be trained on, with its rows opened and checked.

    Patterns pass over tasks that are held out, and rows that `drop_overlaps` names are left out. Raises InputError for missing or broken data, an
    unknown task, a held-out one that is named outright, or a file of overlaps that was made from other data.
    """
    tasks: dict[str, Task] = {}
    for name, submixture in mixture.submixtures.items():
        opened = open_submixture(name, submixture.data, submixture.tasks)
        held_out = [task for task in opened.values() if _held_out(mixture, task)]
        named = [task.name for task in held_out if not {task.name, task.name.partition("/")[2]}.isdisjoint(submixture.tasks)]
        if named:
            raise InputError(f"submixture `{name}`: {', '.join(named)} held out for evaluation, never trained on; take it out of `tasks:`")
        if len(held_out) == len(opened):
            raise InputError(f"submixture `{name}` holds only tasks that are held out for evaluation ({held_out[0].name}, ...); choose others with `tasks:`")
        tasks |= {task.name: task for task in opened.values() if not _held_out(mixture, task)}
    return tasks if mixture.drop_overlaps is None else without_overlaps(tasks, mixture.drop_overlaps)


def build_stream(mixture: Mixture, tasks: dict[str, Task], seed: int, room: Room | None = None) -> Stream:
    """The stream of a mixture over its opened tasks.

    Raises InputError if a task has no wording, or one that names a field its rows lack.
    """
    share = shares(_capped(mixture, tasks), mixture.relative_rates())
    entries = {}
    for name, task in tasks.items():
        submixture = mixture.submixtures[task.submixture]
        renderer = Renderer(task, choose_wordings(submixture.wordings, name, task.fields))
        entries[name] = Entry(task, renderer, share[name], _style_shares(submixture.styles, task))
    return Stream(entries, seed, room)


def one_pass(mixture: Mixture, tasks: Mapping[str, Task]) -> int:
    """Examples of a pass: the rows of every task, none counting more than its cap. Rates divide them otherwise than by size; the number is the same."""
    return sum(task.weight for task in _capped(mixture, tasks).values())


def _held_out(mixture: Mixture, task: Task) -> bool:
    """Whether a task tests a benchmark that the recipe keeps out of training, or a kind of generalisation, as the embedded world's do: never trained on."""
    return task.held_out is not None and (task.held_out not in BENCHMARKS or task.held_out in mixture.held_out)


def _capped(mixture: Mixture, tasks: Mapping[str, Task]) -> dict[str, Capped]:
    return {name: Capped(task.submixture, len(task.rows), mixture.cap(task.submixture)) for name, task in tasks.items()}


def _style_shares(styles: Styles, task: Task) -> StyleShares:
    # Rows with a definition of their own: the release gives it once, above the exemplars.
    on_top = styles.instruction_on_top if styles.instruction_on_top is not None else float("definition" in task.fields)
    few_shot = 0.0 if task.finished else styles.few_shot
    return StyleShares(few_shot, styles.rationale, styles.options, styles.inverted, styles.exemplars_only, on_top)
