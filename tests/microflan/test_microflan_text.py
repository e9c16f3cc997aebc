"""The embedded world's plain text: true, marked where its value stands, and the same whenever it is asked
for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from microflan_checks import document_complaints, sampled
from microflan_solver import CONTEXT, holds, sentences

from openflan.microflan.world import GeneratedDocuments, microflan_tasks, plain_sentences, text_tasks, world
from openflan.microflan.world.documents import KINDS, SHARES
from openflan.microflan.world.ordinary import ordinary_sentence
from openflan.microflan.world.recall import recalled
from openflan.randomness import Draws
from openflan.tasks.task import Row
from openflan.templates.wording import READY_MADE, packaged_wordings, wordings_for

TASKS = microflan_tasks(0)
TEXTS = text_tasks(0)
TABLES = world(0).tables()


def whole(row: Row) -> str:
    return f"{row['inputs']} {row['targets']}"


def untrue(text: str) -> list[str]:
    """Sentences that do not hold after what is told before them."""
    context, new_sentences = "", []
    for sentence in sentences(text):
        if CONTEXT.fullmatch(sentence):
            context = f"{context} {sentence}.".lstrip()
        elif not holds(sentence, TABLES, context):
            new_sentences.append(sentence)
    return new_sentences if context != text else [text]


def documents(count: int) -> list[Mapping[str, Any]]:
    texts = GeneratedDocuments(0)
    return [texts[number] for number in range(count)]


def test_replayed_text_is_true() -> None:
    checked = 0
    for name, task in TEXTS.items():
        assert task.fields == {"inputs", "targets"}
        for row in sampled(task, 500):
            assert untrue(whole(row)) == [], name
            checked += 1
    assert checked >= 6_000


def test_documents_are_true_and_marked_where_their_value_stands() -> None:
    marked = [document for document in documents(4_000) if "salient" in document]
    assert len(marked) >= 3_500
    assert [complaint for document in marked for complaint in document_complaints(document, TABLES)] == []


@pytest.mark.slow
def test_fifty_thousand_documents_are_true() -> None:
    assert [
        complaint
        for document in documents(50_000)
        if "salient" in document
        for complaint in document_complaints(document, TABLES)
    ] == []


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"text": "Dan's boss is Dan.", "salient": [14, 17]}, "untrue"),
        ({"text": "We know that 3 plus 4 is 8.", "salient": [25, 26]}, "untrue"),
        ({"text": "Left of north is east.", "salient": [17, 21]}, "untrue"),
        ({"text": "We know that the opposite of hot is wet.", "salient": [36, 39]}, "untrue"),
        (
            {"text": f"People who speak Tovi say {TABLES['Tovi']['oak']} for {{x}}.", "salient": [26, 31]},
            "untrue",
        ),
        ({"text": "Ann is in the park. The place of Ann is the shop.", "salient": [44, 48]}, "untrue"),
        (
            {"text": "Points: Ann 3, Ben 9. The person with the most points is Ann.", "salient": [57, 60]},
            "untrue",
        ),
        ({"text": "2 becomes 3. 5 becomes 6. By this rule 7 becomes 14.", "salient": [49, 51]}, "untrue"),
        ({"text": "Ann is in the park.", "salient": [14, 18]}, "says nothing"),
        ({"text": "Ann 3, Ben 9. Again: Ben 3.", "salient": [25, 26]}, "not told"),
        ({"text": "red becomes blue. Again: blue becomes red.", "salient": [38, 41]}, "not told"),
        ({"text": "Ann 3, Ben 9. Again: Ben 9.", "salient": [21, 24]}, "is marked"),
        ({"text": "3 plus 4 is 7.", "salient": [0, 1]}, "is marked"),
        ({"text": "3 plus 4 is 7.", "salient": [12, 14]}, "is marked"),
        ({"text": "3 plus 0 is 3.", "salient": [0, 1]}, "is marked"),
    ],
)
def test_the_checker_sees_a_wrong_document(document: Mapping[str, Any], says: str) -> None:
    assert says in " ".join(document_complaints(document, TABLES))


def test_passages_are_told_again_both_ways_and_only_in_part() -> None:
    messages = [recalled(Draws("test", number)) for number in range(600)]
    documents = [{"text": one.text, "salient": [one.begin, one.end]} for one in messages]
    assert [complaint for document in documents for complaint in document_complaints(document, TABLES)] == []
    assert sum(bool(re.search(r"Again: (\d+ [A-Z]|in the |[a-z]+ [A-Z])", one.text)) for one in messages) > 60
    assert all(len(re.findall(r"[.,]", one.text.partition(" Again: ")[2])) == 3 for one in messages)


def test_documents_depend_on_seed_and_number_alone() -> None:
    texts, again = GeneratedDocuments(0), GeneratedDocuments(0)
    backwards = [again[number] for number in reversed(range(50))]
    assert [texts[number] for number in range(50)] == backwards[::-1]
    assert texts[7] != GeneratedDocuments(1)[7]
    assert len(texts) > 10_000_000
    assert texts.place(1_234) == "embedded:microflan, document 1,234"
    assert isinstance(texts[len(texts) - 1]["text"], str)


def test_documents_are_of_the_stated_kinds() -> None:
    counts: Counter[str] = Counter()
    shares = dict(zip(KINDS, SHARES[""], strict=True))
    shapes = {
        "lists": r"\blists? ",
        "terms": (
            r"letter|spell|the (day|month|season) |in the year|number of \w+ in \d|word for the "
            r"number|digits"
        ),
    }
    for document in documents(4_000):
        counts += Counter(
            name
            for name, shape in shapes.items()
            if re.search(shape, str(document["text"])) and "written" not in str(document["text"])
        )
        counts["ordinary"] += "salient" not in document
    assert counts["lists"] / 4_000 == pytest.approx(shares["lists"], abs=0.03)
    assert counts["terms"] / 4_000 == pytest.approx(shares["terms"], abs=0.03)
    assert counts["ordinary"] / 4_000 == pytest.approx(shares["ordinary"], abs=0.01)
    assert all(sum(mix) == pytest.approx(1) for mix in SHARES.values())


def test_plain_text_states_every_fact() -> None:
    sentences = [
        whole(row)
        for kind in ("attributes", "relations", "places", "words")
        for row in sampled(TEXTS[f"microflan_text/{kind}"], 10_000)
    ]
    word_sets = [set(re.findall(r"\w+", sentence)) for sentence in dict.fromkeys(sentences)]
    for function in world(0).functions:
        naming = [words for words in word_sets if function.word in words]
        for argument, value in function.facts:
            said = [
                words for words in naming if {argument, value} <= {word.lower() for word in words} | words
            ]
            assert len(said) >= 4, (function.word, argument)


def test_each_sentence_is_cut_before_its_value_and_elsewhere() -> None:
    for name, task in TEXTS.items():
        for index in range(0, min(len(task.rows), 400), 2):
            before, elsewhere = task.rows[index], task.rows[index + 1]
            assert whole(before) == whole(elsewhere), name
            assert before["inputs"] != elsewhere["inputs"]
    rows = TEXTS["microflan_text/attributes"].rows
    assert all(len(str(rows[index]["targets"]).split()) == 1 for index in range(0, len(rows), 2))


def test_sample_sentences_hold_all_words_of_the_world() -> None:
    said = list(plain_sentences(0))
    seen = {word for sentence in said for word in re.findall(r"\w+", sentence)}
    asked = {
        word
        for task in TASKS.values()
        for row in sampled(task, 20)
        for word in re.findall(r"\w+", str(row["answer"]))
    }
    assert {word for word in asked - seen if word.lower() not in seen and not word.isdigit()} == {
        "yes",
        "no",
        "known",
    }
    assert set(TABLES["boss"]) | set(TABLES) | set(TABLES["opposite"]) <= seen
    assert said == list(plain_sentences(0))


def test_ordinary_sentences_have_every_slot_filled() -> None:
    for index in range(400):
        assert not re.search(r"[{}]", ordinary_sentence(Draws("test", index)))


def test_replayed_text_is_shown_as_it_is() -> None:
    assert {wordings_for(name, task.fields, packaged_wordings()) for name, task in TEXTS.items()} == {
        READY_MADE
    }
