"""How often each task is drawn.

Inside a group a task weighs min(rows, cap). Groups have fixed relative rates (Chung et al. 2022, section 2.1
and Table 23). A group is a submixture or, where the rates name it, a part of one. A cap is a weight and drops
no row: over time a capped task is read in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openflan.errors import InputError
from openflan.recipe.presets import CAPS, PRESET_CAPS, RATES
from openflan.recipe.schema import Mixture


@dataclass(frozen=True, slots=True)
class Capped:
    """A task's group, its rows and the most of them that count; `cap=None` counts them all.

    Where the rows are those of several tasks of the collection, as in a ready-made copy, the cap is that of
    each of these: `sizes` are their rows, or, where nobody knows them, `most` what all count together at
    most.
    """

    group: str
    rows: int
    cap: int | None = None
    sizes: tuple[int, ...] = ()
    most: int | None = None

    @property
    def weight(self) -> int:
        if self.cap is None:
            return self.rows
        if self.most is not None:
            return min(self.rows, self.most)
        cap = self.cap
        return min(self.rows, sum(min(size, cap) for size in self.sizes or (self.rows,)))


def relative_rates(mixture: Mixture) -> dict[str, float] | None:
    """Return the rates of submixtures, and of parts such as `muffin/dialog`, from a preset or as the recipe
    gives them.

    They are not normalized. None means that groups are weighed by their capped size.
    """
    return dict(RATES[mixture.rates]) if isinstance(mixture.rates, str) else mixture.rates


def rate_group(mixture: Mixture, submixture: str, part: str | None = None) -> str | None:
    """Return the group in which a submixture's tasks, or those of one of its parts, are weighed.

    The group is the part if the rates name it, else the submixture. None if the rates name only other parts
    of it.
    """
    rates = relative_rates(mixture)
    if rates is None or f"{submixture}/{part}" not in rates:
        return submixture if rates is None or submixture in rates else None
    return f"{submixture}/{part}"


def cap_of(mixture: Mixture, group: str) -> int | None:
    """Return the cap of each task of a group: the recipe's for its submixture, else the preset's, else the
    paper's.

    None means no cap.
    """
    submixture = group.partition("/")[0]
    cap = mixture.submixtures[submixture].cap
    if cap is not None:
        return cap
    preset = PRESET_CAPS.get(mixture.rates, {}) if isinstance(mixture.rates, str) else {}
    return preset[group] if group in preset else CAPS.get(submixture)


def shares(tasks: Mapping[str, Capped], rates: Mapping[str, float] | None) -> dict[str, float]:
    """Each task's share of the mixture; they sum to 1.

    `rates` are relative and may name groups that are not present; None weighs groups by their capped size.
    Raises InputError naming the tasks without rows, or if the rates of the groups that are present sum to 0.
    """
    empty = [name for name, task in tasks.items() if task.weight == 0]
    if empty:
        raise InputError(
            f"no rows in {', '.join(empty)}: check their `data:`, or leave them out with `tasks:`"
        )
    sizes: dict[str, int] = {}
    for task in tasks.values():
        sizes[task.group] = sizes.get(task.group, 0) + task.weight
    relative = {name: float(size) if rates is None else rates.get(name, 0.0) for name, size in sizes.items()}
    total = sum(relative.values())
    if total <= 0:
        raise InputError("the rates of the submixtures sum to 0: nothing would be drawn")
    return {
        name: relative[task.group] / total * task.weight / sizes[task.group] for name, task in tasks.items()
    }


def redistributed(
    shares: Mapping[str, float], sides: Mapping[str, tuple[str, str]], ratios: Mapping[str, float]
) -> dict[str, float]:
    """Return the shares with the parts of each group in the ratios `ratios`. Every group keeps its sum, and
    inside a part the tasks keep their ratios.

    `sides` gives group and part of each task concerned; the others keep their shares. `ratios` are relative,
    and count among the parts that a group has.
    """
    groups: dict[str, dict[str, float]] = {}
    for task, (group, part) in sides.items():
        parts = groups.setdefault(group, {})
        parts[part] = parts.get(part, 0.0) + shares[task]
    moved = dict(shares)
    for task, (group, part) in sides.items():
        parts = groups[group]
        group_share = sum(parts.values())
        moved[task] = (
            group_share * ratios[part] / sum(ratios[one] for one in parts) * shares[task] / parts[part]
            if parts[part]
            else 0.0
        )
    return moved


def counts_at(shares_T: NDArray[np.float64], before_T: NDArray[np.int64], drawn: int) -> NDArray[np.int64]:
    """Return cumulative counts (tasks,) after `drawn` examples, given the counts at the end of the block
    before. They sum to `drawn`.

    Every count stays within one of `shares * drawn`. Rounding each block by itself would not do: a task that
    was rounded up would sometimes have to give an example back. This is the chairman assignment problem.
    Tijdeman (1980) showed that giving the next example to the earliest deadline keeps every count within 1 -
    1/(2T - 2).
    """
    slack = 1.0 - 1.0 / max(2, 2 * len(shares_T) - 2)
    exact_T = shares_T * drawn
    # A hair of tolerance, as float64 cannot hold the shares exactly.
    least_T = np.maximum(before_T, np.ceil(exact_T - slack - 1e-6).astype(np.int64))
    most_T = np.maximum(least_T, np.floor(exact_T + slack + 1e-6).astype(np.int64))
    missing = drawn - int(least_T.sum())
    spare_T = most_T - least_T
    tasks = np.repeat(np.arange(len(shares_T)), spare_T)
    nth = np.arange(len(tasks)) - np.repeat(np.cumsum(spare_T) - spare_T, spare_T) + 1
    with np.errstate(divide="ignore"):
        deadline = (least_T[tasks] + nth - (1.0 - slack)) / shares_T[tasks]
    counts_T = least_T.copy()
    np.add.at(counts_T, tasks[np.argsort(deadline, kind="stable")[:missing]], 1)
    return counts_T
