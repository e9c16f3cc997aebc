"""Summaries: of mails, news, conversations, instructions, reviews and arguments.

A document becomes `answer`. Reviews and arguments are numbered, up to ten of them, in the order of the
record. Cleaning is the collection's: Gigaword without its gaps, CNN without the dateline, SAMSum without what
stands in angle brackets. Multi-News keeps the mark `|||||` between its articles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.prose import complete, items, text, texts
from openflan.tasks.task import Row

MOST_OPINIONS = 10

# A place in capitalised words, then the agency in brackets, then a dash or nothing: `LONDON, England (CNN) --
# `, `(CNN)`.
_DATELINE = re.compile(
    r"(?:(?:[A-Z][\w.'’-]*,?|of|de|the)\s+){0,8}\((?:CNN|Reuters|AP|AFP)\b[^()\n]{0,40}\)\s*(?:--|[-–—])?\s*"
)
_ANGLE_BRACKETS = re.compile(r"<[^<>\n]*>")
_GAPS = frozenset({"unk", "<unk>"})


def document(raw: Raw, *, source: str = "document", summary: str = "summary") -> Row | None:
    """A row from a text and its summary in two columns."""
    return complete(document=text(raw, source), answer=text(raw, summary))


def cnn_dailymail(raw: Raw) -> Row | None:
    article = text(raw, "article")
    dateline = _DATELINE.match(article)
    return complete(
        document=article[dateline.end() :] if dateline else article, answer=text(raw, "highlights")
    )


def gigaword(raw: Raw) -> Row | None:
    """None if a word or a number has been blanked out, in either text; the gap is written in capitals in one
    split and in small letters in others."""
    sentence, headline = text(raw, "document"), text(raw, "summary")
    if "#" in sentence + headline or not _GAPS.isdisjoint(f"{sentence} {headline}".lower().split()):
        return None
    return complete(document=sentence, answer=headline)


def samsum(raw: Raw) -> Row | None:
    lines = (line.rstrip() for line in _ANGLE_BRACKETS.sub("", text(raw, "dialogue")).split("\n"))
    return complete(document="\n".join(lines).strip(), answer=text(raw, "summary"))


def wiki_lingua(raw: Raw) -> Row | None:
    """A row; None for pairs that involve another language, which some copies hold."""
    if any(raw.get(side) not in (None, "en", "english") for side in ("source_language", "target_language")):
        return None
    return document(raw, source="source", summary="target")


def newsroom(raw: Raw) -> Row | None:
    """A row with the article's `title`, where the record has one."""
    row, title = document(raw, source="text"), text(raw, "title") if "title" in raw else ""
    return {**row, "title": title} if row and title else row


def rotten_tomatoes(raw: Raw) -> Row | None:
    """`reviews` as numbered lines; `first_review` is the first of them, without its number."""
    reviews = _opinions(raw["_critics"], "_critics")
    return complete(
        movie=text(raw, "_movie_name"),
        reviews=_numbered(reviews),
        first_review=next(iter(reviews), ""),
        answer=text(raw, "_critic_consensus"),
    )


def idebate(raw: Raw) -> Row | None:
    arguments = _numbered(_opinions(raw["_argument_sentences"], "_argument_sentences"))
    return complete(debate=text(raw, "_debate_name"), arguments=arguments, answer=text(raw, "_claim"))


def _opinions(opinions: Any, column: str) -> list[str]:
    """The first opinions, each in one line. The original files keep them by their ids, TensorFlow Datasets as
    keys and values: a list of pairs, or a pair of lists."""
    if isinstance(opinions, Mapping):
        opinion_texts = (
            texts(opinions["value"], column)
            if "value" in opinions and not isinstance(opinions["value"], str)
            else texts([*opinions.values()], column)
        )
    else:
        opinion_texts = [text(opinion, "value") for opinion in items(opinions, column)]
    return [" ".join(opinion.split()) for opinion in opinion_texts if opinion][:MOST_OPINIONS]


def _numbered(opinions: Sequence[str]) -> str:
    return "\n".join(f"{number}. {opinion}" for number, opinion in enumerate(opinions, start=1))


_PAIR = ("document", "answer")

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "aeslc",
        "Yale-LILY/aeslc",
        "train",
        ("email_body", "subject_line"),
        _PAIR,
        partial(document, source="email_body", summary="subject_line"),
    ),
    Dataset(
        "cnn_dailymail",
        "abisee/cnn_dailymail/3.0.0",
        "train",
        ("article", "highlights"),
        _PAIR,
        cnn_dailymail,
    ),
    Dataset("gigaword", "Harvard/gigaword", "train", ("document", "summary"), _PAIR, gigaword),
    Dataset("multi_news", "alexfabbri/multi_news", "train", ("document", "summary"), _PAIR, document),
    # The hub has only a script for Newsroom, which asks for files that one must request; each line of them is
    # such a record.
    Dataset("newsroom", None, "train", ("text", "summary"), _PAIR, newsroom, further=("title",)),
    # Carved from 2,259 and 3,731 records: the last 600 are for validation and test.
    Dataset(
        "opinion_abstracts_idebate",
        None,
        "train[:-600]",
        ("_debate_name", "_argument_sentences", "_claim"),
        ("debate", "arguments", "answer"),
        idebate,
    ),
    Dataset(
        "opinion_abstracts_rotten_tomatoes",
        None,
        "train[:-600]",
        ("_movie_name", "_critics", "_critic_consensus"),
        ("movie", "reviews", "answer"),
        rotten_tomatoes,
        further=("first_review",),
    ),
    Dataset("samsum", "knkarthick/samsum", "train", ("dialogue", "summary"), _PAIR, samsum),
    Dataset(
        "wiki_lingua_english_en", "GEM/wiki_lingua/en", "train", ("source", "target"), _PAIR, wiki_lingua
    ),
    Dataset("xsum", "EdinburghNLP/xsum", "train", ("document", "summary"), _PAIR, document),
)
