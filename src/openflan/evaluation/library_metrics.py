"""Metrics that other libraries define: ROUGE-L with stemming (`rouge-score`), BLEU and chrF (`sacrebleu`).

Both libraries are in the extra `metrics` and are imported when a metric is computed.

ROUGE-L is what the script of Super-NaturalInstructions reports for its English track: `rougeL` of
`rouge-score` with the Porter stemmer, F measure. Its tokens are runs of a-z and 0-9 in lower case, so a text
in another script has none, and scores 0.

BLEU and chrF are computed over all answers of a task, as they are published; neither is a mean over
questions. chrF of a single answer stands beside them, because intervals and paired comparisons need a value
for each question. BLEU's tokenizer follows the script of the references: `zh` for Han without kana, `char`
for other scripts without spaces, else sacrebleu's default, `13a`. Decision: `ja-mecab`, which published
figures of Japanese use, is not chosen, as it needs a dictionary.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Literal

from openflan.errors import SetupError

Corpus = Callable[[Sequence[str], Sequence[tuple[str, ...]]], float]
"""A metric of all answers of a task, given with the references of each; in percent."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_OTHER_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def library(name: Literal["rouge_score.rouge_scorer", "sacrebleu"]) -> Any:
    """A library of the extra `metrics`; raises SetupError with the pip line if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        package = "rouge-score" if name.startswith("rouge") else name
        raise SetupError(
            f"this metric needs the library {package}: pip install 'openflan[metrics]'; or choose a metric "
            "that needs none, such as rouge_l (of tasks: `--metric rouge_l`)"
        ) from None


def rouge_l_stemmed(answer: str, target: str) -> float:
    """ROUGE-L of `rouge-score` with the Porter stemmer: the F measure in 0..1, 0 if either has no token."""
    return float(_scorer().score(target=target, prediction=answer)["rougeL"].fmeasure)


def exact_without_punctuation(answer: str, target: str) -> float:
    """1.0 if both are equal in lower case, without ASCII punctuation, with single spaces: the exact match of
    Super-NaturalInstructions, which is SQuAD's without its removal of articles."""
    return float(_without_punctuation(answer) == _without_punctuation(target))


def sentence_chrf(answer: str, target: str) -> float:
    """chrF of one answer against one reference, in 0..1."""
    return float(_chrf().sentence_score(answer, [target]).score) / 100


def corpus_chrf(answers: Sequence[str], references: Sequence[tuple[str, ...]]) -> float:
    """chrF over all answers, in percent. Answers may have different numbers of references."""
    return float(_chrf().corpus_score(list(answers), _streams(references)).score)


def corpus_bleu(answers: Sequence[str], references: Sequence[tuple[str, ...]]) -> float:
    """BLEU over all answers, in percent. Answers may have different numbers of references."""
    return float(_bleu(tokenizer_of(references)).corpus_score(list(answers), _streams(references)).score)


def tokenizer_of(references: Sequence[tuple[str, ...]]) -> str:
    """The name of BLEU's tokenizer for the script in which most of the references are written."""
    texts = [text for of_question in references for text in of_question]
    han, kana, other = (
        sum(bool(script.search(text)) for text in texts) for script in (_HAN, _KANA, _OTHER_UNSPACED)
    )
    if 2 * (kana + other) > len(texts):
        return "char"
    return "zh" if 2 * han > len(texts) else "13a"


def rouge_signature(references: Sequence[tuple[str, ...]]) -> str:
    """What computes `rouge_l_stemmed`, with its version."""
    from importlib.metadata import version

    library("rouge_score.rouge_scorer")
    return f"rouge-score {version('rouge-score')}, rougeL, Porter stemmer, F measure, best reference"


def bleu_signature(references: Sequence[tuple[str, ...]]) -> str:
    """sacrebleu's signature of the BLEU of answers with these references."""
    return _signed(_bleu(tokenizer_of(references)), references)


def chrf_signature(references: Sequence[tuple[str, ...]]) -> str:
    """sacrebleu's signature of chrF."""
    return _signed(_chrf(), references)


SIGNATURES: Mapping[str, Callable[[Sequence[tuple[str, ...]]], str]] = {
    "rouge_l_stemmed": rouge_signature,
    "bleu": bleu_signature,
    "chrf": chrf_signature,
}
"""By metric, what says how it was computed; scores of different signatures do not compare."""


@cache
def _scorer() -> Any:
    return library("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=True)


@cache
def _bleu(tokenizer: str) -> Any:
    return library("sacrebleu").metrics.BLEU(tokenize=tokenizer)


@cache
def _chrf() -> Any:
    return library("sacrebleu").metrics.CHRF()


def _signed(metric: Any, references: Sequence[tuple[str, ...]]) -> str:
    """sacrebleu's signature, which it knows after a score was computed."""
    metric.corpus_score([""] * len(references), _streams(references))
    return str(metric.get_signature())


def _streams(references: Sequence[tuple[str, ...]]) -> list[list[str | None]]:
    """sacrebleu's form: the first reference of every question, then the second, None where there is none."""
    most = max(map(len, references))
    return [[texts[at] if at < len(texts) else None for texts in references] for at in range(most)]


def _without_punctuation(text: str) -> str:
    return " ".join(text.lower().translate(_PUNCTUATION).split())
