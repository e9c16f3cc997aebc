"""The names of the fields of Muffin's data sets in the collection's own templates, and in the rows here.

The names on the left are those of the public release's record functions (flan/v2/task_configs_v1.py); a name
that is not here is the same on both sides, or has no counterpart: `title` of BoolQ and Newsroom, which our
rows lack, leaves a template unused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SUMMARY = {"text": "document", "summary": "answer"}
_DIALOG = {"dialog_": "context"}
_TRANSLATION = {"lang1": "source_language", "sent1": "source", "lang2": "target_language", "sent2": "answer"}
# The release's first language is always English; the WMT 16 sets go towards it.
_INTO_ENGLISH = {"lang2": "source_language", "sent2": "source", "lang1": "target_language", "sent1": "answer"}

OF_KEY: Mapping[str, Mapping[str, str]] = {
    "aeslc": {"body": "document", "subject": "answer"},
    "anli": {"context": "premise"},
    "bool_q": {"text": "passage"},
    "cnn_dailymail": {"text": "document", "highlights": "answer"},
    "common_gen": {"target": "answer"},
    # The release has the word cause or effect there, in the midst of its sentences.
    "copa": {"question": "asked_for"},
    "coqa": {"text": "passage", "numbered_questions": "questions", "numbered_answers": "answer"},
    "dart": {"tripleset": "data", "tripleset_newline": "data", "target": "answer"},
    "drop": {"context": "passage"},
    "e2e_nlg": {"meaning_representation": "data", "target": "answer"},
    "fix_punct": {"no_punct": "source"},
    "gigaword": _SUMMARY,
    "hellaswag": {"activity_label": "activity"},
    "multi_news": _SUMMARY,
    "multirc": {"paragraph": "passage", "response": "candidate"},
    "newsroom": _SUMMARY,
    "opinion_abstracts_idebate": {
        "argument_sentences": "arguments",
        "debate_name": "debate",
        "claim": "answer",
    },
    "opinion_abstracts_rotten_tomatoes": {"numbered_reviews": "reviews", "critic_consensus": "answer"},
    "para_crawl": _TRANSLATION,
    "para_crawl_enes": _TRANSLATION,
    "predict_next_turn_dialog": _DIALOG,
    "qrecc": _DIALOG,
    "quac": {"context": "passage"},
    "samsum": {"dialogue": "document", "summary": "answer"},
    "squad_v1": {"context": "passage"},
    "squad_v2": {"context": "passage"},
    "task_master": _DIALOG,
    "true_case": {"lower": "source"},
    "web_nlg_en": {"input_string": "data", "target": "answer"},
    "wiki_dialog": _DIALOG,
    "wiki_lingua_english_en": {"source": "document", "target": "answer"},
    "wmt14_enfr": _TRANSLATION,
    "wmt16_translate": _INTO_ENGLISH,
    "wnli": {"sentence1": "premise", "sentence2": "hypothesis"},
    "word_segment": {"no_space": "source"},
    "wsc": {"context": "text", "text1": "noun", "text2": "pronoun"},
    "xsum": _SUMMARY,
}
"""The release's key of a set of templates to their names for fields, each with ours."""

# Two fields of the release that our rows hold as one text, where a template shows one right after the other.
_JOINED: Mapping[str, tuple[str, str]] = {
    "ag_news_subset": ("title", "text"),
    "quac": ("background", "context"),
}


def fields_of(key: str) -> Mapping[str, str]:
    """Our names for the fields that the templates of a key name otherwise; `key` without the mark of an
    inversion."""
    return OF_KEY.get(key, {})


def joined(key: str, text: str) -> str:
    """A template in which two fields that are one in our rows stand as one; itself for other keys, and where
    something is said between them."""
    if key not in _JOINED:
        return text
    first, second = _JOINED[key]
    return re.sub(rf"(?<!\{{)\{{{first}\}}\s*[:.\-]?\s*\{{{second}\}}(?!\}})", f"{{{second}}}", text)
