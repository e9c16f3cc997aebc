"""Which of the paper's formats an example is shown in.

Zero-shot or few-shot, with or without chain of thought, answer options shown or hidden (Chung et al. 2022, Figure 3 and section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from openflan.errors import InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class Style:
    """A format, independent of any task.

    `rationale`: targets show the chain of thought before the answer. `options`: where a row has answer options, they are listed in the inputs.
    """

    few_shot: bool = False
    rationale: bool = False
    options: bool = True

    @property
    def name(self) -> str:
        """Such as `few-shot-cot` or `zero-shot-no-options`."""
        shots = "few-shot" if self.few_shot else "zero-shot"
        return shots + ("-cot" if self.rationale else "") + ("" if self.options else "-no-options")

    @classmethod
    def parse(cls, name: str) -> Style:
        """The style of that name; raises InputError with the nearest one."""
        for style in ALL_STYLES:
            if style.name == name:
                return style
        names = [style.name for style in ALL_STYLES]
        raise InputError(f"`{name}` is not a style{did_you_mean(name, names) or '.'} Styles: {', '.join(names)}")


ALL_STYLES = tuple(Style(few, rationale, options) for few in (False, True) for rationale in (False, True) for options in (True, False))


@dataclass(frozen=True, slots=True)
class StyleShares:
    """The share of each format inside a submixture, each in [0, 1].

    `rationale` counts where a task has rationales, `options` where a row has answer options; elsewhere they do not apply. The defaults are those of
    the public release of the collection: zero- and few-shot one to one, options shown half of the time, chains always shown.
    """

    few_shot: float = 0.5
    rationale: float = 1.0
    options: float = 0.5
