"""The names of the fields of Muffin's data sets in the collection's own templates, and in the rows here.

The names on the left are those of the public release's record functions (flan/v2/task_configs_v1.py and
task_configs.py); a name that is not here is the same on both sides. Some copies of a data set hold two of the
release's fields as one text (AG News on the hub: title and description), or lack one (BoolQ: the title). A
template that shows the two together has a second form for their rows (`merged`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SUMMARY = {"text": "document", "summary": "answer"}
_DIALOG = {"dialog_": "context"}
_PROGRAM = {"question": "program"}
_TRANSLATION = {"lang1": "source_language", "sent1": "source", "lang2": "target_language", "sent2": "answer"}
# The release's first language is always English; the WMT 16 sets go towards it.
_INTO_ENGLISH = {"lang2": "source_language", "sent2": "source", "lang1": "target_language", "sent1": "answer"}

OF_KEY: Mapping[str, Mapping[str, str]] = {
    "aeslc": {"body": "document", "subject": "answer"},
    "ag_news_subset": {"text": "description"},
    "anli": {"context": "premise"},
    "bool_q": {"text": "passage"},
    "cnn_dailymail": {"text": "document", "highlights": "answer"},
    "common_gen": {"concepts_newline": "concept_lines", "target": "answer"},
    # The release has the word cause or effect there, in the midst of its sentences.
    "copa": {"question": "asked_for"},
    "coqa": {"text": "passage", "numbered_questions": "questions", "numbered_answers": "answer"},
    "dart": {"tripleset": "data", "tripleset_newline": "data", "target": "answer"},
    "drop": {"context": "passage"},
    "e2e_nlg": {"meaning_representation": "data", "target": "answer"},
    "fix_punct": {"no_punct": "source"},
    "gigaword": _SUMMARY,
    "hellaswag": {"activity_label": "activity"},
    "lambada": {"sentence": "passage"},
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
    "program_synthesis_dmcc_python": {"question": "problem"},
    "program_synthesis_dr_repair_error_comments": _PROGRAM,
    # Our rows hold the compiler's message apart; the release's question is the whole of it.
    "program_synthesis_dr_repair_line_numbers": {"question": "{program}\n{error}"},
    "program_synthesis_dr_repair_no_errors": _PROGRAM,
    "program_synthesis_dr_repair_plain_code": _PROGRAM,
    "qrecc": _DIALOG,
    "quac": {"context": "section"},
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
"""The release's key of a set of templates to their names for fields, each with ours; where ours are several,
with a pattern of them."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Two fields of the release, `first` shown right before `second`, and the field `whole` of rows that hold
    them as one text, or hold the second alone."""

    first: str
    second: str
    whole: str


MERGED: Mapping[str, Merged] = {
    "ag_news_subset": Merged("title", "text", "text"),
    "bool_q": Merged("title", "text", "passage"),
    "newsroom": Merged("title", "text", "document"),
    "quac": Merged("background", "context", "passage"),
}


def fields_of(key: str) -> Mapping[str, str]:
    """Our names for the fields that the templates of a key name otherwise; `key` without the mark of an
    inversion."""
    return OF_KEY.get(key, {})


def merged(key: str, text: str) -> str | None:
    """A template for rows in which two of its fields are one, or the first is absent, in our names for these;
    None for other keys, and where the first field stands apart from the second."""
    if key not in MERGED:
        return None
    pair = MERGED[key]
    joined = re.sub(
        rf"(?<!\{{)\{{{pair.first}\}}\s*[:.\-]?\s*\{{{pair.second}\}}(?!\}})", f"{{{pair.whole}}}", text
    )
    joined = joined.replace(f"{{{pair.second}}}", f"{{{pair.whole}}}")
    return None if f"{{{pair.first}}}" in joined else joined
