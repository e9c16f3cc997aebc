"""From a recipe's mixture section to a stream."""

from __future__ import annotations

from openflan.errors import InputError
from openflan.mixture.rates import Capped, shares
from openflan.mixture.stream import Entry, Stream
from openflan.recipe.schema import Mixture
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task
from openflan.templates.render import Renderer, Room
from openflan.templates.style import StyleShares
from openflan.templates.wording import load_wordings, packaged_wordings, wordings_for


def open_tasks(mixture: Mixture) -> dict[str, Task]:
    """Every task of the mixture that may be trained on, with its rows opened and checked.

    Patterns pass over tasks that are held out. Raises InputError for missing or broken data, an unknown task, or a held-out one that is named
    outright.
    """
    tasks: dict[str, Task] = {}
    for name, submixture in mixture.submixtures.items():
        opened = open_submixture(name, submixture.data, submixture.tasks)
        named = [task.name for task in opened.values() if task.held_out and not {task.name, task.name.partition("/")[2]}.isdisjoint(submixture.tasks)]
        if named:
            raise InputError(f"submixture `{name}`: {', '.join(named)} held out for evaluation, never trained on; take it out of `tasks:`")
        held_out = [task for task in opened.values() if task.held_out]
        if len(held_out) == len(opened):
            raise InputError(f"submixture `{name}` holds only tasks that are held out for evaluation ({held_out[0].name}, ...); choose others with `tasks:`")
        tasks |= {task.name: task for task in opened.values() if not task.held_out}
    return tasks


def build_stream(mixture: Mixture, tasks: dict[str, Task], seed: int, room: Room | None = None) -> Stream:
    """The stream of a mixture over its opened tasks.

    Raises InputError if a task has no wording, or one that names a field its rows lack.
    """
    capped = {name: Capped(task.submixture, len(task.rows), mixture.cap(task.submixture)) for name, task in tasks.items()}
    share = shares(capped, mixture.relative_rates())
    entries = {}
    for name, task in tasks.items():
        submixture = mixture.submixtures[task.submixture]
        own = load_wordings(submixture.wordings) if submixture.wordings else []
        renderer = Renderer(task, wordings_for(name, task.fields, [*own, *packaged_wordings()]))
        styles = submixture.styles
        entries[name] = Entry(task, renderer, share[name], StyleShares(styles.few_shot, styles.rationale, styles.options))
    return Stream(entries, seed, room)
