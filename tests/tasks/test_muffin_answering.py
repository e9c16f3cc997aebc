"""Muffin's question-answering data sets: records become rows, and errors say what is wrong with a record."""

from __future__ import annotations

import re
from typing import Any

import pytest
from muffin_answering_records import (
    ARC,
    BOOLQ,
    COPA,
    COQA,
    COSMOS,
    DATASETS,
    DROP,
    HELLASWAG,
    KEPT,
    MULTIRC,
    OPENBOOK,
    PIQA,
    QUAC,
    RECORD,
    ROWS,
    SQUAD,
    STORY,
    TRIVIA,
    UNIFIED,
)

from openflan.tasks.catalogue import catalogue
from openflan.tasks.muffin import closed_book, commonsense, reading, science
from openflan.tasks.muffin.dataset import Dataset

LEFT_OUT: list[tuple[str, dict[str, Any]]] = [
    ("arc_easy", ARC | {"choices": {"text": ["ice", "fire", "wind"], "label": ["A", "B", "C"]}}),
    ("arc_challenge", ARC | {"choices": {"text": list("vwxyz"), "label": list("ABCDE")}}),
    ("arc_challenge", ARC | {"answerKey": ""}),
    ("openbookqa", OPENBOOK | {"fact1": " "}),
    ("unified_qa_science_inst", {"input": "What burns? \\n (A) ice (B) wood (C) sand", "output": "wood"}),
    ("unified_qa_science_inst", UNIFIED | {"output": "water"}),
    ("natural_questions", {"question": "who was ann", "answer": []}),
    ("trivia_qa", TRIVIA | {"answer": TRIVIA["answer"] | {"normalized_value": ""}}),
    ("trivia_qa_wiki_missing", TRIVIA | {"entity_pages": TRIVIA["entity_pages"] | {"title": ["Mars"]}}),
    ("trivia_qa_wiki_missing", TRIVIA | {"search_results": {"title": []}}),
    ("multirc", MULTIRC | {"label": -1}),
    ("squad_v2", SQUAD | {"question": "   "}),
    ("drop", DROP | {"answers_spans": {"spans": [], "types": []}}),
    ("quac", QUAC | {"orig_answer": {"text": "CANNOTANSWER", "answer_start": 22}}),
    ("coqa", COQA | {"answers": {"input_text": ["Ann", " "]}}),
    ("record", RECORD | {"answers": []}),
    ("record", RECORD | {"answers": ["Eve"]}),
    ("copa", COPA | {"label": -1}),
    ("cosmos_qa", COSMOS | {"label": -1}),
    ("hellaswag", HELLASWAG | {"label": ""}),
    ("piqa", PIQA | {"label": -1}),
    ("lambada", {"text": "hat"}),
]

BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("arc_easy", ARC | {"answerKey": "E"}, "`answerKey` is `E`, expected one of A, B, C, D"),
    ("arc_easy", ARC | {"choices": ["ice", "fire"]}, "`choices` is of type list, expected a struct"),
    ("arc_easy", ARC | {"choices": {"text": ["ice"], "label": ["A", "B"]}}, "1 texts and 2 labels"),
    ("openbookqa", {name: value for name, value in OPENBOOK.items() if name != "fact1"}, "`fact1`"),
    ("unified_qa_science_inst", {"input": "What burns?", "output": "wood"}, "`input` is one line"),
    (
        "natural_questions",
        {"question": "who was ann", "answer": "a singer"},
        "`answer` is of type str, expected a list of texts",
    ),
    ("natural_questions", {"question": 7, "answer": ["a"]}, "`question` is"),
    ("trivia_qa", TRIVIA | {"answer": "mars"}, "`answer` is of type str, expected a struct"),
    ("math_dataset", {"question": "b'\\xff'", "answer": "1"}, "`question` is"),
    ("bool_q", BOOLQ | {"answer": "yes"}, "`answer` is"),
    ("multirc", MULTIRC | {"label": 2}, "`label` is"),
    ("squad_v1", SQUAD | {"answers": {"text": [], "answer_start": []}}, "`answers.text` is empty"),
    ("squad_v2", SQUAD | {"answers": ["Mars"]}, "`answers` is of type list"),
    ("quac", QUAC | {"orig_answer": "in Rome"}, "`orig_answer` is of type str"),
    ("coqa", COQA | {"questions": ["Who?"]}, "1 questions and 2 answers"),
    ("record", RECORD | {"query": "Ann sang."}, "`query` lacks @placeholder"),
    ("copa", COPA | {"question": "reason"}, "`question` is `reason`, expected cause or effect"),
    ("cosmos_qa", COSMOS | {"label": 4}, "`label` is"),
    ("hellaswag", HELLASWAG | {"label": "4"}, "`label` is `4`"),
    ("hellaswag", HELLASWAG | {"endings": ["It sings."]}, "1 endings, expected 4"),
    ("story_cloze", STORY | {"answer_right_ending": 0}, "`answer_right_ending` is `0`, expected 1 or 2"),
]


def without(dataset: Dataset, raw: dict[str, Any], column: str) -> Any:
    """What becomes of a record whose cell is empty: a table gives it without that column. None if it is
    refused or left out."""
    try:
        return dataset.row({other: value for other, value in raw.items() if other != column})
    except (ValueError, KeyError):
        return None


@pytest.mark.parametrize(("name", "raw", "row"), KEPT)
def test_a_record_becomes_fields(name: str, raw: dict[str, Any], row: dict[str, Any]) -> None:
    fields = DATASETS[name].row(raw)
    assert fields == row
    assert set(fields) - set(DATASETS[name].further) == set(DATASETS[name].fields)
    assert "options" not in row or row["answer"] in row["options"]


@pytest.mark.parametrize(("name", "raw"), LEFT_OUT)
def test_a_record_without_anything_to_learn_is_left_out(name: str, raw: dict[str, Any]) -> None:
    assert DATASETS[name].row(raw) is None


@pytest.mark.parametrize(("name", "raw", "message"), BROKEN)
def test_a_broken_record_says_what_is_wrong(name: str, raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        DATASETS[name].row(raw)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_a_row_needs_no_more_than_the_columns_named_and_all_of_those(dataset: Dataset) -> None:
    for name, raw, row in KEPT:
        if name == dataset.name:
            read = {column: raw[column] for column in dataset.columns}
            assert dataset.row(read) == row
            for column in dataset.columns:
                assert without(dataset, read, column) is None, column


def test_every_dataset_of_the_group_is_in_the_catalogue_and_has_an_example() -> None:
    assert (
        len(DATASETS)
        == 22
        == sum(len(family.DATASETS) for family in (science, closed_book, reading, commonsense))
    )
    for name, dataset in DATASETS.items():
        entry = catalogue()[f"muffin/{name}"]
        assert entry.options is None or entry.options == ("options" in dataset.fields), name
        assert dataset.hub is None or dataset.hub.startswith(entry.hub or "?"), name
        assert ROWS[name], name
