"""What a mixture is made of, for figures: every task with its category, languages and share, nothing fetched.

Decision: shares are those of the offline ledger (see `mixture.offline`), with the rows themselves where a
submixture's data lie on this machine; one that names the hub, no data, or a place that is not there, is
counted by the catalogue. Price: a share can rest on a published number of rows, or on a cap where none is
published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openflan.embedded import EMBEDDED_SUBMIXTURES, parse_data
from openflan.errors import InputError
from openflan.mixture.offline import offline_ledger
from openflan.recipe.schema import Mixture
from openflan.tasks.catalogue import SUBMIXTURES, catalogue, real_name
from openflan.tasks.hub import is_hub
from openflan.tasks.places import Data, places_of, written
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Outlined:
    """A task of a mixture. `opened`: its rows were counted here; `rows` is None if they were not and nothing
    is published."""

    task: str
    submixture: str
    category: str
    languages: tuple[str, ...]
    rows: int | None
    opened: bool
    share: float


def outline(mixture: Mixture) -> tuple[Outlined, ...]:
    """Every task of the mixture that is trained on, in the order of its submixtures.

    Raises InputError for a submixture whose data are not here and that the catalogue does not know, and as
    `offline_ledger` and the readers do.
    """
    for name, submixture in mixture.submixtures.items():
        if name not in SUBMIXTURES and not _is_here(name, submixture.data):
            raise InputError(
                f"submixture `{name}`: its rows are not here (data: {written(submixture.data)}), and the "
                f"catalogue knows only {', '.join(SUBMIXTURES)}; "
                "fetch them, or correct `data:`"
            )
    present = {
        name: open_submixture(name, entry.data)
        for name, entry in mixture.submixtures.items()
        if _is_here(name, entry.data)
    }
    tasks = {task.name: task for opened in present.values() for task in opened.values()}
    return tuple(
        Outlined(
            planned.task,
            planned.submixture,
            planned.category,
            _languages(planned.task, tasks),
            planned.rows,
            planned.here,
            planned.share,
        )
        for planned in offline_ledger(mixture, present).tasks
    )


def _is_here(name: str, data: Data) -> bool:
    return all(_place_is_here(name, place) for place in places_of(data))


def _place_is_here(name: str, data: Path | None) -> bool:
    if data is None or parse_data(data):
        return name in EMBEDDED_SUBMIXTURES
    return not is_hub(data) and data.exists()


def _languages(name: str, tasks_by_name: dict[str, Task]) -> tuple[str, ...]:
    """The catalogue's names if it has the task, as for `categories`: a reader may spell them differently."""
    entry = catalogue().get(real_name(name))
    return entry.languages if entry else tasks_by_name[name].languages
