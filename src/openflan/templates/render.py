"""A row becomes text: `inputs` for the model to read and `targets` for it to learn.

Rendering is a pure function of (task, row, style, seed, position): wording, exemplars, delimiters and option list are drawn from those alone, so an
example can be made again anywhere, and says itself where it came from.

Departures from the public release, on purpose: a row is never its own exemplar; wordings are drawn per example instead of cycling, so no remainder
rows are lost; delimiters are drawn per example as the paper says; separators never end up in targets; an example whose exemplars do not fit becomes
zero-shot instead of vanishing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from openflan.errors import InputError
from openflan.randomness import Draws
from openflan.tasks.task import Row, Task
from openflan.templates.formats import PLAIN_OPTIONS, Formats, Frame, OptionStyle, packaged_formats
from openflan.templates.style import ALL_STYLES, Style
from openflan.templates.wording import Wording, WordingSet

SHOTS = (5, 5, 2, 3)
"""Numbers of exemplars, drawn evenly: half of the release's few-shot examples have five, the other half two or three."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One example as text, and where it came from.

    `answer` is what the targets end in or consist of, as an evaluator should find it. `exemplars` are row indices of the same task; `pruned` counts
    those left out because they did not fit.
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

    def provenance(self) -> dict[str, object]:
        """What is needed to find the example again, as plain JSON values."""
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


@dataclass(frozen=True, slots=True)
class Room:
    """How long a few-shot example's inputs may be, exemplars with their targets included: at most `tokens`, as counted by `measure`."""

    tokens: int
    measure: Callable[[str], int]


class Renderer:
    """Renders the rows of one task with one set of wordings."""

    def __init__(self, task: Task, wordings: WordingSet, formats: Formats | None = None) -> None:
        self.task = task
        self._formats = formats or packaged_formats()
        self._wordings = {style: _suitable(wordings.wordings, style, task) for style in ALL_STYLES}

    def render(self, row: int, style: Style, seed: int, position: int, *, shots: int | None = None, room: Room | None = None) -> Rendered:
        """The example of `row` that stands at `position` of a run with `seed`.

        `shots`: number of exemplars, drawn from SHOTS if None. `room`: exemplars are dropped from the end until the rest fits.
        Raises InputError naming task and row if the answer is not among the row's options.
        """
        draws = Draws(seed, "render", self.task.name, row, position)
        wording = draws.choice(self._wordings[style])
        # What is recorded is what was shown: a task without rationales or options has no such format.
        shown = Style(style.few_shot, wording.rationale, wording.options or "options" not in self.task.fields)
        if not style.few_shot:
            return self._zero_shot(row, shown, wording, draws)
        wanted = draws.choice(SHOTS) if shots is None else shots
        exemplars = draws.distinct(wanted, len(self.task.rows), avoid=row)
        frame = self._formats.frame(draws, labelled=wording.labels)
        values = self._values(self.task.rows[row], row, PLAIN_OPTIONS if wording.options else None)
        final = (frame.labels[0] + wording.inputs.fill(values) + frame.between + frame.labels[1]).rstrip(" ")
        texts = [self._exemplar(index, wording, frame) for index in exemplars]
        inputs, kept = _fitting(texts, final, frame.separator, room)
        if kept == 0:
            return replace(self.render(row, replace(style, few_shot=False), seed, position), pruned=len(texts))
        return Rendered(
            inputs=inputs,
            targets=wording.targets.fill(values),
            answer=_answer(values),
            task=self.task.name,
            row=row,
            style=shown,
            wording=wording.id,
            exemplars=tuple(exemplars[:kept]),
            pruned=len(texts) - kept,
            frame=frame,
            option_style=PLAIN_OPTIONS if wording.options else None,
        )

    def _zero_shot(self, row: int, style: Style, wording: Wording, draws: Draws) -> Rendered:
        fields = self.task.rows[row]
        option_style = self._formats.option_style(draws, len(fields["options"])) if wording.options else None
        values = self._values(fields, row, option_style)
        return Rendered(
            inputs=wording.inputs.fill(values),
            targets=wording.targets.fill(values),
            answer=_answer(values),
            task=self.task.name,
            row=row,
            style=style,
            wording=wording.id,
            option_style=option_style,
        )

    def _exemplar(self, row: int, wording: Wording, frame: Frame) -> str:
        values = self._values(self.task.rows[row], row, PLAIN_OPTIONS if wording.options else None)
        return frame.labels[0] + wording.inputs.fill(values) + frame.between + frame.labels[1] + wording.targets.fill(values)

    def _values(self, fields: Row, row: int, option_style: OptionStyle | None) -> dict[str, str]:
        values = {name: value for name, value in fields.items() if isinstance(value, str)}
        options = fields.get("options")
        if options is not None and option_style is not None:
            if values.get("answer") not in options:
                raise InputError(f"{self.task.name} row {row}: the answer `{values.get('answer')}` is not among its options {list(options)}")
            values["options"] = option_style.block(options)
            values["answer"] = option_style.answer(options, values["answer"])
        return values


def _suitable(wordings: tuple[Wording, ...], style: Style, task: Task) -> tuple[Wording, ...]:
    """The wordings for a style; where a set has none for it, those that come nearest."""
    shots = "few" if style.few_shot else "zero"
    found = [wording for wording in wordings if wording.shots in ("any", shots)] or list(wordings)
    found = [wording for wording in found if wording.rationale == style.rationale] or found
    return tuple([wording for wording in found if wording.options == (style.options and "options" in task.fields)] or found)


def _fitting(exemplars: list[str], final: str, separator: str, room: Room | None) -> tuple[str, int]:
    """The few-shot inputs with as many of `exemplars`, from the first, as fit, and their number.

    The joined text is measured: separators have tokens too, and the tokens of parts do not add up.
    """
    for kept in range(len(exemplars), 0, -1):
        inputs = separator.join([*exemplars[:kept], final])
        if room is None or _most_tokens(inputs) <= room.tokens or room.measure(inputs) <= room.tokens:
            return inputs, kept
    return final, 0


def _most_tokens(text: str) -> int:
    """What a text's tokens hardly ever exceed, without a tokenizer: one a byte, and marks at both ends."""
    return len(text.encode()) + 2


def _answer(values: Mapping[str, str]) -> str:
    return values["answer"] if "answer" in values else values.get("targets", "")
