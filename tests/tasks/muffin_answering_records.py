"""Records of Muffin's question-answering data sets, in the columns of the copies that the data sets name."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from openflan.tasks.muffin import closed_book, commonsense, reading, science

DATASETS = {
    dataset.name: dataset
    for family in (science, closed_book, reading, commonsense)
    for dataset in family.DATASETS
}

ARC = {
    "id": "Mercury_1",
    "question": " Which of these melts? ",
    "choices": {"text": ["ice", "fire", "wind ", "light"], "label": ["A", "B", "C", "D"]},
    "answerKey": "A",
}

ARC_ROW = {"question": "Which of these melts?", "options": ["ice", "fire", "wind", "light"], "answer": "ice"}

OPENBOOK = {
    "id": "7-1",
    "question_stem": "Ice turns into",
    "fact1": "heat melts ice",
    "choices": ARC["choices"] | {"text": ["water", "iron", "sand", "air"]},
    "answerKey": "A",
}

UNIFIED = {
    "input": "What do plants need? \\n (A) sand (B) light (or the sun) (C) noise (D) iron",
    "output": "Light (or the sun)",
}

TRIVIA = {
    "question": "Which planet is red?",
    "question_id": "tc_1",
    "question_source": "http://www.triviacountry.com/",
    "entity_pages": {"doc_source": [], "filename": [], "title": [], "wiki_context": []},
    "search_results": {
        "description": ["x"],
        "filename": ["f"],
        "rank": [0],
        "title": ["Planets"],
        "url": ["u"],
        "search_context": ["x"],
    },
    "answer": {
        "aliases": ["Mars", "The Red Planet"],
        "normalized_aliases": ["mars", "red planet"],
        "matched_wiki_entity_name": "Mars",
        "normalized_matched_wiki_entity_name": "mars",
        "normalized_value": "mars",
        "type": "WikipediaEntity",
        "value": "Mars",
    },
}

TRIVIA_ROW = {"question": "Which planet is red?", "answer": "mars"}
BOOLQ = {"question": "is ice cold", "answer": True, "passage": "Ice is frozen water. "}

MULTIRC = {
    "paragraph": "Ann saw Bob.",
    "question": "Who was seen?",
    "answer": "Ann",
    "idx": {"paragraph": 0, "question": 0, "answer": 0},
    "label": 0,
}

SQUAD = {
    "id": "5733",
    "title": "Red_Planet",
    "context": "Mars is red.",
    "question": "Which planet is red?",
    "answers": {"text": ["Mars", "Mars is"], "answer_start": [0, 0]},
}

SQUAD_ROW = {
    "title": "Red Planet",
    "passage": "Mars is red.",
    "question": "Which planet is red?",
    "answer": "Mars",
}

DROP = {
    "section_id": "nfl_1",
    "query_id": "f37e",
    "passage": "Ann ran 3 miles, Bob 4.",
    "question": "Who ran?",
    "answers_spans": {"spans": ["Ann", "Bob"], "types": ["span", "span"]},
}

QUAC = {
    "title": "Ann Bell",
    "section_title": "Youth",
    "background": "Ann Bell was a singer. ",
    "context": "She was born in Rome. CANNOTANSWER",
    "question": "Where was she born?",
    "followup": "y",
    "yesno": "x",
    "answers": {"text": ["in Rome"], "answer_start": [13]},
    "orig_answer": {"text": "in Rome", "answer_start": 13},
}

COQA = {
    "source": "wikipedia",
    "story": "Ann has a cat.",
    "questions": ["Who has a cat?", "Is it a dog?"],
    "answers": {"input_text": ["Ann", "no"], "answer_start": [0, 8], "answer_end": [3, 13]},
}

RECORD = {
    "passage": "Ann beat Bob in Rome.\n@highlight\nAnn wins\n@highlight\nBob loses",
    "query": "On Sunday @placeholder's fans sang in the rain.",
    "entities": ["Rome", "Bob", "Ann"],
    "entity_spans": {"text": ["Ann", "Bob", "Rome"], "start": [0, 9, 16], "end": [3, 12, 20]},
    "answers": ["Ann"],
    "idx": {"passage": 0, "query": 0},
}

RECORD_ROW = {
    "passage": "Ann beat Bob in Rome.",
    "query": "On Sunday ...",
    "options": [
        "Rome's fans sang in the rain.",
        "Bob's fans sang in the rain.",
        "Ann's fans sang in the rain.",
    ],
    "answer": "Ann's fans sang in the rain.",
}

COPA = {
    "premise": "It rained.",
    "choice1": "Ann got wet.",
    "choice2": "Ann got rich.",
    "question": "effect",
    "idx": 0,
    "label": 0,
}

COSMOS = {
    "id": "3Q9",
    "context": "We ran.",
    "question": "Why?",
    "answer0": "Fun",
    "answer1": "Fear",
    "answer2": "Haste",
    "answer3": "None",
    "label": 1,
}

HELLASWAG = {
    "ind": 4,
    "activity_label": "Home and Garden",
    "ctx_a": "",
    "ctx_b": "",
    "ctx": "[header] How to sweep [title] Get a broom. [step] Any will do",
    "endings": ["[step] It sings.", "Then sweep [substeps] the floor.", "Eat it.", "Sleep."],
    "source_id": "wikihow~1",
    "split": "train",
    "split_type": "indomain",
    "label": "1",
}

HELLASWAG_ROW = {
    "activity": "Home and Garden",
    "context": "How to sweep\nGet a broom.\nAny will do",
    "options": ["It sings.", "Then sweep the floor.", "Eat it.", "Sleep."],
    "answer": "Then sweep the floor.",
}

PIQA = {"goal": "Dry a cup", "sol1": "Use a towel", "sol2": "Use water", "label": 0}

STORY = {
    "story_id": "b929",
    "input_sentence_1": "Ann ran.",
    "input_sentence_2": "She fell. ",
    "input_sentence_3": "It hurt.",
    "input_sentence_4": "Bob came.",
    "sentence_quiz1": "He laughed at the moon.",
    "sentence_quiz2": "He helped her up.",
    "answer_right_ending": 2,
}

LAMBADA = {
    "text": "`` where is it ? '' he looked for his hat , then for his umbrella and put on his hat",
    "domain": "",
}

Example = tuple[str, dict[str, Any], dict[str, Any]]

KEPT: list[Example] = [
    ("arc_challenge", ARC, ARC_ROW),
    (
        "arc_easy",
        ARC | {"choices": ARC["choices"] | {"label": ["1", "2", "3", "4"]}, "answerKey": "4"},
        ARC_ROW | {"answer": "light"},
    ),
    (
        "openbookqa",
        OPENBOOK,
        {
            "fact": "heat melts ice",
            "question": "Ice turns into",
            "options": ["water", "iron", "sand", "air"],
            "answer": "water",
        },
    ),
    (
        "unified_qa_science_inst",
        UNIFIED,
        {
            "question": "What do plants need?",
            "options": ["sand", "light (or the sun)", "noise", "iron"],
            "answer": "light (or the sun)",
        },
    ),
    (
        "unified_qa_science_inst",
        {"input": "Read on.\nWhat burns?\n(A) ice (B) wood (C) sand (D) rain", "output": "wood"},
        {"question": "Read on. What burns?", "options": ["ice", "wood", "sand", "rain"], "answer": "wood"},
    ),
    (
        "natural_questions",
        {"question": "who was ann", "answer": ["a singer", "singer"]},
        {"question": "who was ann?", "answer": "a singer"},
    ),
    (
        "natural_questions",
        {"question": "who was ann ?", "answer": ["a singer"]},
        {"question": "who was ann?", "answer": "a singer"},
    ),
    ("trivia_qa", TRIVIA, TRIVIA_ROW),
    ("trivia_qa_wiki_missing", TRIVIA, TRIVIA_ROW),
    (
        "math_dataset",
        {"question": "b'Solve 2*x = -6 for x.\\n'", "answer": "b'-3\\n'"},
        {"question": "Solve 2*x = -6 for x.", "answer": "-3"},
    ),
    (
        "math_dataset",
        {"question": "Solve 2*x = -6 for x.\n", "answer": "-3\n"},
        {"question": "Solve 2*x = -6 for x.", "answer": "-3"},
    ),
    (
        "bool_q",
        BOOLQ,
        {
            "passage": "Ice is frozen water.",
            "question": "is ice cold",
            "options": ["no", "yes"],
            "answer": "yes",
        },
    ),
    (
        "bool_q",
        BOOLQ | {"answer": False},
        {
            "passage": "Ice is frozen water.",
            "question": "is ice cold",
            "options": ["no", "yes"],
            "answer": "no",
        },
    ),
    (
        "multirc",
        MULTIRC,
        {
            "passage": "Ann saw Bob.",
            "question": "Who was seen?",
            "candidate": "Ann",
            "options": ["no", "yes"],
            "answer": "no",
        },
    ),
    (
        "multirc",
        MULTIRC | {"answer": "Bob", "label": 1},
        {
            "passage": "Ann saw Bob.",
            "question": "Who was seen?",
            "candidate": "Bob",
            "options": ["no", "yes"],
            "answer": "yes",
        },
    ),
    ("squad_v1", SQUAD, SQUAD_ROW),
    ("squad_v2", SQUAD, SQUAD_ROW),
    (
        "squad_v2",
        SQUAD | {"answers": {"text": [], "answer_start": []}},
        SQUAD_ROW | {"answer": "unanswerable"},
    ),
    ("drop", DROP, {"passage": "Ann ran 3 miles, Bob 4.", "question": "Who ran?", "answer": "Ann, Bob"}),
    (
        "drop",
        DROP | {"question": "How many miles in all?", "answers_spans": {"spans": ["7"], "types": ["number"]}},
        {"passage": "Ann ran 3 miles, Bob 4.", "question": "How many miles in all?", "answer": "7"},
    ),
    (
        "quac",
        QUAC,
        {
            "title": "Ann Bell",
            "section": "She was born in Rome.",
            "background": "Ann Bell was a singer.",
            "passage": "Ann Bell was a singer.\n\nShe was born in Rome.",
            "question": "Where was she born?",
            "answer": "in Rome",
        },
    ),
    (
        "quac",
        QUAC | {"background": ""},
        {
            "title": "Ann Bell",
            "section": "She was born in Rome.",
            "passage": "She was born in Rome.",
            "question": "Where was she born?",
            "answer": "in Rome",
        },
    ),
    (
        "coqa",
        COQA,
        {
            "passage": "Ann has a cat.",
            "questions": "1. Who has a cat?\n2. Is it a dog?",
            "answer": "1. Ann\n2. no",
        },
    ),
    ("record", RECORD, RECORD_ROW),
    (
        "record",
        RECORD
        | {
            "query": "@placeholder lost, and @placeholder wept.",
            "entities": ["Ann", "Bob", "Ann"],
            "answers": ["Bob", "Ann"],
        },
        {
            "passage": "Ann beat Bob in Rome.",
            "query": "...",
            "options": ["Ann lost, and Ann wept.", "Bob lost, and Bob wept."],
            "answer": "Bob lost, and Bob wept.",
        },
    ),
    (
        "copa",
        COPA,
        {
            "premise": "It rained.",
            "question": "What happened as a result?",
            "asked_for": "effect",
            "options": ["Ann got wet.", "Ann got rich."],
            "answer": "Ann got wet.",
        },
    ),
    (
        "copa",
        COPA | {"question": "cause", "label": 1},
        {
            "premise": "It rained.",
            "question": "What was the cause?",
            "asked_for": "cause",
            "options": ["Ann got wet.", "Ann got rich."],
            "answer": "Ann got rich.",
        },
    ),
    (
        "cosmos_qa",
        COSMOS,
        {
            "context": "We ran.",
            "question": "Why?",
            "options": ["Fun", "Fear", "Haste", "None"],
            "answer": "Fear",
        },
    ),
    ("hellaswag", HELLASWAG, HELLASWAG_ROW),
    ("piqa", PIQA, {"goal": "Dry a cup", "options": ["Use a towel", "Use water"], "answer": "Use a towel"}),
    (
        "story_cloze",
        STORY,
        {
            "context": "Ann ran. She fell. It hurt. Bob came.",
            "options": ["He laughed at the moon.", "He helped her up."],
            "answer": "He helped her up.",
        },
    ),
    (
        "lambada",
        LAMBADA,
        {
            "passage": "`` where is it ? '' he looked for his hat , then for his umbrella and put on his",
            "answer": "hat",
        },
    ),
]

ROWS = {name: [row for other, _, row in KEPT if other == name] for name in DATASETS}

noise = st.text(st.characters(codec="utf-8", exclude_characters="⟦⟧"), max_size=30) | st.sampled_from(
    ["{answer}", "{", "}}", "{0}", "%s", "\\1"]
)
