"""Compares an answer with a reference: equality in four strictnesses, and two measures between 0 and 1.

`squad` is SQuAD 1.1's rule, which TyDi QA names: case, ASCII punctuation, English articles and white space do
not matter. ROUGE-L (`rouge_l`) is the F measure of the longest common subsequence of words, without a
stemmer: words of any script count, and in scripts without spaces every character is a word. It is for every
language. For English, `rouge_l_stemmed` is that of Super-NaturalInstructions, which reduces words to stems
first (`library_metrics.py`). Numbers are compared by value.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from openflan.evaluation.extract import first_sentence, plain, starts_with_number
from openflan.evaluation.library_metrics import (
    Corpus,
    corpus_bleu,
    corpus_chrf,
    exact_without_punctuation,
    library,
    rouge_l_stemmed,
    sentence_chrf,
)
from openflan.evaluation.numbers import number

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, kana, Han."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class Metric:
    """`compare` decides what counts as right; `beside` are further measures by name. `own` is the one that is
    the task's score. `corpus` are measures of all answers of a task together, by name. `needs` is the library
    that computes it, if it is not a dependency."""

    compare: Callable[[str, str], bool]
    beside: Mapping[str, Callable[[str, str], float]] = field(default_factory=dict)
    own: str = "accuracy"
    corpus: Mapping[str, Corpus] = field(default_factory=dict)
    needs: Literal["rouge_score.rouge_scorer", "sacrebleu"] | None = None

    def check_library(self) -> None:
        """Raises SetupError with the pip line if the library that computes the metric is not installed."""
        if self.needs:
            library(self.needs)


def normalised(text: str) -> str:
    """Text without outer white space, one final period and case."""
    return (plain(text) or "").casefold()


def same_text(answer: str, target: str) -> bool:
    return normalised(answer) == normalised(target)


def same_number(answer: str, target: str) -> bool:
    """True if the answer starts with the target's number. In a target in GSM8K's form the number follows
    `####`."""
    expected = number(target.rpartition("####")[2])
    return expected is not None and starts_with_number(answer) and number(first_sentence(answer)) == expected


def squad_normalised(text: str) -> str:
    """The text in the form that SQuAD 1.1 compares: lower case, without ASCII punctuation, then without
    articles, with single spaces."""
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def squad_exact(answer: str, target: str) -> bool:
    return squad_normalised(answer) == squad_normalised(target)


def squad_f1(answer: str, target: str) -> float:
    """The F measure of the words, as a bag; 0 without a common word."""
    answer_words, target_words = (
        Counter(squad_normalised(answer).split()),
        Counter(squad_normalised(target).split()),
    )
    common = (answer_words & target_words).total()
    return 2 * common / (answer_words.total() + target_words.total()) if common else 0.0


def rouge_l(answer: str, target: str) -> float:
    """The F measure of the longest common subsequence of words, case ignored; 0 if either has no word."""
    answer_words, target_words = words(answer), words(target)
    return (
        2 * common_subsequence(answer_words, target_words) / (len(answer_words) + len(target_words))
        if answer_words and target_words
        else 0.0
    )


def words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence, a row of the table at a time as the bits of one integer
    (Hyyrö 2004).

    The bits stand for the shorter of the two, so that a long answer to a short reference takes time in
    proportion to its length.
    """
    first, second = sorted((first, second), key=len)
    places: dict[str, int] = {}
    for index, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << index
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & full
    return len(first) - row.bit_count()


METRICS: dict[str, Metric] = {
    "exact_match": Metric(same_text),
    "accuracy": Metric(same_text),
    "squad": Metric(squad_exact, {"f1": squad_f1}),
    "rouge_l": Metric(same_text, {"rouge_l": rouge_l}, own="rouge_l"),
    "rouge_l_stemmed": Metric(
        same_text,
        {"rouge_l_stemmed": rouge_l_stemmed, "exact_match": exact_without_punctuation},
        own="rouge_l_stemmed",
        needs="rouge_score.rouge_scorer",
    ),
    "translation": Metric(
        same_text,
        {"sentence_chrf": sentence_chrf},
        own="sentence_chrf",
        corpus={"bleu": corpus_bleu, "chrf": corpus_chrf},
        needs="sacrebleu",
    ),
    "numeric": Metric(same_number),
}
"""By the name that a task or a benchmark file gives. Super-NaturalInstructions reports exact match and
ROUGE-L for every task."""
