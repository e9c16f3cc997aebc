"""Which of the paper's formats an example is shown in.

Zero-shot or few-shot, with or without chain of thought, answer options shown or hidden (Chung et al. 2022,
Figure 3 and section 2.1); from the public release also inverted tasks, exemplars without any instruction, and
exemplars under an instruction that is given once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias

from openflan.errors import InputError, did_you_mean

Instruction: TypeAlias = Literal["each", "none", "top"]
"""Where a few-shot example says what to do: with each exemplar, nowhere (the exemplars show it),
or once on top of them."""

_SUFFIX: dict[Instruction, str] = {"each": "", "none": "-exemplars-only", "top": "-instruction-on-top"}


@dataclass(frozen=True, slots=True)
class Style:
    """A format, independent of any task.

    `rationale`: the chain of thought is shown, before the answer in the targets of a direct example.
    `options`: where a row has answer options, they are listed in the inputs. `inverted`: the targets are what
    is usually given, such as the question that an answer belongs to. `instruction` matters to few-shot
    examples alone.
    """

    few_shot: bool = False
    rationale: bool = False
    options: bool = True
    inverted: bool = False
    instruction: Instruction = "each"

    @property
    def name(self) -> str:
        """The name in recipes and reports, such as `few-shot-cot-inverted` or `zero-shot-no-options`."""
        marks = ((self.rationale, "-cot"), (self.inverted, "-inverted"), (not self.options, "-no-options"))
        return (
            ("few-shot" if self.few_shot else "zero-shot")
            + "".join(mark for shown, mark in marks if shown)
            + _SUFFIX[self.instruction]
        )

    @classmethod
    def parse(cls, name: str) -> Style:
        """The style of that name; raises InputError with the nearest one."""
        for style in ALL_STYLES:
            if style.name == name:
                return style
        raise InputError(
            f"`{name}` is not a style{did_you_mean(name, [style.name for style in ALL_STYLES]) or '.'} "
            "Styles: zero-shot or few-shot, then in this order any of -cot, -inverted, -no-options, "
            "and for few-shot one of -exemplars-only, -instruction-on-top"
        )


_SHOTS: tuple[tuple[bool, Instruction], ...] = (
    (False, "each"),
    (True, "each"),
    (True, "none"),
    (True, "top"),
)

ALL_STYLES = tuple(
    Style(few_shot, rationale, options, inverted, instruction)
    for few_shot, instruction in _SHOTS
    for rationale, inverted, options in product((False, True), (False, True), (True, False))
)


@dataclass(frozen=True, slots=True)
class StyleShares:
    """The share of each format among the examples of a task, each in [0, 1].

    `rationale` counts where a task has rationales, `options` where a row has answer options, `inverted` where
    a task has inverted wordings; elsewhere they do not apply. Of the few-shot examples, `instruction_on_top`
    give the instruction once, and of the rest `exemplars_only` give none, where the task has such wordings.
    `inverted_few_shot` is the share of inverted ones among few-shot examples, None for that of `inverted`.
    The recipe's defaults and their reasons are in the schema (`styles`).
    """

    few_shot: float = 0.5
    rationale: float = 1.0
    options: float = 0.5
    inverted: float = 0.0
    exemplars_only: float = 0.0
    instruction_on_top: float = 0.0
    inverted_few_shot: float | None = None
