"""The nine languages of TyDi QA's gold passage task as data: number of questions in dev, and which of them is
the first by id.

That row is the exemplar where there is no train file. Counts and rows are those of version 1.1, split by
language.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """`questions` of dev, and the index of the one whose id sorts first."""

    questions: int
    first_by_id: int


TYDIQA_LANGUAGES: dict[str, Size] = {
    "arabic": Size(921, 84),
    "bengali": Size(113, 93),
    "english": Size(440, 368),
    "finnish": Size(782, 553),
    "indonesian": Size(565, 383),
    "korean": Size(276, 160),
    "russian": Size(812, 354),
    "swahili": Size(499, 350),
    "telugu": Size(669, 15),
}

TYDIQA_AVERAGED = tuple(language for language in TYDIQA_LANGUAGES if language != "english")
"""The paper's average leaves English out (Table 20)."""
