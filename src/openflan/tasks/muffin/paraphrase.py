"""Paraphrase: do two sentences, or two questions, mean the same, and how alike are they?"""

from __future__ import annotations

import math
from functools import partial

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.labels import labelled, text
from openflan.tasks.task import Row

_SENTENCES = {"sentence1": "sentence1", "sentence2": "sentence2"}
_QUESTIONS = {"question1": "question1", "question2": "question2"}
_SCORES = ("0", "1", "2", "3", "4", "5")


def _one_quote(question: str) -> str:
    """qqp's doubled double quotes, left over from its TSV file, as one single quote."""
    return question.replace('""', "'")


def _similarity(raw: Raw) -> Row | None:
    """stsb's gold score, a mean of several raters, rounded to an integer, halves to the even one as
    TensorFlow does."""
    score = raw.get("label")
    if score is None or score == -1:
        return None
    if (
        isinstance(score, bool)
        or not isinstance(score, int | float)
        or not math.isfinite(score)
        or not 0 <= score <= 5
    ):
        raise ValueError(
            f"`label` is `{str(score)[:60]}`, expected a score from 0 to 5, or -1 for unlabelled"
        )
    fields = {column: text(raw, column) for column in _SENTENCES}
    return (
        {**fields, "options": list(_SCORES), "answer": _SCORES[round(score)]}
        if all(fields.values())
        else None
    )


# The hub numbers these not equivalent, equivalent.
_sentences = partial(labelled, texts=_SENTENCES, classes=("no", "yes"))
_questions = partial(labelled, texts=_QUESTIONS, classes=("no", "yes"), clean=_one_quote)

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "glue_mrpc",
        "nyu-mll/glue/mrpc",
        "train",
        (*_SENTENCES, "label"),
        (*_SENTENCES, "options", "answer"),
        _sentences,
    ),
    Dataset(
        "glue_qqp",
        "nyu-mll/glue/qqp",
        "train",
        (*_QUESTIONS, "label"),
        (*_QUESTIONS, "options", "answer"),
        _questions,
    ),
    Dataset(
        "paws_wiki",
        "google-research-datasets/paws/labeled_final",
        "train",
        (*_SENTENCES, "label"),
        (*_SENTENCES, "options", "answer"),
        _sentences,
    ),
    Dataset(
        "stsb",
        "nyu-mll/glue/stsb",
        "train",
        (*_SENTENCES, "label"),
        (*_SENTENCES, "options", "answer"),
        _similarity,
    ),
)
