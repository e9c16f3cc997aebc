"""Sentiment: is a review or a tweet negative or positive?"""

from __future__ import annotations

from functools import partial

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.labels import labelled, text
from openflan.tasks.task import Row

_CLASSES = ("negative", "positive")
_TWEETS = {0: "negative", 4: "positive"}
_NEUTRAL = 2


def _without_breaks(review: str) -> str:
    """imdb's HTML breaks as newlines."""
    return review.replace("<br />", "\n")


def _unescaped(review: str) -> str:
    """yelp's escapes: a doubled quote behind a backslash is a quote, backslash n a blank."""
    return review.replace('\\""', '"').replace("\\n", " ")


def _tweet(raw: Raw) -> Row | None:
    """sentiment140 counts polarity from 0 to 4; the neutral tweets of its test file have no class word, and
    are left out."""
    polarity = raw.get("sentiment")
    tweet = text(raw, "text")
    if polarity in (None, -1, _NEUTRAL) or not tweet:
        return None
    if not isinstance(polarity, int) or polarity not in _TWEETS:
        raise ValueError(
            f"`sentiment` is `{str(polarity)[:60]}`, expected 0 (negative), 2 (neutral) or 4 (positive)"
        )
    return {"text": tweet, "options": list(_CLASSES), "answer": _TWEETS[polarity]}


_FIELDS = ("text", "options", "answer")
_imdb = partial(labelled, texts={"text": "text"}, classes=_CLASSES, clean=_without_breaks)
_sst2 = partial(labelled, texts={"sentence": "sentence"}, classes=_CLASSES)
_yelp = partial(labelled, texts={"text": "text"}, classes=_CLASSES, clean=_unescaped)

DATASETS: tuple[Dataset, ...] = (
    Dataset("imdb_reviews", "stanfordnlp/imdb/plain_text", "train", ("text", "label"), _FIELDS, _imdb),
    Dataset(
        "sentiment140",
        "stanfordnlp/sentiment140/sentiment140",
        "train",
        ("text", "sentiment"),
        _FIELDS,
        _tweet,
    ),
    Dataset(
        "sst2", "nyu-mll/glue/sst2", "train", ("sentence", "label"), ("sentence", "options", "answer"), _sst2
    ),
    Dataset(
        "yelp_polarity_reviews",
        "fancyzhx/yelp_polarity/plain_text",
        "train",
        ("text", "label"),
        _FIELDS,
        _yelp,
    ),
)
