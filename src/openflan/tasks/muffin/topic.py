"""Topics: what a piece of news is about, and what kind of answer a question asks for.

The hub's copy of ag_news holds headline and description as one text; the original file, and TensorFlow
Datasets, hold them in columns of their own, `title` and `description`. trec's classes are numbered
differently there (abbreviation first) from the order in which the collection offers them.
"""

from __future__ import annotations

from functools import partial

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.labels import labelled, text
from openflan.tasks.task import Row

_FIELDS = ("text", "options", "answer")

_SECTIONS = ("World", "Sports", "Business", "Science/Tech")


def _ag_news(raw: Raw) -> Row | None:
    """`text` is all there is of the news; `title` and `description` are its parts, where the record has
    them."""
    if "title" not in raw or "description" not in raw:
        return labelled(raw, texts={"text": "text"}, classes=_SECTIONS)
    parts = {"title": text(raw, "title"), "description": text(raw, "description")}
    row = labelled({**raw, "text": "\n".join(parts.values())}, texts={"text": "text"}, classes=_SECTIONS)
    return {**row, **parts} if row and all(parts.values()) else None


_trec = partial(
    labelled,
    texts={"text": "text"},
    classes=(
        "abbreviation",
        "entity",
        "description",
        "human",
        "location",
        "numeric",
    ),  # ABBR, ENTY, DESC, HUM, LOC, NUM
    label="coarse_label",
    offered=("description", "entity", "abbreviation", "human", "numeric", "location"),
)

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "ag_news_subset",
        "fancyzhx/ag_news",
        "train",
        ("label",),
        _FIELDS,
        _ag_news,
        further=("title", "description"),
    ),
    Dataset("trec", "CogComp/trec", "train", ("text", "coarse_label"), _FIELDS, _trec),
)
