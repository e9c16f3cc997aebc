"""Exemplar frames and option lists, drawn per example.

The paper draws exemplar delimiters at random (Chung et al. 2022, section 2.1); the public release fixes them
per task. We draw, from a seed, and record what was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from openflan.randomness import Draws
from openflan.yaml_files import read_yaml

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ROMAN = tuple(
    tens + ones
    for tens in ("", "X", "XX")
    for ones in ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
)[: len(_UPPER)]


@dataclass(frozen=True, slots=True)
class Frame:
    """The text around exemplars; `labels` come before inputs and before targets."""

    labels: tuple[str, str]
    between: str
    separator: str


@dataclass(frozen=True, slots=True)
class OptionStyle:
    """The form of a list of options. `marker` is a bullet, or holds `{}` for a counter; counters tell options
    apart and so become the answer."""

    header: str
    marker: str
    counter: str
    ending: str

    def markers(self, count: int) -> list[str]:
        if not self.counter:
            return [self.marker] * count
        return [self.marker.format(_count(self.counter, number)) for number in range(count)]

    def block(self, options: Sequence[str]) -> str:
        """The header and one line an option."""
        lines = [
            marker + option + self.ending
            for marker, option in zip(self.markers(len(options)), options, strict=True)
        ]
        return "\n".join([self.header, *lines] if self.header else lines)

    def answer(self, options: Sequence[str], answer: str) -> str:
        """The target for `answer`: its marker where markers differ, else its text.

        A marker keeps its brackets and dots, `(B)` and `B.`, as in the public release; what leads over to the
        option, `B:` or `B =`, is not part of it.
        """
        return (
            self.markers(len(options))[options.index(answer)].strip().rstrip(" =:-")
            if self.counter
            else answer
        )


PLAIN_OPTIONS = OptionStyle("Options:", "- ", "", "")


@dataclass(frozen=True, slots=True)
class Formats:
    """The stock that frames and option styles are drawn from."""

    labels: tuple[tuple[str, str], ...]
    between: tuple[str, ...]
    separators: tuple[str, ...]
    headers: tuple[str, ...]
    markers: tuple[tuple[str, str], ...]
    endings: tuple[str, ...]

    def frame(self, draws: Draws, *, labelled: bool) -> Frame:
        labels = draws.choice(self.labels) if labelled else ("", "")
        return Frame(labels, draws.choice(self.between), draws.choice(self.separators))

    def option_style(self, draws: Draws, count: int) -> OptionStyle:
        """A style for `count` options; a list that is longer than the alphabet is bulleted plainly unless it
        is numbered."""
        header, (marker, counter), ending = (
            draws.choice(self.headers),
            draws.choice(self.markers),
            draws.choice(self.endings),
        )
        return (
            OptionStyle(header, marker, counter, ending)
            if count <= len(_UPPER) or counter in ("", "digit")
            else PLAIN_OPTIONS
        )


@cache
def packaged_formats() -> Formats:
    """The formats of `formats.yaml`, which comes with openflan."""
    document = read_yaml(Path(str(files("openflan.templates") / "formats.yaml")))
    frames, options = document["frames"], document["options"]
    return Formats(
        labels=tuple((before, after) for before, after in frames["labels"]),
        between=tuple(frames["between"]),
        separators=tuple(frames["separator"]),
        headers=tuple(options["headers"]),
        markers=(
            *((bullet, "") for bullet in options["bullets"]),
            *((form, counter) for form in options["enumerations"] for counter in options["counters"]),
        ),
        endings=tuple(options["endings"]),
    )


def _count(counter: str, index: int) -> str:
    """The `index`-th mark (from 0) of a counter."""
    if counter == "digit":
        return str(index + 1)
    if counter == "roman":
        return _ROMAN[index]
    return _UPPER[index] if counter == "upper" else _UPPER[index].lower()
