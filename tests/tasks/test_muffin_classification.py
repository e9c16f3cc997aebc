"""Muffin's classification data sets: how a record becomes a row, and what an error says about a record."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muffin_classification_records import CLASSES, DATASETS, FAMILIES, RECORDS, WSC_TEXT

from openflan.tasks.catalogue import catalogue
from openflan.tasks.task import Row

CHOICES = {"winogrande", "definite_pronoun_resolution"}  # options are the row's own, no class words
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
    word_index = data.draw(st.sampled_from(places))
    row = row_of("wsc", text=" ".join(words), span2_text="it", span2_index=word_index)
    assert row is not None
    marked = str(row["text"]).split(" ")
    assert [number for number, word in enumerate(marked) if word.startswith("*")] == [word_index]
    assert [word.replace("*", "") for word in marked] == words


@given(score=st.floats(0, 5))
def test_a_score_is_rounded_to_the_nearest_digit(score: float) -> None:
    row = row_of("stsb", label=score)
    assert row is not None
    assert abs(int(str(row["answer"])) - score) <= 0.5
