"""Records of Muffin's classification data sets, in the columns of the copies that the data sets name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openflan.tasks.muffin import language, nli, paraphrase, sentiment, topic
from openflan.tasks.muffin.dataset import Dataset

FAMILIES: Mapping[str, tuple[tuple[Dataset, ...], set[str]]] = {
    "nli": (
        nli.DATASETS,
        {
            "anli_r1",
            "anli_r2",
            "anli_r3",
            "cb",
            "mnli_matched",
            "mnli_mismatched",
            "qnli",
            "rte",
            "snli",
            "wnli",
        },
    ),
    "paraphrase": (paraphrase.DATASETS, {"glue_mrpc", "glue_qqp", "paws_wiki", "stsb"}),
    "sentiment": (sentiment.DATASETS, {"imdb_reviews", "sentiment140", "sst2", "yelp_polarity_reviews"}),
    "language": (language.DATASETS, {"cola", "wic", "wsc", "winogrande", "definite_pronoun_resolution"}),
    "topic": (topic.DATASETS, {"ag_news_subset", "trec"}),
}

DATASETS = {dataset.name: dataset for datasets, _ in FAMILIES.values() for dataset in datasets}
ANLI = ["Yes", "It's impossible to say", "No"]
MNLI = ["yes", "it is not possible to tell", "no"]
TREC = ["description", "entity", "abbreviation", "human", "numeric", "location"]

CLASSES: Mapping[str, tuple[list[str], dict[Any, str]]] = {
    "anli_r1": (ANLI, {0: "Yes", 1: "It's impossible to say", 2: "No"}),
    "anli_r2": (ANLI, {0: "Yes", 1: "It's impossible to say", 2: "No"}),
    "anli_r3": (ANLI, {0: "Yes", 1: "It's impossible to say", 2: "No"}),
    "cb": (["Yes", "No", "It's impossible to say"], {0: "Yes", 1: "No", 2: "It's impossible to say"}),
    "mnli_matched": (MNLI, {0: "yes", 1: "it is not possible to tell", 2: "no"}),
    "mnli_mismatched": (MNLI, {0: "yes", 1: "it is not possible to tell", 2: "no"}),
    "snli": (MNLI, {0: "yes", 1: "it is not possible to tell", 2: "no"}),
    "rte": (["yes", "no"], {0: "yes", 1: "no"}),
    "qnli": (["yes", "no"], {0: "yes", 1: "no"}),
    "wnli": (["no", "yes"], {0: "no", 1: "yes"}),
    "glue_mrpc": (["no", "yes"], {0: "no", 1: "yes"}),
    "glue_qqp": (["no", "yes"], {0: "no", 1: "yes"}),
    "paws_wiki": (["no", "yes"], {0: "no", 1: "yes"}),
    "stsb": (
        list("012345"),
        {0.0: "0", 0.4: "0", 0.5: "0", 1.5: "2", 2.5: "2", 2.6: "3", 3.8: "4", 5.0: "5"},
    ),
    "imdb_reviews": (["negative", "positive"], {0: "negative", 1: "positive"}),
    "sst2": (["negative", "positive"], {0: "negative", 1: "positive"}),
    "yelp_polarity_reviews": (["negative", "positive"], {0: "negative", 1: "positive"}),
    "sentiment140": (["negative", "positive"], {0: "negative", 4: "positive"}),
    "cola": (["unacceptable", "acceptable"], {0: "unacceptable", 1: "acceptable"}),
    "wic": (["different meanings", "the same meaning"], {0: "different meanings", 1: "the same meaning"}),
    "wsc": (["no", "yes"], {0: "no", 1: "yes"}),
    "ag_news_subset": (
        ["World", "Sports", "Business", "Science/Tech"],
        {0: "World", 1: "Sports", 2: "Business", 3: "Science/Tech"},
    ),
    "trec": (
        TREC,
        {0: "abbreviation", 1: "entity", 2: "description", 3: "human", 4: "location", 5: "numeric"},
    ),
}

PREMISE, HYPOTHESIS = "The ferry left at noon.", "The ferry was late."
PAIR = {"premise": f" {PREMISE}\n", "hypothesis": HYPOTHESIS, "label": 1}
ANLI_RAW = {"uid": "a1", **PAIR, "reason": "It might have been due earlier."}

SENTENCES = {
    "sentence1": "Anna sold the house to Ben.",
    "sentence2": "Ben bought the house from Anna. ",
    "label": 1,
    "idx": 7,
}

SENTENCE_FIELDS = {"sentence1": "Anna sold the house to Ben.", "sentence2": "Ben bought the house from Anna."}
WSC_TEXT = 'The cup fell on the tray and it broke, because it was thin. "It cost a lot," he said.'

RECORDS: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    **{
        f"anli_r{round}": (
            ANLI_RAW,
            {"premise": PREMISE, "hypothesis": HYPOTHESIS, "answer": "It's impossible to say"},
        )
        for round in (1, 2, 3)
    },
    "cb": ({**PAIR, "idx": 0}, {"premise": PREMISE, "hypothesis": HYPOTHESIS, "answer": "No"}),
    "mnli_matched": (
        {**PAIR, "idx": 0},
        {"premise": PREMISE, "hypothesis": HYPOTHESIS, "answer": "it is not possible to tell"},
    ),
    "mnli_mismatched": (
        {**PAIR, "idx": 0},
        {"premise": PREMISE, "hypothesis": HYPOTHESIS, "answer": "it is not possible to tell"},
    ),
    "snli": (PAIR, {"premise": PREMISE, "hypothesis": HYPOTHESIS, "answer": "it is not possible to tell"}),
    "rte": ({**PAIR, "idx": 0}, {"premise": PREMISE, "hypothesis": HYPOTHESIS, "answer": "no"}),
    "wnli": (
        {"sentence1": PREMISE, "sentence2": HYPOTHESIS, "label": 1, "idx": 3},
        {"premise": PREMISE, "hypothesis": HYPOTHESIS, "answer": "yes"},
    ),
    "qnli": (
        {"question": "When did the ferry leave?", "sentence": PREMISE, "label": 0, "idx": 3},
        {"question": "When did the ferry leave?", "sentence": PREMISE, "answer": "yes"},
    ),
    "glue_mrpc": (SENTENCES, {**SENTENCE_FIELDS, "answer": "yes"}),
    "paws_wiki": ({"id": 1, **SENTENCES, "label": 0}, {**SENTENCE_FIELDS, "answer": "no"}),
    "stsb": ({**SENTENCES, "label": 4.599999904632568}, {**SENTENCE_FIELDS, "answer": "5"}),
    "glue_qqp": (
        {
            "question1": 'What does ""ahoy"" mean?',
            "question2": "What is the sense of ahoy?",
            "label": 1,
            "idx": 0,
        },
        {"question1": "What does 'ahoy' mean?", "question2": "What is the sense of ahoy?", "answer": "yes"},
    ),
    "imdb_reviews": (
        {"text": "Dull.<br /><br />I left early.", "label": 0},
        {"text": "Dull.\n\nI left early.", "answer": "negative"},
    ),
    "yelp_polarity_reviews": (
        {"text": 'They call it \\""fresh\\"" bread.\\nAnd it is!', "label": 1},
        {"text": 'They call it "fresh" bread. And it is!', "answer": "positive"},
    ),
    "sentiment140": (
        {"text": "no sun for days ", "date": "Mon", "user": "me", "sentiment": 0, "query": "NO_QUERY"},
        {"text": "no sun for days", "answer": "negative"},
    ),
    "sst2": (
        {"idx": 5, "sentence": "a warm , clever tale ", "label": 1},
        {"sentence": "a warm , clever tale", "answer": "positive"},
    ),
    "cola": (
        {"sentence": "The book was read me.", "label": 0, "idx": 1},
        {"sentence": "The book was read me.", "answer": "unacceptable"},
    ),
    "wic": (
        {
            "word": "bank",
            "sentence1": "The bank was closed.",
            "sentence2": "We sat on the bank.",
            "start1": 4,
            "start2": 14,
            "end1": 8,
            "end2": 18,
            "idx": 0,
            "label": 0,
        },
        {
            "word": "bank",
            "sentence1": "The bank was closed.",
            "sentence2": "We sat on the bank.",
            "answer": "different meanings",
        },
    ),
    "wsc": (
        {
            "text": WSC_TEXT,
            "span1_index": 0,
            "span2_index": 7,
            "span1_text": "The cup",
            "span2_text": "it",
            "idx": 0,
            "label": 1,
        },
        {"text": WSC_TEXT.replace("and it", "and *it*"), "noun": "The cup", "pronoun": "it", "answer": "yes"},
    ),
    "winogrande": (
        {
            "sentence": "The jug didn't fit in the bag because the _'s neck was long.",
            "option1": "jug",
            "option2": "bag",
            "answer": "1",
        },
        {"context": "The jug didn't fit in the bag because the", "answer": "jug's neck was long."},
    ),
    "definite_pronoun_resolution": (
        {
            "sentence": "Bees like flowers because they hold nectar.",
            "pronoun": "they",
            "candidates": ["Bees ", "flowers"],
            "label": 1,
        },
        {"sentence": "Bees like flowers because they hold nectar.", "pronoun": "they", "answer": "flowers"},
    ),
    "ag_news_subset": (
        {"text": "Shares fall (Agency) Agency - Prices fell on Monday. ", "label": 2},
        {"text": "Shares fall (Agency) Agency - Prices fell on Monday.", "answer": "Business"},
    ),
    "trec": (
        {"text": "Who built the tower ?", "coarse_label": 3, "fine_label": 29},
        {"text": "Who built the tower ?", "answer": "human"},
    ),
}
