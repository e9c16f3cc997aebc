"""Muffin's data sets whose answers are written: summaries, descriptions of data, translations, repaired
texts, dialogs and programs.

Raw records are made here, in the column layout of the copies that the data sets name.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.tasks.catalogue import catalogue
from openflan.tasks.muffin import (
    data_to_text,
    dialog,
    program_synthesis,
    summarization,
    text_repair,
    translation,
)
from openflan.tasks.muffin.dataset import Dataset
from openflan.templates.pattern import Pattern
from openflan.templates.wording import Wording, WordingSet, packaged_wordings, wordings_for

FAMILIES = (summarization, data_to_text, translation, text_repair, dialog, program_synthesis)
BY_NAME = {dataset.name: dataset for family in FAMILIES for dataset in family.DATASETS}
NAMES = [
    "aeslc",
    "cnn_dailymail",
    "gigaword",
    "multi_news",
    "newsroom",
    "opinion_abstracts_idebate",
    "opinion_abstracts_rotten_tomatoes",
    "samsum",
    "wiki_lingua_english_en",
    "xsum",
    "common_gen",
    "dart",
    "e2e_nlg",
    "web_nlg_en",
    "para_crawl_enes",
    "wmt14_enfr",
    "wmt16_translate_csen",
    "wmt16_translate_deen",
    "wmt16_translate_fien",
    "wmt16_translate_roen",
    "wmt16_translate_ruen",
    "wmt16_translate_tren",
    "true_case",
    "fix_punct",
    "word_segment",
    "wiki_dialog",
    "qrecc",
    "task_master",
    "program_synthesis_dmcc_python",
    "program_synthesis_dr_repair_plain_code",
    "program_synthesis_dr_repair_no_errors",
    "program_synthesis_dr_repair_line_numbers",
    "program_synthesis_dr_repair_error_comments",
]
BARS = "wind | speed | 9"

# SPoC's layout: the brace at the end of `for` and `if`, and the one before `else`, are not in the lines.
CODE = [
    ("int main() {", 0),
    ("int n ;", 1),
    ("if ( n )", 1),
    ("n = 1 ;", 2),
    ("n = 2 ;", 2),
    ("else", 1),
    ("n ++ ;", 2),
    ("n -- ;", 2),
    ("}", 1),
    ("}", 0),
]
PROGRAM: dict[str, Any] = {
    "meta": {"index": 1, "probid": "1A", "subid": "7"},
    "lines": [
        {"line": number, "text": "", "code": code, "indent": indent}
        for number, (code, indent) in enumerate(CODE)
    ],
    "errors": [
        {
            "mod_line": [1],
            "mod_code": ["int m ;"],
            "err_line": 2,
            "err_msg": "‘ n ’ was not declared in this scope",
        }
    ],
}
FIXED = (
    "int main() {\n    int n ;\n    if ( n ) {\n        n = 1 ;\n        n = 2 ;\n    } else {\n     "
    "   n ++ ;\n        n -- ;\n    }\n}"
)
BROKEN = FIXED.replace("int n", "int m")
NUMBERED = "\n".join(f"{number}: {line}" for number, line in enumerate(BROKEN.split("\n"), start=1))
MESSAGE = "‘ n ’ was not declared in this scope"

FIRST_WORDS = ["Hello, ask me about tea.", "What is tea?", "A drink.", "From where?", "From China."]
HISTORY = [
    "Who?",
    "Ada.",
    "When?",
    "1843.",
    "Where?",
    "London.",
    "Why?",
    "For sums.",
    "How?",
    "In notes.",
    "Alone?",
    "No.",
]


def pair(**sides: str) -> dict[str, Any]:
    return {"translation": sides}


EXPECTED: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    (
        "aeslc",
        {"email_body": "Lunch at one?\r\nAda\n", "subject_line": " Lunch "},
        {"document": "Lunch at one?\nAda", "answer": "Lunch"},
    ),
    (
        "cnn_dailymail",
        {
            "article": "LONDON, England (CNN) -- Tea is back.",
            "highlights": "Tea returns .\nCoffee stays .",
            "id": "00a",
        },
        {"document": "Tea is back.", "answer": "Tea returns .\nCoffee stays ."},
    ),
    (
        "gigaword",
        {"document": "tea sales rose on monday .", "summary": "tea up"},
        {"document": "tea sales rose on monday .", "answer": "tea up"},
    ),
    (
        "multi_news",
        {"document": "Rain. ||||| Much rain.", "summary": "– It rained."},
        {"document": "Rain. ||||| Much rain.", "answer": "– It rained."},
    ),
    (
        "newsroom",
        {"text": "Rain fell.", "summary": "Rain", "title": "Wet", "density_bin": "low"},
        {"document": "Rain fell.", "answer": "Rain"},
    ),
    (
        "opinion_abstracts_idebate",
        {
            "_debate_name": "Tea",
            "_claim_id": "1",
            "_claim": "Tea is good.",
            "_argument_sentences": {"1_1": "It warms.", "1_2": "It\nwakes."},
        },
        {"debate": "Tea", "arguments": "1. It warms.\n2. It wakes.", "answer": "Tea is good."},
    ),
    (
        "opinion_abstracts_rotten_tomatoes",
        {
            "_movie_name": "Rain",
            "_movie_id": "m",
            "_critics": {"1": "Wet.", "2": " ", "3": "Long."},
            "_critic_consensus": "Wet and long.",
        },
        {"movie": "Rain", "reviews": "1. Wet.\n2. Long.", "answer": "Wet and long."},
    ),
    (
        "samsum",
        {
            "id": "1",
            "dialogue": "Ada: hi\r\nBo: <file_photo>\r\nAda: nice <3",
            "summary": "Bo sends a photo.",
        },
        {"document": "Ada: hi\nBo:\nAda: nice <3", "answer": "Bo sends a photo."},
    ),
    (
        "wiki_lingua_english_en",
        {
            "source": "Boil water. Add tea.",
            "target": "Make tea.",
            "source_language": "en",
            "target_language": "en",
        },
        {"document": "Boil water. Add tea.", "answer": "Make tea."},
    ),
    (
        "xsum",
        {"document": "It rained all day.", "summary": "Rain fell.", "id": "1"},
        {"document": "It rained all day.", "answer": "Rain fell."},
    ),
    (
        "common_gen",
        {"concept_set_id": 1, "concepts": ["dog", "run"], "target": "A dog runs.", "references": []},
        {"concepts": "dog, run", "answer": "A dog runs."},
    ),
    (
        "dart",
        {
            "dart_id": 1,
            "tripleset": [["[TABLECONTEXT]", "[TITLE]", "Rivers"], ["Po", "LENGTH", "652"]],
            "target": "The Po is a river.",
        },
        {"data": "table | title | Rivers\nPo | LENGTH | 652", "answer": "The Po is a river."},
    ),
    (
        "e2e_nlg",
        {
            "meaning_representation": "name[Blue Spice], eatType[coffee shop], area[]",
            "target": "Blue Spice is a coffee shop.",
        },
        {
            "data": "name = Blue Spice, eatType = coffee shop, area = ",
            "answer": "Blue Spice is a coffee shop.",
        },
    ),
    (
        "web_nlg_en",
        {"input": [BARS, "a | b | c"], "target": "Windy.", "category": "Weather"},
        {"data": f"{BARS}\na | b | c", "answer": "Windy."},
    ),
    (
        "para_crawl_enes",
        {"id": "0"} | pair(en="Tea.", es="Té."),
        {"source": "Tea.", "answer": "Té.", "source_language": "English", "target_language": "Spanish"},
    ),
    (
        "wmt14_enfr",
        pair(en="Tea.", fr="Thé."),
        {"source": "Tea.", "answer": "Thé.", "source_language": "English", "target_language": "French"},
    ),
    *(
        (
            f"wmt16_translate_{code}en",
            {"translation": {code: "X.", "en": "Tea."}},
            {"source": "X.", "answer": "Tea.", "source_language": language} | ENGLISH,
        )
        for ENGLISH in [{"target_language": "English"}]
        for code, language in {
            "cs": "Czech",
            "de": "German",
            "fi": "Finnish",
            "ro": "Romanian",
            "ru": "Russian",
            "tr": "Turkish",
        }.items()
    ),
    ("true_case", pair(en="We met Ada.", da="x"), {"source": "we met ada.", "answer": "We met Ada."}),
    (
        "fix_punct",
        pair(en="“Well-made”, isn't it - yes?", da="x"),
        {"source": "Wellmade isnt it yes", "answer": "“Well-made”, isn't it - yes?"},
    ),
    ("word_segment", pair(en="We met\u00a0Ada.", da="x"), {"source": "WemetAda.", "answer": "We met Ada."}),
    ("program_synthesis_dr_repair_plain_code", PROGRAM, {"program": BROKEN, "answer": FIXED}),
    ("program_synthesis_dr_repair_no_errors", PROGRAM, {"program": NUMBERED, "answer": FIXED}),
    (
        "program_synthesis_dr_repair_line_numbers",
        PROGRAM,
        {"program": NUMBERED, "error": f"line 3: {MESSAGE}", "answer": FIXED},
    ),
    (
        "program_synthesis_dr_repair_error_comments",
        PROGRAM,
        {"program": BROKEN.replace("if ( n ) {", f"if ( n ) {{  // error: {MESSAGE}"), "answer": FIXED},
    ),
    (
        "program_synthesis_dmcc_python",
        {
            "description": "Add two numbers.\n",
            "solutions": {
                "language": [2, 1, 3, 3],
                "solution": ["int x;", "print 1", "print(2)\n", "print(3)"],
            },
        },
        {"problem": "Add two numbers.", "answer": "print(2)"},
    ),
]

# Dialogs are cut by chance, so their rows are tested below.
DIALOGS: dict[str, dict[str, Any]] = {
    "wiki_dialog": {
        "pid": "1",
        "title": "Tea",
        "sentences": [],
        "utterances": FIRST_WORDS,
        "author_num": [0, 1, 0, 1, 0],
    },
    "qrecc": {
        "Context": HISTORY,
        "Question": "And then?",
        "Rewrite": "",
        "Answer": "",
        "Conversation_no": 1,
        "Turn_no": 7,
    },
    "task_master": {
        "conversation_id": "d",
        "utterances": [{"index": n, "speaker": "USER", "text": f"turn {n}"} for n in range(30)],
    },
}
RECORDS = {name: raw for name, raw, _ in EXPECTED} | DIALOGS


def wordings_of(name: str) -> WordingSet:
    return wordings_for(f"muffin/{name}", frozenset(BY_NAME[name].fields), packaged_wordings())


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
    assert row == dataset.row(raw)
    assert tuple(row) == dataset.fields
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
        place for place in range(1, len(said)) if place <= last and (name == "task_master" or place % 2 == 1)
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
    found = set()
    for number in range(300):
        record = copy.deepcopy(DIALOGS[name])
        if name == "task_master":
            record["utterances"][0]["text"] = f"I want tea number {number}"
        else:
            record[BY_NAME[name].columns[0]][1] = f"What about tea number {number}?"
        row = BY_NAME[name].row(record)
        assert row is not None
        found.add(str(row["context"]).count("\n") + 1)
    assert found == wanted


def test_the_four_forms_show_the_same_mistake_and_records_differ_in_which() -> None:
    mistakes = [
        {"mod_line": [place], "mod_code": ["oops"], "err_line": place, "err_msg": "bad"}
        for place in (1, 3, 4, 6)
    ]
    drawn = set()
    for number in range(20):
        record = copy.deepcopy(PROGRAM) | {"errors": mistakes}
        record["lines"][7]["code"] = f"n -= {number} ;"
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


def leaks(wording: Wording, fields: tuple[str, ...]) -> list[str]:
    """Where a wording shows what it asks for, asks for the wrong thing, or shows nothing of the row."""
    marks = {name: f"⟦{name}⟧" for name in fields}
    inputs, targets = wording.inputs.fill(marks), wording.targets.fill(marks)
    asked = {name for name in fields if marks[name] in targets}
    found = [f"{wording.id}: shows {name}" for name in sorted(asked) if marks[name] in inputs]
    if wording.inverted == (asked == {"answer"}) or (not wording.inverted and targets != marks["answer"]):
        found.append(f"{wording.id}: asks for {sorted(asked)}")
    if not any(mark in inputs for mark in marks.values()):
        found.append(f"{wording.id}: shows nothing")
    if re.search(r"[{}]", inputs + targets) or inputs != inputs.strip() or "  " in inputs:
        found.append(f"{wording.id}: a brace or stray blanks")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_wordings_never_show_what_they_ask_for(name: str) -> None:
    assert [
        leak for wording in wordings_of(name).wordings for leak in leaks(wording, BY_NAME[name].fields)
    ] == []


@pytest.mark.parametrize("name", NAMES)
def test_there_are_wordings_of_every_kind_none_of_them_twice(name: str) -> None:
    found = wordings_of(name).wordings
    direct = [one for one in found if not one.inverted]
    assert sum(not one.labels for one in direct) >= 10
    assert sum(one.instruction is not None for one in direct) >= 2
    assert sum(one.inverted for one in found) >= 2
    assert [one for one in direct if one.labels != one.bare or (one.labels and one.shots != "few")] == []
    assert 1 <= sum(one.labels for one in direct) <= 2
    assert [text for text, count in Counter(one.inputs.text for one in found).items() if count > 1] == []


@pytest.mark.parametrize("name", NAMES)
def test_direct_wordings_show_the_whole_item(name: str) -> None:
    needed = set(BY_NAME[name].fields) - {"answer", "source_language", "target_language"}
    assert [
        one.id for one in wordings_of(name).wordings if not one.inverted and not needed <= one.fields
    ] == []


@pytest.mark.parametrize(
    ("inputs", "targets", "inverted", "leak"),
    [
        ("{document} {answer}", "{answer}", False, "made-up: shows answer"),
        ("{answer}", "{document}", False, "made-up: asks for ['document']"),
        ("{document}", "{answer}", True, "made-up: asks for ['answer']"),
        ("{document}", "It is {answer}", False, "made-up: asks for ['answer']"),
        ("Sum it up.", "{answer}", False, "made-up: shows nothing"),
        ("{document} {{text}}", "{answer}", False, "made-up: a brace or stray blanks"),
    ],
)
def test_the_check_of_wordings_notices(inputs: str, targets: str, inverted: bool, leak: str) -> None:
    assert leak in leaks(
        Wording("made-up", Pattern.parse(inputs), Pattern.parse(targets), inverted=inverted),
        ("document", "answer"),
    )
