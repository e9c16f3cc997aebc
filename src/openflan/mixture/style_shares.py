"""How often each format occurs among the examples of a task: what the recipe says, and for `release` what the
public release has.

In the release inversions are templates among the others of a task, so each task has a share of its own. It is
counted from the imported template files where the task has the collection's own wordings, else it is that of
the table in the presets. Inversions that are tasks of their own there (chain of thought, dialog, program
synthesis) have the release's ratio of 0.3 to 1.0. T0 and the natural instructions have none.
"""

from __future__ import annotations

from openflan.recipe.mixture_section import FEW_SHOT, RELEASE
from openflan.recipe.presets import INVERTED, INVERTED_TENTHS, NIV2_SHOTS
from openflan.recipe.schema import Styles
from openflan.tasks.catalogue import catalogue, real_name
from openflan.tasks.task import Task
from openflan.templates.render import SHOTS
from openflan.templates.style import StyleShares
from openflan.templates.wording import InvertedShare, WordingSet

_NEVER_INVERTED = frozenset({"t0_sf", "niv2"})
_FLAN_2021 = "flan2021"


def style_shares(styles: Styles, task: Task, wordings: WordingSet) -> StyleShares:
    """The shares of formats of a task with its wordings. Rows that others rendered have no exemplars; rows
    with a definition of their own show it once, above the exemplars, as in the release. A user's own rows
    have neither exemplars nor inversions unless the recipe states their share."""
    on_top = (
        styles.instruction_on_top
        if styles.instruction_on_top is not None
        else float("definition" in task.fields)
    )
    if isinstance(styles.inverted, str):
        inverted = inverted_in_release(task.name, wordings)
    else:
        share = _unless_stated(styles.inverted, INVERTED, task)
        inverted = InvertedShare(share, share)
    return StyleShares(
        0.0 if task.finished else _unless_stated(styles.few_shot, FEW_SHOT, task),
        styles.rationale,
        styles.options,
        inverted.zero,
        styles.exemplars_only,
        on_top,
        inverted.few,
    )


def _unless_stated(share: float | None, default: float, task: Task) -> float:
    """A share that the recipe states, else the default, which for a user's own rows is 0."""
    if share is not None:
        return share
    return default if task.form is None else 0.0


def shots_of(styles: Styles, task: Task) -> tuple[int, ...]:
    """The numbers of exemplars that few-shot examples of a task have, each as often as the others."""
    if styles.shots == RELEASE:
        return (NIV2_SHOTS,) if task.submixture == "niv2" else SHOTS
    return tuple(int(number) for number in styles.shots)


def inverted_in_release(name: str, wordings: WordingSet) -> InvertedShare:
    """The share of inversions that the release has for a task; for a task that it does not have, the ratio of
    its inverted tasks."""
    if wordings.inverted_share is not None:
        return wordings.inverted_share
    submixture, _, bare = real_name(name).partition("/")
    entry = catalogue().get(real_name(name))
    if submixture in _NEVER_INVERTED:
        share = 0.0
    elif entry is not None and entry.part == _FLAN_2021:
        share = INVERTED_TENTHS.get(bare, 0) / 10
    else:
        share = INVERTED
    return InvertedShare(share, share)
