"""Data sets of Muffin whose answers are written, and their records in the columns of their copies."""

from __future__ import annotations

from typing import Any

from openflan.tasks.muffin import (
    data_to_text,
    dialog,
    program_synthesis,
    summarization,
    text_repair,
    translation,
)

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
        {"document": "Rain fell.", "answer": "Rain", "title": "Wet"},
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
        {
            "movie": "Rain",
            "reviews": "1. Wet.\n2. Long.",
            "first_review": "Wet.",
            "answer": "Wet and long.",
        },
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
        {"concepts": "dog, run", "concept_lines": "dog\nrun", "answer": "A dog runs."},
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
