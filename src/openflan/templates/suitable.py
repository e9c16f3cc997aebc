"""Which wordings of a set suit a style and a row, and the style that an example then has."""

from __future__ import annotations

from openflan.templates.style import Instruction, Style
from openflan.templates.wording import Wording


def suitable(wordings: tuple[Wording, ...], style: Style, fields: frozenset[str]) -> tuple[Wording, ...]:
    """The wordings for a style and a row with `fields`; where a set has none for it, those that come nearest.

    What is shown of a rationale comes before inversion: a run without chains of thought must not meet them in
    inverted examples.
    """
    shots = ("any", "few", "inside") if style.few_shot else ("any", "zero")
    chosen = [wording for wording in wordings if wording.shots in shots] or [
        wording for wording in wordings if wording.shots != "inside"
    ]
    chosen = [wording for wording in chosen if wording.rationale == style.rationale] or chosen
    chosen = [wording for wording in chosen if wording.inverted == style.inverted] or chosen
    if style.few_shot:
        chosen = (
            [wording for wording in chosen if _instructs(wording, style.instruction)]
            or [wording for wording in chosen if _instructs(wording, "each")]
            or chosen
        )
    return tuple(
        [wording for wording in chosen if wording.options == (style.options and "options" in fields)]
        or chosen
    )


def _instructs(wording: Wording, instruction: Instruction) -> bool:
    """Whether a few-shot wording can place its instruction as `instruction` says."""
    if instruction == "top":
        return wording.instruction is not None or wording.shots == "inside"
    return wording.shots != "inside" and wording.bare == (instruction == "none")


def actual_style(wording: Wording, style: Style, fields: frozenset[str]) -> Style:
    """The actual style of an example: a row without a rationale or options has no such format."""
    instruction: Instruction = "each"
    if style.few_shot and wording.bare:
        instruction = "none"
    elif style.few_shot and (
        wording.shots == "inside" or (style.instruction == "top" and wording.instruction is not None)
    ):
        instruction = "top"
    return Style(
        style.few_shot,
        wording.rationale,
        wording.options or "options" not in fields,
        wording.inverted,
        instruction,
    )
