"""Texts to be mended: without capitals, without punctuation, or without blanks, made from the English side of
ParaCrawl's English-Danish pairs.

Rows that the change does not alter are left out, as there is nothing to mend. Records look like those of the
hub's translation sets, `{"translation": {"en": ..., "da": ...}}`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import partial

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.prose import complete, text
from openflan.tasks.task import Row


def damaged(raw: Raw, *, damage: Callable[[str], str]) -> Row | None:
    """The English text after `damage` as `source`, the text itself as `answer`. Raises ValueError if there is
    no English side."""
    sides = raw["translation"]
    if not isinstance(sides, Mapping) or "en" not in sides:
        raise ValueError("`translation` must hold `en`, the English side")
    sentence = " ".join(text(sides, "en").split())
    source = damage(sentence)
    return complete(source=source, answer=sentence) if source != sentence else None


def without_capitals(sentence: str) -> str:
    return sentence.lower()


def without_punctuation(sentence: str) -> str:
    """Without any character that Unicode counts as punctuation, apostrophes and hyphens among them."""
    return " ".join(
        "".join(mark for mark in sentence if not unicodedata.category(mark).startswith("P")).split()
    )


def without_blanks(sentence: str) -> str:
    return sentence.replace(" ", "")


def _dataset(name: str, window: str, damage: Callable[[str], str]) -> Dataset:
    return Dataset(
        name,
        "ParaCrawl/para_crawl/enda",
        f"train[{window}]",
        ("translation",),
        ("source", "answer"),
        partial(damaged, damage=damage),
    )


# Disjoint windows of the same rows; the 200 rows between two windows are for validation.
DATASETS: tuple[Dataset, ...] = (
    _dataset("true_case", ":30000", without_capitals),
    _dataset("fix_punct", "30200:60200", without_punctuation),
    _dataset("word_segment", "60400:90400", without_blanks),
)
