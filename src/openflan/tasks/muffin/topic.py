"""Topics: what a piece of news is about, and what kind of answer a question asks for.

The hub's copy of ag_news holds headline and description as one text. trec's classes are numbered differently
there (abbreviation first) from the order in which the collection offers them.
"""

from __future__ import annotations

from functools import partial

from openflan.tasks.muffin.dataset import Dataset
from openflan.tasks.muffin.labels import labelled

_FIELDS = ("text", "options", "answer")

_ag_news = partial(labelled, texts={"text": "text"}, classes=("World", "Sports", "Business", "Science/Tech"))
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
    Dataset("ag_news_subset", "fancyzhx/ag_news", "train", ("text", "label"), _FIELDS, _ag_news),
    Dataset("trec", "CogComp/trec", "train", ("text", "coarse_label"), _FIELDS, _trec),
)
