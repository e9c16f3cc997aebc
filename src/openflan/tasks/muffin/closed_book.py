"""Questions to be answered from memory, and equations: Natural Questions, TriviaQA and the linear equations
of the mathematics dataset.

TriviaQA is read without its documents, from the configuration that holds each question once.
`trivia_qa_wiki_missing` is named in the collection's table but defined nowhere; it is read here as the
questions for which no Wikipedia page was found, a reading of the name alone.
"""

from __future__ import annotations

import ast
import re

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.labels import text
from openflan.tasks.muffin.nested import filled, struct, texts
from openflan.tasks.task import Row

_BYTES = re.compile(r"b(['\"]).*\1", re.DOTALL)


def natural_questions(raw: Raw) -> Row | None:
    """A question mark is appended, and the first of the accepted answers is the target, as in the
    collection."""
    question, answers = text(raw, "question"), texts(raw, "answer")
    if not question or not answers:
        return None
    return filled({"question": question.removesuffix("?").rstrip() + "?", "answer": answers[0]})


def trivia_qa(raw: Raw) -> Row | None:
    """The target is the normalised value: lower case, without articles and punctuation."""
    return filled(
        {"question": text(raw, "question"), "answer": text(struct(raw, "answer"), "normalized_value")}
    )


def trivia_qa_wiki_missing(raw: Raw) -> Row | None:
    """Only questions with search results but no Wikipedia page. A copy without any documents does not
    distinguish them, so it gives no rows."""
    if texts(struct(raw, "entity_pages"), "title") or not texts(struct(raw, "search_results"), "title"):
        return None
    return trivia_qa(raw)


def math_dataset(raw: Raw) -> Row | None:
    """The hub's copy holds both texts as Python writes bytes, `b'...\\n'`; they are unwrapped."""
    return filled({"question": _unwrapped(raw, "question"), "answer": _unwrapped(raw, "answer")})


def _unwrapped(raw: Raw, column: str) -> str:
    value = text(raw, column)
    if not _BYTES.fullmatch(value):
        return value
    try:
        return str(ast.literal_eval(value).decode("utf-8")).strip()
    except (SyntaxError, ValueError):
        raise ValueError(
            f"`{column}` is {value[:40]!r}, expected a text or bytes as Python writes them"
        ) from None


_FIELDS = ("question", "answer")

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "natural_questions",
        "google-research-datasets/nq_open",
        "train",
        ("question", "answer"),
        _FIELDS,
        natural_questions,
    ),
    Dataset(
        "trivia_qa",
        "mandarjoshi/trivia_qa/unfiltered.nocontext",
        "train",
        ("question", "answer"),
        _FIELDS,
        trivia_qa,
    ),
    Dataset(
        "trivia_qa_wiki_missing",
        "mandarjoshi/trivia_qa/unfiltered",
        "train",
        ("question", "answer", "entity_pages", "search_results"),
        _FIELDS,
        trivia_qa_wiki_missing,
    ),
    Dataset(
        "math_dataset",
        "deepmind/math_dataset/algebra__linear_1d",
        "train",
        ("question", "answer"),
        _FIELDS,
        math_dataset,
    ),
)
