"""All data sets of Muffin that have a row function, by name."""

from __future__ import annotations

from collections.abc import Mapping

from openflan.tasks.muffin import (
    closed_book,
    commonsense,
    data_to_text,
    dialog,
    language,
    nli,
    paraphrase,
    program_synthesis,
    reading,
    science,
    sentiment,
    summarization,
    text_repair,
    topic,
    translation,
)
from openflan.tasks.muffin.dataset import Dataset

_FAMILIES = (
    nli,
    paraphrase,
    sentiment,
    language,
    topic,
    science,
    closed_book,
    reading,
    commonsense,
    summarization,
    data_to_text,
    translation,
    text_repair,
    dialog,
    program_synthesis,
)

DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset for family in _FAMILIES for dataset in family.DATASETS
}
