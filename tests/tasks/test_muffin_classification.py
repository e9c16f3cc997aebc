"""The classification datasets of Muffin: raw records become fields, and every dataset has wordings that make
sense for them.

The expected class words and their order are written out here a second time, from the collection's
description, as a slip in them would teach a model wrong answers without any error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.tasks.catalogue import catalogue
from openflan.tasks.muffin import language, nli, paraphrase, sentiment, topic
from openflan.tasks.muffin.dataset import Dataset
from openflan.tasks.task import Row, Task
from openflan.templates.pattern import Pattern
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import Wording, WordingSet, packaged_wordings, wordings_for

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
CHOICES = {"winogrande", "definite_pronoun_resolution"}  # options are the row's own, no class words
NEVER_INVERTED = {
    "wsc",
    "wic",
    "winogrande",
    "mnli_matched",
    "mnli_mismatched",
    "glue_mrpc",
    "glue_qqp",
    "paws_wiki",
}

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
LABEL = {"sentiment140": "sentiment", "trec": "coarse_label", "winogrande": "answer"}
OWN_OPTIONS = {
    "winogrande": ["jug's neck was long.", "bag's neck was long."],
    "definite_pronoun_resolution": ["Bees", "flowers"],
}


def label_of(name: str) -> str:
    return LABEL.get(name, "label")


def texts_of(name: str) -> list[str]:
    """The columns that hold what is asked about."""
    return [
        column
        for column in DATASETS[name].columns
        if isinstance(RECORDS[name][0][column], str) and column != label_of(name)
    ]


def row_of(name: str, **changes: Any) -> Row | None:
    return DATASETS[name].row({**RECORDS[name][0], **changes})


def found_for(name: str) -> WordingSet:
    return wordings_for(f"muffin/{name}", frozenset(DATASETS[name].fields), packaged_wordings())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_holds_its_datasets_under_the_names_of_the_catalogue(family: str) -> None:
    datasets, names = FAMILIES[family]
    assert sorted(dataset.name for dataset in datasets) == sorted(names)
    for dataset in datasets:
        hub = catalogue()[f"muffin/{dataset.name}"].hub
        assert hub is not None
        assert (dataset.hub or "").split("/")[:2] == hub.split("/")


@pytest.mark.parametrize("name", DATASETS)
def test_a_record_becomes_fields(name: str) -> None:
    raw, expected = RECORDS[name]
    options = OWN_OPTIONS[name] if name in CHOICES else CLASSES[name][0]
    row = DATASETS[name].row(raw)
    assert row == {**expected, "options": options}
    assert set(row) == set(DATASETS[name].fields)
    assert set(DATASETS[name].columns) <= set(raw)


@pytest.mark.parametrize(
    ("name", "label", "word"),
    [(name, label, word) for name, (_, words) in CLASSES.items() for label, word in words.items()],
)
def test_class_words_and_their_order(name: str, label: float, word: str) -> None:
    row = row_of(name, **{label_of(name): label})
    assert row is not None
    assert row["answer"] == word
    assert row["options"] == CLASSES[name][0]


def test_every_dataset_with_class_words_has_them_pinned() -> None:
    assert set(CLASSES) == set(DATASETS) - CHOICES


def test_both_mnli_tasks_read_the_same_rows() -> None:
    matched, mismatched = DATASETS["mnli_matched"], DATASETS["mnli_mismatched"]
    assert (matched.hub, matched.split) == (mismatched.hub, mismatched.split)


@pytest.mark.parametrize("name", DATASETS)
def test_unlabelled_records_are_left_out(name: str) -> None:
    assert row_of(name, **{label_of(name): "" if name == "winogrande" else -1}) is None
    if name != "winogrande":
        assert row_of(name, **{label_of(name): None}) is None


@pytest.mark.parametrize(
    ("name", "changes"), [("sentiment140", {"sentiment": 2}), ("winogrande", {"sentence": "_ fell over."})]
)
def test_records_without_a_question_to_ask_are_left_out(name: str, changes: dict[str, Any]) -> None:
    assert row_of(name, **changes) is None


@pytest.mark.parametrize(
    ("name", "column"),
    [(name, column) for name in DATASETS if name not in {"wsc", "winogrande"} for column in texts_of(name)],
)
def test_a_blank_text_is_left_out(name: str, column: str) -> None:
    assert row_of(name, **{column: " \n"}) is None


@pytest.mark.parametrize(
    ("name", "column"), [(name, column) for name in DATASETS for column in texts_of(name)]
)
def test_a_column_that_is_no_text_is_named(name: str, column: str) -> None:
    for wrong in (None, 3, ["x"]):
        with pytest.raises(ValueError, match=f"`{column}` is "):
            row_of(name, **{column: wrong})


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "winogrande"])
@pytest.mark.parametrize("label", [17, -2, "entailment", "1", [1], float("nan")])
def test_a_label_that_is_no_class_is_refused(name: str, label: object) -> None:
    with pytest.raises(ValueError, match=f"`{label_of(name)}` is "):
        row_of(name, **{label_of(name): label})


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("stsb", {"label": 5.5}, "`label` is `5.5`, expected a score from 0 to 5"),
        ("stsb", {"label": True}, "`label` is `True`"),
        ("cola", {"label": 0.5}, "`label` is `0.5`, expected a class number from 0 to 1"),
        ("sentiment140", {"sentiment": 3}, "`sentiment` is `3`, expected 0"),
        ("wsc", {"span2_text": "she"}, "the pronoun `she` does not stand in the text"),
        ("wsc", {"span2_text": "."}, "`span2_text` is blank"),
        ("wsc", {"span2_index": None}, "`span2_index` is `None`"),
        ("winogrande", {"answer": "3"}, "`answer` is `3`, expected `1` or `2`"),
        ("winogrande", {"sentence": "No blank here."}, "expected `_` where a candidate is missing"),
        ("winogrande", {"option2": " "}, "two candidates"),
        ("definite_pronoun_resolution", {"candidates": ["Bees"]}, "`candidates` is "),
        ("definite_pronoun_resolution", {"candidates": "ab"}, "expected two texts"),
        ("definite_pronoun_resolution", {"candidates": ["Bees", " "]}, "expected two texts"),
    ],
)
def test_broken_records_say_what_is_wrong(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        row_of(name, **changes)


@pytest.mark.parametrize(
    ("index", "pronoun", "marked"),
    [
        (7, "it", "and *it* broke"),
        (6, "it", "and *it* broke"),  # one off, as in a few public records
        (10, "it", "because *it* was"),
        (9, "it.", "because *it* was"),
        (13, "It", '"*It* cost'),
        (17, "he", "*he* said"),
        (0, "the cup", "*The cup* fell"),
    ],
)
def test_wsc_marks_the_pronoun_that_is_meant(index: int, pronoun: str, marked: str) -> None:
    row = row_of("wsc", span2_index=index, span2_text=pronoun)
    assert row is not None
    assert marked in row["text"]
    assert str(row["text"]).replace("*", "") == WSC_TEXT
    assert f"*{row['pronoun']}*" in row["text"]


@given(
    words=st.lists(st.sampled_from(["it", "It", "its", "bit", "it,", "tea."]), min_size=1, max_size=12),
    data=st.data(),
)
def test_wsc_marks_the_word_at_its_index(words: list[str], data: st.DataObject) -> None:
    places = [place for place, word in enumerate(words) if word.strip(",").lower() == "it"]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    row = row_of("wsc", text=" ".join(words), span2_text="it", span2_index=place)
    assert row is not None
    marked = str(row["text"]).split(" ")
    assert [number for number, word in enumerate(marked) if word.startswith("*")] == [place]
    assert [word.replace("*", "") for word in marked] == words


@given(score=st.floats(0, 5))
def test_a_score_is_rounded_to_the_nearest_digit(score: float) -> None:
    row = row_of("stsb", label=score)
    assert row is not None
    assert abs(int(str(row["answer"])) - score) <= 0.5


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_enough_wordings_of_every_kind(name: str) -> None:
    found = found_for(name).wordings
    direct = [one for one in found if not one.inverted]
    assert len([one for one in direct if not one.labels]) >= 10
    assert len([one for one in direct if one.options and not one.labels]) >= 6
    assert len([one for one in direct if not one.options and not one.labels]) >= 4
    assert Counter((one.bare, one.shots, one.options) for one in direct if one.labels) == {
        (True, "few", True): 1,
        (True, "few", False): 1,
    }
    assert {one.options for one in direct if one.instruction is not None} == {True, False}
    assert len(found) - len(direct) in ((0,) if name in NEVER_INVERTED else (2, 3, 4))


@pytest.mark.parametrize("name", DATASETS)
def test_no_wording_is_repeated(name: str) -> None:
    found = found_for(name).wordings
    assert [one for one, count in Counter(one.id for one in found).items() if count > 1] == []
    assert [
        one for one, count in Counter(one.inputs.text.lower() for one in found).items() if count > 1
    ] == []


def field_complaints(wording: Wording, fields: tuple[str, ...]) -> list[str]:
    """What of a filled wording shows a field that it must not, lacks one that it needs, or is left
    unfilled."""
    values = {name: f"⟦{name}⟧" for name in fields}
    inputs, targets = wording.inputs.fill(values), wording.targets.fill(values)
    complaints = []
    if wording.inverted:
        if len(wording.targets.fields) != 1 or wording.targets.fields[0] in ("answer", "options"):
            complaints.append("an inverted wording asks for one of the other fields")
        if "⟦options⟧" in inputs:
            complaints.append("options in inverted inputs")
    else:
        if wording.targets.text != "{answer}":
            complaints.append("targets are not the answer alone")
        needed = set(fields) - {"answer", "options", "pronoun"}
        complaints += [
            f"{name} is not in the inputs" for name in sorted(needed) if values[name] not in inputs
        ]
        if wording.options and f"\n{values['options']}\n" not in f"\n{inputs}\n":
            complaints.append("options are not on a line of their own")
    complaints += [
        f"{name} is in the inputs and asked for"
        for name in sorted(set(wording.targets.fields))
        if values[name] in inputs
    ]
    if re.search(r"[{}]|\\n", inputs + targets) or inputs != inputs.strip() or re.search(r"[ \t]\n", inputs):
        complaints.append("braces, an escaped newline or outer blanks are left")
    return complaints


@pytest.mark.parametrize("name", DATASETS)
def test_fields_stand_where_they_belong(name: str) -> None:
    fields = DATASETS[name].fields
    assert [
        (one.id, complaint) for one in found_for(name).wordings for complaint in field_complaints(one, fields)
    ] == []


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (
            Wording("bad", Pattern.parse("{text} {answer}"), Pattern.parse("{answer}")),
            "answer is in the inputs and asked for",
        ),
        (Wording("bad", Pattern.parse("Hello"), Pattern.parse("{answer}")), "text is not in the inputs"),
        (
            Wording("bad", Pattern.parse("{text}"), Pattern.parse("It is {answer}")),
            "targets are not the answer alone",
        ),
        (
            Wording("bad", Pattern.parse("{text} {options}"), Pattern.parse("{answer}")),
            "options are not on a line of their own",
        ),
        (
            Wording("bad", Pattern.parse("{text} {{x}}"), Pattern.parse("{answer}")),
            "braces, an escaped newline or outer blanks are left",
        ),
        (
            Wording("bad", Pattern.parse("{text} {answer}"), Pattern.parse("{text}"), inverted=True),
            "text is in the inputs and asked for",
        ),
        (
            Wording("bad", Pattern.parse("{options}"), Pattern.parse("{text}"), inverted=True),
            "options in inverted inputs",
        ),
    ],
)
def test_the_field_check_notices(bad: Wording, complaint: str) -> None:
    assert field_complaints(bad, ("text", "options", "answer")) == [complaint]


def misspelt(text: str, classes: list[str]) -> list[str]:
    """Class words that a text spells in another form."""
    return [
        found[0]
        for word in classes
        for found in re.finditer(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
        if found[0] != word
    ]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_wordings_spell_class_words_as_the_options_do(name: str) -> None:
    classes = CLASSES[name][0]
    wordings = found_for(name).wordings
    assert [
        (one.id, word) for one in wordings for word in misspelt("".join(one.inputs.literals), classes)
    ] == []
    assert misspelt("Answer Yes or no.", ["yes", "no"]) == ["Yes"]


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"stsb"}))
def test_wordings_without_options_name_every_class(name: str) -> None:
    for one in found_for(name).wordings:
        if not (one.inverted or one.options or one.labels):
            said = "".join(one.inputs.literals)
            assert [
                word for word in CLASSES[name][0] if not re.search(rf"\b{re.escape(word)}\b", said)
            ] == [], one.id


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("few_shot", [False, True])
@pytest.mark.parametrize("options", [False, True])
def test_rows_render_in_every_style(name: str, few_shot: bool, options: bool) -> None:
    row = DATASETS[name].row(RECORDS[name][0])
    assert row is not None
    task = Task(f"muffin/{name}", [row] * 8, frozenset(DATASETS[name].fields), dataset=name, category="test")
    renderer = Renderer(task, found_for(name))
    for position in range(20):
        example = renderer.render(0, Style(few_shot=few_shot, options=options), seed=3, position=position)
        assert example.targets == row["answer"] or (options and not few_shot)
        assert all(option in example.inputs for option in row["options"]) or not options
