"""Question answering in Muffin: raw records in the layout of their hub copies become fields, and every
wording for them shows what it should.

The checks on wordings return complaints, so that each of them can be shown to fail on a wording made wrong on
purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.tasks.catalogue import catalogue
from openflan.tasks.muffin import closed_book, commonsense, reading, science
from openflan.tasks.muffin.dataset import Dataset
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import ALL_STYLES, Style
from openflan.templates.wording import Pattern, Wording, packaged_wordings, wordings_for

DATASETS = {
    dataset.name: dataset
    for family in (science, closed_book, reading, commonsense)
    for dataset in family.DATASETS
}
NOT_INVERTED = {"bool_q", "hellaswag"}

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

ROWS = {name: [row for other, _, row in KEPT if other == name] for name in DATASETS}


def wordings_of(dataset: Dataset) -> tuple[Wording, ...]:
    return wordings_for(f"muffin/{dataset.name}", frozenset(dataset.fields), packaged_wordings()).wordings


def complaints(wording: Wording, fields: Iterable[str], around: tuple[str, str] = ("", "")) -> list[str]:
    """What a wording shows that it should not, or asks for that it should not; `around` is put about each
    field's mark."""
    values = {name: f"{around[0]}⟦{name}⟧{around[1]}" for name in fields}
    inputs, targets = wording.inputs.fill(values), wording.targets.fill(values)
    found = []
    if wording.inverted:
        produced = [name for name in values if f"⟦{name}⟧" in targets]
        if len(produced) != 1 or targets != values[produced[0]] or produced == ["answer"]:
            found.append("asks for something else than one field")
        found += [f"shows the {name} it asks for" for name in produced if f"⟦{name}⟧" in inputs]
        if "⟦options⟧" in inputs:
            found.append("lists options, one of which is what it shows")
    else:
        if targets != values["answer"]:
            found.append("asks for something else than the answer")
        if "⟦answer⟧" in inputs:
            found.append("shows the answer")
    found += [f"shows {name} twice" for name in values if inputs.count(f"⟦{name}⟧") > 1]
    if not any(f"⟦{name}⟧" in inputs for name in values):
        found.append("shows nothing")
    if re.search(r"[{}]|\\n", "".join((*wording.inputs.literals, *wording.targets.literals))):
        found.append("leaves braces or an escaped newline")
    if re.search(
        r"[^\n]⟦options⟧|⟦options⟧[^\n]", wording.inputs.fill({name: f"⟦{name}⟧" for name in fields})
    ):
        found.append("lists options in the middle of a line")
    if any(line != line.strip() for line in wording.inputs.text.split("\n")):
        found.append("has blanks at the end of a line")
    return found


def without(dataset: Dataset, raw: dict[str, Any], column: str) -> Any:
    """What becomes of a record whose cell is empty: a table gives it without that column. None if it is
    refused or left out."""
    try:
        return dataset.row({other: value for other, value in raw.items() if other != column})
    except (ValueError, KeyError):
        return None


@pytest.mark.parametrize(("name", "raw", "row"), KEPT)
def test_a_record_becomes_fields(name: str, raw: dict[str, Any], row: dict[str, Any]) -> None:
    found = DATASETS[name].row(raw)
    assert found == row
    assert set(found) == set(DATASETS[name].fields)
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


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_every_dataset_has_enough_wordings_of_each_kind(dataset: Dataset) -> None:
    found = wordings_of(dataset)
    instructing = [one for one in found if not one.inverted and not one.labels]
    assert len(instructing) >= 10
    assert len({one.inputs.text for one in instructing}) == len(instructing)
    if "options" in dataset.fields:
        assert sum(one.options for one in instructing) >= 6
        assert sum(not one.options for one in instructing) >= 4
        assert {one.options for one in instructing if one.instruction} == {True, False}
    assert sum(one.instruction is not None for one in instructing) >= 2
    assert {one.options for one in found if one.bare} == {False, "options" in dataset.fields}
    assert all(one.shots == ("few" if one.labels else "any") for one in found)
    inverted = sum(one.inverted for one in found)
    assert inverted == 0 if dataset.name in NOT_INVERTED else 2 <= inverted <= 4


noise = st.text(st.characters(codec="utf-8", exclude_characters="⟦⟧"), max_size=30) | st.sampled_from(
    ["{answer}", "{", "}}", "{0}", "%s", "\\1"]
)


@settings(deadline=None, max_examples=40)  # the first example loads the files
@given(around=st.tuples(noise, noise))
def test_every_wording_shows_what_it_should_and_never_what_it_asks_for(around: tuple[str, str]) -> None:
    assert [
        (dataset.name, one.id, found)
        for dataset in DATASETS.values()
        for one in wordings_of(dataset)
        for found in complaints(one, dataset.fields, around)
    ] == []


@pytest.mark.parametrize("name", ["bool_q", "multirc"])
def test_wordings_without_options_name_the_class_words_themselves(name: str) -> None:
    for one in wordings_of(DATASETS[name]):
        if not (one.inverted or one.options or one.labels):
            words = set(re.findall(r"\w+", "".join(one.inputs.literals).lower()))
            assert "yes" in words, one.id
            assert words & {"no", "not", "otherwise"}, one.id


def test_wordings_for_squad_v2_say_what_to_write_where_the_text_has_no_answer() -> None:
    for one in wordings_of(DATASETS["squad_v2"]):
        if not (one.inverted or one.labels):
            assert "unanswerable" in one.inputs.text, one.id


def made_up(inputs: str, targets: str = "{answer}", *, inverted: bool = False) -> Wording:
    return Wording("made-up", Pattern.parse(inputs), Pattern.parse(targets), inverted=inverted)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (made_up("{question} {answer}"), "shows the answer"),
        (made_up("{question}", "It is {answer}."), "asks for something else than the answer"),
        (made_up("{question}\n{question}"), "shows question twice"),
        (made_up("Think."), "shows nothing"),
        (made_up("{question} {{x}}"), "leaves braces or an escaped newline"),
        (made_up("{question}\\n{options}"), "leaves braces or an escaped newline"),
        (made_up("{question} {options}"), "lists options in the middle of a line"),
        (made_up("{question} \n{options}"), "has blanks at the end of a line"),
        (made_up("{question} {answer}", "{question}", inverted=True), "shows the question it asks for"),
        (made_up("{question}", "{answer}", inverted=True), "asks for something else than one field"),
        (
            made_up("{answer}\n{options}", "{question}", inverted=True),
            "lists options, one of which is what it shows",
        ),
    ],
)
def test_the_check_notices(bad: Wording, complaint: str) -> None:
    assert complaint in complaints(bad, ("question", "options", "answer"))


# Through the renderer, exemplars and option lists included


def task_of(name: str, count: int = 8) -> Task:
    """A task whose rows are marks, one a field and row."""
    fields = DATASETS[name].fields
    rows = [
        {
            field: [f"⟦answer{row}⟧", "⟦other⟧"] if field == "options" else f"⟦{field}{row}⟧"
            for field in fields
        }
        for row in range(count)
    ]
    return Task(f"muffin/{name}", rows, frozenset(fields), name, "testing")


@settings(deadline=None, max_examples=300)
@given(
    name=st.sampled_from(sorted(DATASETS)),
    style=st.sampled_from(ALL_STYLES),
    row=st.integers(0, 7),
    position=st.integers(0, 10**6),
)
def test_a_rendered_example_does_not_give_away_its_targets(
    name: str, style: Style, row: int, position: int
) -> None:
    task = task_of(name)
    example = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings())).render(
        row, style, 0, position
    )
    if example.style.inverted:
        assert re.fullmatch(rf"⟦(?!answer)\w+{row}⟧", example.targets)
        assert example.targets not in example.inputs
    elif "options" not in task.fields or not example.style.options:
        assert example.targets == f"⟦answer{row}⟧"
        assert example.targets not in example.inputs
    else:
        assert example.inputs.count(f"⟦answer{row}⟧") == 1
    assert example.style.inverted == (style.inverted and name not in NOT_INVERTED)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_real_rows_render_in_every_style(name: str) -> None:
    rows = ROWS[name] * 7
    task = Task(f"muffin/{name}", rows, frozenset(DATASETS[name].fields), name, "testing")
    renderer = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings()))
    for style in ALL_STYLES:
        example = renderer.render(0, style, 0, 0)
        assert example.inputs.strip()
        assert example.targets.strip()
        if not example.style.inverted and example.option_style is None:
            assert example.targets == rows[0]["answer"]


def test_a_wording_made_wrong_would_be_noticed_by_the_renderer_check() -> None:
    task = task_of("piqa")
    found = wordings_for(task.name, task.fields, packaged_wordings())
    leaking = replace(found, wordings=(made_up("{goal} {answer}"),))
    example = Renderer(task, leaking).render(0, Style(options=False), 0, 0)
    assert example.targets in example.inputs
