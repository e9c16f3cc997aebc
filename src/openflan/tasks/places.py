"""Several places for the rows of one submixture: the first that has a task gives it.

So a local copy fills the holes of the hub, or the hub those of a local copy. A place has a task if it names
it and some row of it can be used; a place that cannot be reached at all is an error, as training must not
depend on the state of a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from openflan.errors import InputError
from openflan.tasks.hub import is_hub
from openflan.tasks.task import NotUsable, Opener, Task

Data: TypeAlias = Path | Sequence[Path] | None
"""The `data:` of a submixture: a place, several in their order, or none for an embedded source."""


def places_of(data: Data) -> tuple[Path | None, ...]:
    """The places of a `data:`, in their order; (None,) if there is none."""
    return (data,) if data is None or isinstance(data, Path) else tuple(data)


def on_hub(data: Data) -> bool:
    """Whether any of the places is on the hub."""
    return any(place is not None and is_hub(place) for place in places_of(data))


def only_local(data: Data) -> Data:
    """The places that are not on the hub, none if all are there; an embedded source stays None."""
    local = [place for place in places_of(data) if place is not None and not is_hub(place)]
    return local[0] if len(local) == 1 else tuple(local) if data is not None else None


def written(data: Data) -> str:
    """The places as a recipe has them."""
    return ", ".join(str(place) for place in places_of(data))


def first_of_each(openers: Mapping[Path, Mapping[str, Opener]]) -> dict[str, Opener]:
    """What opens each task that any place has, where `openers` are those of each place in their order."""
    names = dict.fromkeys(name for of_place in openers.values() for name in of_place)
    return {
        name: FirstOf({place: of_place[name] for place, of_place in openers.items() if name in of_place})
        for name in names
    }


def single_openers(openers: Iterable[Opener]) -> Iterator[Opener]:
    """The openers of single places: those of several places are taken apart."""
    for opener in openers:
        if isinstance(opener, FirstOf):
            yield from opener.openers.values()
        else:
            yield opener


def check_one_kind(submixture: str, tasks: Mapping[str, Task]) -> None:
    """Raises InputError if the places of a submixture hold ready-made rows and tasks of the collection: each
    has all of it, so the rows would count twice."""
    ready_made = next((task for task in tasks.values() if task.part is not None), None)
    other = next((task for task in tasks.values() if task.part is None), None)
    if ready_made is not None and other is not None:
        raise InputError(
            f"submixture `{submixture}`: {ready_made.place} holds ready-made rows ({ready_made.name}) and "
            f"{other.place} tasks ({other.name}); its rows would count twice: name places of one kind"
        )


@dataclass(frozen=True, slots=True)
class FirstOf:
    """Opens a task from the first place that has it. Raises NotUsable if it can be used from none."""

    openers: Mapping[Path, Opener]

    def __call__(self) -> Task:
        reasons: list[str] = []
        for place, opener in self.openers.items():
            try:
                return replace(opener(), place=str(place))
            except NotUsable as error:
                reasons.append(str(error))
        raise NotUsable("; ".join(reasons))
