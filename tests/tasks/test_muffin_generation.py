"""Muffin's data sets whose answers are written: summaries, descriptions of data, translations, repaired
texts, dialogs and programs.

Raw records are made here, in the column layout of the copies that the data sets name.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muffin_generation_records import (
    BY_NAME,
    DIALOGS,
    EXPECTED,
    FAMILIES,
    FIRST_WORDS,
    NAMES,
    PROGRAM,
    RECORDS,
    pair,
)

from openflan.tasks.catalogue import catalogue
from openflan.tasks.muffin.dataset import Dataset


def test_every_data_set_of_these_families_is_here_once_and_in_the_catalogue() -> None:
    assert sorted(BY_NAME) == sorted(NAMES) == sorted(RECORDS)
    assert sum(len(family.DATASETS) for family in FAMILIES) == len(NAMES)
    assert {f"muffin/{name}" for name in NAMES} <= set(catalogue())


@pytest.mark.parametrize(("name", "raw", "expected"), EXPECTED, ids=[name for name, _, _ in EXPECTED])
def test_a_record_becomes_a_row(name: str, raw: dict[str, Any], expected: dict[str, str]) -> None:
    before = copy.deepcopy(raw)
    assert BY_NAME[name].row(raw) == expected
    assert raw == before


@pytest.mark.parametrize("dataset", BY_NAME.values(), ids=BY_NAME)
def test_the_table_tells_the_columns_that_are_read_and_the_fields_that_come_out(dataset: Dataset) -> None:
    raw = RECORDS[dataset.name]
    row = dataset.row({column: raw[column] for column in dataset.columns})
    assert row is not None
    from_all = dataset.row(raw)
    assert from_all is not None
    assert row == {name: value for name, value in from_all.items() if name in row}
    assert from_all.keys() - row.keys() <= {*dataset.further}
    assert tuple(name for name in row if name not in dataset.further) == dataset.fields
    assert "answer" in dataset.fields
    for column in set(dataset.columns) - {"_debate_name", "_movie_name"}:
        with pytest.raises((KeyError, ValueError, TypeError)):
            dataset.row({name: value for name, value in raw.items() if name != column})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("aeslc", {"subject_line": " \n"}),
        ("aeslc", {"email_body": None}),
        ("gigaword", {"document": "it rose #.# percent"}),
        ("gigaword", {"summary": "up # points"}),
        ("gigaword", {"document": "mr. UNK said"}),
        ("gigaword", {"summary": "<unk> wins"}),
        ("samsum", {"dialogue": "<file_gif>"}),
        ("wiki_lingua_english_en", {"source_language": "es"}),
        ("opinion_abstracts_rotten_tomatoes", {"_critics": {}}),
        ("common_gen", {"target": ""}),
        ("wmt14_enfr", pair(en="Tea.", fr="")),
        ("true_case", pair(en="tea is good.")),
        ("fix_punct", pair(en="Tea is good")),
        ("fix_punct", pair(en="...")),
        ("word_segment", pair(en="Tea")),
        ("wiki_dialog", {"utterances": FIRST_WORDS[:2]}),
        ("qrecc", {"Turn_no": 6}),
        ("qrecc", {"Context": ["Who?", "", "When?", " "]}),
        ("task_master", {"utterances": [{"text": "hi"}]}),
        (
            "program_synthesis_dmcc_python",
            {"solutions": {"language": [2, 4], "solution": ["int x;", "class A {}"]}},
        ),
        ("program_synthesis_dr_repair_plain_code", {"errors": []}),
        (
            "program_synthesis_dr_repair_plain_code",
            {"errors": [{"mod_line": [1], "mod_code": ["int n ;"], "err_line": 1, "err_msg": "none"}]},
        ),
    ],
)
def test_records_with_nothing_to_learn_from_are_left_out(name: str, change: dict[str, Any]) -> None:
    assert BY_NAME[name].row(RECORDS[name] | change) is None


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("xsum", {"summary": ["Rain."]}, "`summary` holds list, not a text"),
        ("common_gen", {"concepts": "dog run"}, "`concepts` holds str, not a list"),
        ("dart", {"tripleset": [["Po", "652"]]}, "`tripleset` must hold triples; found one of 2 parts"),
        (
            "e2e_nlg",
            {"meaning_representation": "name: Blue Spice"},
            "`meaning_representation` must be slots such as `food[Indian]`",
        ),
        (
            "wmt14_enfr",
            pair(en="Tea.", de="Tee."),
            "`translation` must hold `en` and `fr`; found ['de', 'en']",
        ),
        ("true_case", pair(da="Te."), "`translation` must hold `en`"),
        ("qrecc", {"Turn_no": "7"}, "`Turn_no` holds str, not a whole number"),
        ("wiki_dialog", {"utterances": "Hello"}, "`utterances` holds str, not a list"),
        (
            "program_synthesis_dmcc_python",
            {"solutions": {"language": [3], "solution": []}},
            "`solutions` holds 1 languages and 0 programs",
        ),
        (
            "program_synthesis_dr_repair_no_errors",
            {"errors": [{"mod_line": [10], "mod_code": ["x"], "err_line": 1, "err_msg": "e"}]},
            "`errors` changes the lines [10] with 1 texts, in a program of 10 lines",
        ),
    ],
)
def test_a_broken_record_says_what_is_wrong(name: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        BY_NAME[name].row(RECORDS[name] | change)


@pytest.mark.parametrize(
    ("article", "kept"),
    [
        ("(CNN) -- Tea.", "Tea."),
        ("(CNN)Tea.", "Tea."),
        ("SAN JOSE, Costa Rica (Reuters) - Tea.", "Tea."),
        ("NEW YORK (AP) — Tea.", "Tea."),
        ("Tea is loved (CNN) -- by many.", "Tea is loved (CNN) -- by many."),
        ("By . Ada Bee . Tea (hot) is loved.", "By . Ada Bee . Tea (hot) is loved."),
    ],
)
def test_only_a_dateline_is_cut(article: str, kept: str) -> None:
    row = BY_NAME["cnn_dailymail"].row({"article": article, "highlights": "Tea ."})
    assert row is not None
    assert row["document"] == kept


def test_opinions_may_come_as_keys_and_values_and_stop_at_ten() -> None:
    opinions = [f"opinion {number}" for number in range(1, 13)]
    layouts: list[Any] = [
        {str(number): opinion for number, opinion in enumerate(opinions)},
        {"key": ["x"] * 12, "value": opinions},
        [{"key": "x", "value": opinion} for opinion in opinions],
    ]
    for layout in layouts:
        row = BY_NAME["opinion_abstracts_rotten_tomatoes"].row(
            RECORDS["opinion_abstracts_rotten_tomatoes"] | {"_critics": layout}
        )
        assert row is not None
        assert row["reviews"] == "\n".join(f"{number}. opinion {number}" for number in range(1, 11))


def test_an_older_python_serves_where_there_is_no_newer() -> None:
    record = {
        "description": "Add.",
        "solutions": [{"language": 2, "solution": "int x;"}, {"language": 1, "solution": "print 1"}],
    }
    assert BY_NAME["program_synthesis_dmcc_python"].row(record) == {"problem": "Add.", "answer": "print 1"}


@pytest.mark.parametrize("name", DIALOGS)
@given(turns=st.lists(st.sampled_from(["", "yes", "no\nand no", "why?", "tea"]), max_size=60))
def test_a_cut_dialog_shows_what_came_before_the_reply(name: str, turns: list[str]) -> None:
    record, said = {
        "wiki_dialog": ({"utterances": ["Hello.", *turns]}, turns),
        "qrecc": ({"Context": turns, "Turn_no": 9}, turns),
        "task_master": ({"utterances": [{"text": turn} for turn in turns]}, turns),
    }[name]
    row = BY_NAME[name].row(record)
    assert row == BY_NAME[name].row(record)
    last = 20 if name == "task_master" else 39
    places = [
        index for index in range(1, len(said)) if index <= last and (name == "task_master" or index % 2 == 1)
    ]
    if row is None:
        assert not [place for place in places if said[place] and any(said[:place])]
        return
    context = str(row["context"]).split("\n")
    assert len(context) in places
    assert context == [f"- {' '.join(turn.split())}".strip() for turn in said[: len(context)]]
    assert row["answer"] == " ".join(said[len(context)].split()) != ""


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("wiki_dialog", {1, 3}), ("qrecc", {1, 3, 5, 7, 9, 11}), ("task_master", set(range(1, 21)))],
)
def test_every_allowed_cut_occurs(name: str, wanted: set[int]) -> None:
    cuts = set()
    for index in range(300):
        record = copy.deepcopy(DIALOGS[name])
        if name == "task_master":
            record["utterances"][0]["text"] = f"I want tea number {index}"
        else:
            record[BY_NAME[name].columns[0]][1] = f"What about tea number {index}?"
        row = BY_NAME[name].row(record)
        assert row is not None
        cuts.add(str(row["context"]).count("\n") + 1)
    assert cuts == wanted


def test_the_four_forms_show_the_same_mistake_and_records_differ_in_which() -> None:
    mistakes = [
        {"mod_line": [position], "mod_code": ["oops"], "err_line": position, "err_msg": "bad"}
        for position in (1, 3, 4, 6)
    ]
    drawn = set()
    for index in range(20):
        record = copy.deepcopy(PROGRAM) | {"errors": mistakes}
        record["lines"][7]["code"] = f"n -= {index} ;"
        rows = [BY_NAME[name].row(record) for name in NAMES if "dr_repair" in name]
        places = {
            next(place for place, line in enumerate(str(row["program"]).split("\n")) if "oops" in line)
            for row in rows
            if row
        }
        assert len(rows) == 4
        assert len(places) == 1
        drawn |= places
    assert drawn == {1, 3, 4, 6}


def test_whole_programs_keep_their_braces_whatever_their_indentation() -> None:
    lines = [
        ("#include<stdio.h>", 0),
        ("int main ( )", 0),
        ("{", 0),
        ("if ( 1 )", 2),
        ("puts ( s ) ;", 4),
        ("}", 1),
    ]
    record = {
        "lines": [{"code": code, "indent": indent} for code, indent in lines],
        "errors": [
            {"mod_line": [4], "mod_code": ["puts ( s )"], "err_line": 99, "err_msg": "expected ‘ ; ’"}
        ],
    }
    row = BY_NAME["program_synthesis_dr_repair_line_numbers"].row(record)
    assert row is not None
    assert [line.strip() for line in str(row["answer"]).split("\n")] == [code for code, _ in lines]
    assert row["error"] == "line 6: expected ‘ ; ’"


def test_windows_and_splits() -> None:
    splits = {name: dataset.split for name, dataset in BY_NAME.items() if dataset.split != "train"}
    assert splits == {
        "true_case": "train[:30000]",
        "fix_punct": "train[30200:60200]",
        "word_segment": "train[60400:90400]",
        "para_crawl_enes": "train[:30000]",
        "opinion_abstracts_idebate": "train[:-600]",
        "opinion_abstracts_rotten_tomatoes": "train[:-600]",
        **dict.fromkeys(("common_gen", "dart", "e2e_nlg", "web_nlg_en"), "train[:-200]"),
    }
