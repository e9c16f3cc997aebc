"""Translations. Each set has one direction, that of its name: `wmt16_translate_csen` goes from Czech to
English.

The languages are fields, so that one set of wordings serves all pairs; the other direction is what inverted
wordings ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.prose import complete, text
from openflan.tasks.task import Row

LANGUAGES = {
    "cs": "Czech",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "ro": "Romanian",
    "ru": "Russian",
    "tr": "Turkish",
}


def pair(raw: Raw, *, source: str, target: str) -> Row | None:
    """Raises ValueError if the pair lacks one of the two languages."""
    sides = raw["translation"]
    if not isinstance(sides, Mapping) or not {source, target} <= sides.keys():
        raise ValueError(
            f"`translation` must hold `{source}` and `{target}`; found "
            f"{sorted(sides) if isinstance(sides, Mapping) else type(sides).__name__}"
        )
    return complete(
        source=text(sides, source),
        answer=text(sides, target),
        source_language=LANGUAGES[source],
        target_language=LANGUAGES[target],
    )


def _dataset(name: str, hub: str, split: str = "train") -> Dataset:
    fields = ("source", "answer", "source_language", "target_language")
    return Dataset(
        name, hub, split, ("translation",), fields, partial(pair, source=name[-4:-2], target=name[-2:])
    )


DATASETS: tuple[Dataset, ...] = (
    _dataset("para_crawl_enes", "ParaCrawl/para_crawl/enes", "train[:30000]"),
    _dataset("wmt14_enfr", "wmt/wmt14/fr-en"),
    _dataset("wmt16_translate_csen", "wmt/wmt16/cs-en"),
    _dataset("wmt16_translate_deen", "wmt/wmt16/de-en"),
    _dataset("wmt16_translate_fien", "wmt/wmt16/fi-en"),
    _dataset("wmt16_translate_roen", "wmt/wmt16/ro-en"),
    _dataset("wmt16_translate_ruen", "wmt/wmt16/ru-en"),
    _dataset("wmt16_translate_tren", "wmt/wmt16/tr-en"),
)
