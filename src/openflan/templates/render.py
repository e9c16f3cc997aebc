"""Rendering: makes an example (`inputs` that the model reads and `targets` that it learns) out of a row.

Rendering is a pure function of (task, row, style, seed, position): wording, exemplars, delimiters and option
list are drawn from those alone, so an example can be made again anywhere, and records where it came from.

Departures from the public release, on purpose: a row is never its own exemplar; wordings are drawn per
example instead of cycling, so no remainder rows are lost; delimiters are drawn per example as the paper says;
separators never end up in targets; an example whose exemplars do not fit becomes zero-shot instead of
vanishing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from openflan.errors import InputError
from openflan.randomness import Draws, key_of
from openflan.tasks.conversation import FIELD as CONVERSATION
from openflan.tasks.task import Task
from openflan.templates.formats import PLAIN_OPTIONS, Formats, Frame, OptionStyle, packaged_formats
from openflan.templates.style import Style
from openflan.templates.suitable import actual_style, suitable
from openflan.templates.token_budget import TokenBudget as TokenBudget
from openflan.templates.token_budget import fits, pruned_inputs
from openflan.templates.wording import Wording, WordingSet

SHOTS = (5, 5, 2, 3)
"""Numbers of exemplars, drawn evenly: half of the release's few-shot examples have five, the other half two
or three."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One example as text, and where it came from.

    `answer` is what the targets end in or consist of, as an evaluator should find it; of an inverted example,
    the targets. `exemplars` are row indices of the same task; `pruned` counts those left out because they did
    not fit. A few-shot example without either has a wording that holds exemplars itself. `conversation` is
    the text of the conversation (`tasks.conversation`) that inputs and targets write readably.
    """

    inputs: str
    targets: str
    answer: str
    task: str
    row: int
    style: Style
    wording: str
    exemplars: tuple[int, ...] = ()
    pruned: int = 0
    frame: Frame | None = None
    option_style: OptionStyle | None = None
    conversation: str | None = None

    def provenance(self) -> dict[str, object]:
        """All that is needed to find the example again, as plain JSON values."""
        return {
            "task": self.task,
            "row": self.row,
            "style": self.style.name,
            "wording": self.wording,
            "exemplars": list(self.exemplars),
            "pruned": self.pruned,
            "labels": list(self.frame.labels) if self.frame else None,
            "between": self.frame.between if self.frame else None,
            "separator": self.frame.separator if self.frame else None,
            "options": self.option_style.block(["..."]) if self.option_style else None,
        }


_PURPOSE = key_of("render")

_LOOKED_AT = 64
"""Rows beyond those wanted that are looked at to find exemplars with all fields of a wording."""


class Renderer:
    """Renders the rows of one task with one set of wordings."""

    def __init__(
        self,
        task: Task,
        wordings: WordingSet,
        formats: Formats | None = None,
        shots: Sequence[int] = SHOTS,
    ) -> None:
        """`shots`: the numbers of exemplars that are drawn evenly."""
        self.task = task
        self._shots = tuple(shots)
        self._formats = formats or packaged_formats()
        self._key = key_of(task.name)  # hashed once, as names cost more than the rest of a draw

        # Rows that lack none of these are alike: each wording can show them.
        self._partial = frozenset(name for name, _ in task.lacking)
        _check_lacking(task, wordings)

        @cache
        def choices(style: Style, inside: bool, absent: frozenset[str]) -> tuple[tuple[Wording, Style], ...]:
            fields = task.fields - absent
            usable = tuple(
                wording
                for wording in wordings.wordings
                if _can_show(wording, absent) and (inside or wording.shots != "inside")
            )
            return tuple(
                (wording, actual_style(wording, style, fields)) for wording in suitable(usable, style, fields)
            )

        self._choices = choices

    def wordings(self, style: Style, *, inside: bool = False) -> tuple[Wording, ...]:
        """The wordings from which an example of this style is drawn and that can show every row, in the order
        of their file; `inside` counts those whose inputs hold an exemplar."""
        return tuple(wording for wording, _ in self._choices(style, inside, self._partial))

    def render(
        self,
        row: int,
        style: Style,
        seed: int,
        position: int,
        *,
        shots: int | None = None,
        token_budget: TokenBudget | None = None,
        unlike: bool = False,
    ) -> Rendered:
        """The example of row `row` at `position` of the stream of a run with `seed`.

        `shots`: number of exemplars, drawn if None, fewer where the task has too few other rows.
        `unlike` leaves those out whose inputs are the example's own, as evaluation needs; training keeps
        them. `token_budget`: exemplars are dropped from the end until the rest fits. Wordings that name a
        field which the row lacks are not used for it, and rows that lack such a field are no exemplars.
        Raises InputError naming task and row if the answer is not among the row's options, and if no wording
        can show the row.
        """
        draws = Draws(seed, _PURPOSE, self._key, row, position)
        choices = self._choices(style, style.few_shot and shots is None, self._absent(row))
        if not choices:
            raise InputError(
                f"{self.task.name} row {row}: no wording for its fields "
                f"({', '.join(sorted(self.task.rows[row]))}); add one that needs no other"
            )
        wording, shown = draws.choice(choices)
        if not style.few_shot:
            return self._without_exemplars(row, shown, wording, draws)
        if wording.shots == "inside":
            example = self._without_exemplars(row, shown, wording, draws)
            return (
                example
                if fits(example.inputs, token_budget) and not self._own_exemplar(row)
                else self._pruned(row, style, seed, position, 1)
            )
        num_exemplars = draws.choice(self._shots) if shots is None else shots
        exemplars = self._exemplars(wording, draws, num_exemplars, row)
        frame = wording.frame or self._formats.frame(draws, labelled=wording.labels)
        once = shown.instruction == "top"
        values = self._values(row, wording, PLAIN_OPTIONS)
        asked = _item_text(values, wording, frame, once)
        final = asked.rstrip(" ")
        if unlike:
            # A row that repeats the question would give its answer away; other rows take its place.
            candidates = dict.fromkeys([*exemplars, *self._exemplars(wording, draws, _LOOKED_AT, row)])
            exemplars = [
                index
                for index in candidates
                if _item_text(self._values(index, wording, PLAIN_OPTIONS), wording, frame, once) != asked
            ][:num_exemplars]
        texts = [self._exemplar(index, wording, frame, once) for index in exemplars]
        top = _instruction(values, wording) if once else ""
        inputs, kept = pruned_inputs(top, texts, final, frame.separator, token_budget)
        if kept == 0:
            return self._pruned(row, style, seed, position, len(texts))
        targets = wording.targets.fill(values)
        return Rendered(
            inputs=inputs,
            targets=targets,
            answer=_answer(values, wording, targets),
            task=self.task.name,
            row=row,
            style=shown,
            wording=wording.id,
            exemplars=tuple(exemplars[:kept]),
            pruned=len(texts) - kept,
            frame=frame,
            option_style=PLAIN_OPTIONS if wording.options else None,
        )

    def _without_exemplars(self, row: int, shown: Style, wording: Wording, draws: Draws) -> Rendered:
        option_style = PLAIN_OPTIONS
        if wording.options and not shown.few_shot and not wording.plain_options:
            option_style = self._formats.option_style(draws, len(self.task.rows[row]["options"]))
        values = self._values(row, wording, option_style)
        inputs, targets = wording.inputs.fill(values), wording.targets.fill(values)
        as_it_is = inputs == values.get("inputs") and targets == values.get("targets")
        return Rendered(
            inputs=inputs,
            targets=targets,
            answer=_answer(values, wording, targets),
            task=self.task.name,
            row=row,
            style=shown,
            wording=wording.id,
            option_style=option_style if wording.options else None,
            conversation=values.get(CONVERSATION) if as_it_is else None,
        )

    def _pruned(self, row: int, style: Style, seed: int, position: int, pruned: int) -> Rendered:
        """The zero-shot example that takes the place of a few-shot one that has no room for any exemplar."""
        return replace(
            self.render(row, replace(style, few_shot=False, instruction="each"), seed, position),
            pruned=pruned,
        )

    def _own_exemplar(self, row: int) -> bool:
        """Whether the exemplar that a row holds is the row itself, whose answer it would give away."""
        fields = self.task.rows[row]
        return fields.get("positive_input") == fields.get("question")

    def _absent(self, row: int) -> frozenset[str]:
        """Which of the fields that other rows have this row lacks."""
        return self._partial.difference(self.task.rows[row]) if self._partial else self._partial

    def _exemplars(self, wording: Wording, draws: Draws, num_exemplars: int, row: int) -> list[int]:
        """Other rows that the wording can show; fewer where they are rare, so that looking for them ends."""
        if self._partial.isdisjoint(wording.fields | wording.requires):
            return draws.distinct(num_exemplars, len(self.task.rows), avoid=row)
        candidates = draws.distinct(num_exemplars + _LOOKED_AT, len(self.task.rows), avoid=row)
        return [number for number in candidates if _can_show(wording, self._absent(number))][:num_exemplars]

    def _exemplar(self, row: int, wording: Wording, frame: Frame, once: bool) -> str:
        values = self._values(row, wording, PLAIN_OPTIONS)
        return _item_text(values, wording, frame, once) + wording.targets.fill(values)

    def _values(self, row: int, wording: Wording, option_style: OptionStyle) -> dict[str, str]:
        fields = self.task.rows[row]
        values = {name: value for name, value in fields.items() if isinstance(value, str)}
        if not wording.options:
            return values
        options = fields["options"]
        if values.get("answer") not in options:
            raise InputError(
                f"{self.task.name} row {row}: the answer `{values.get('answer')}` is not among its "
                f"options {list(options)}"
            )
        values["options"] = option_style.block(options)
        answer = option_style.answer(options, values["answer"])
        # The marker `B.` before a full stop would read `B..`.
        values["answer"] = answer.rstrip(".") if option_style.counter and wording.closes else answer
        return values


def _can_show(wording: Wording, absent: frozenset[str]) -> bool:
    """Whether a wording needs none of the fields that a row lacks."""
    return absent.isdisjoint(wording.fields) and absent.isdisjoint(wording.requires)


def _check_lacking(task: Task, wordings: WordingSet) -> None:
    """Raises InputError for a field that every direct wording needs and some row lacks, with the place of
    that row. A row that lacks several fields, each needed by some wordings, is found when it is rendered."""
    direct = [
        wording for wording in wordings.wordings if not wording.inverted and wording.shots in ("any", "zero")
    ] or wordings.wordings
    for name, location in task.lacking:
        if not any(_can_show(wording, frozenset({name})) for wording in direct):
            count = sum(name not in task.rows[index] for index in range(len(task.rows)))
            more = f", as {count - 1:,} more of {len(task.rows):,} rows" if count > 1 else ""
            raise InputError(
                f"{location}: lacks `{name}`{more}, which other rows have and every wording of {task.name} "
                "names; "
                "give the row one, remove it, or add a wording"
            )


def _instruction(values: dict[str, str], wording: Wording) -> str:
    return wording.instruction.fill(values) + "\n\n" if wording.instruction else ""


def _item_text(values: dict[str, str], wording: Wording, frame: Frame, once: bool) -> str:
    """The text before the targets of one exemplar, or of the final item; labels are put before the item, not
    before its instruction."""
    item = frame.labels[0] + (wording.item or wording.inputs).fill(values) + frame.between + frame.labels[1]
    return item if once else _instruction(values, wording) + item


def _answer(values: dict[str, str], wording: Wording, targets: str) -> str:
    return (
        targets if wording.inverted else values["answer"] if "answer" in values else values.get("targets", "")
    )
