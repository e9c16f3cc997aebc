"""What every packaged wording shows and asks for, direct or inverted, seen from marks that stand for its
fields.

The checks return complaints, so that each of them can be shown to fail on a wording made wrong on purpose.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import ALL_STYLES, Style
from openflan.templates.wording import Pattern, Wording, WordingSet, packaged_wordings, wordings_for

DATASETS = ("aqua", "creak", "ecqa", "esnli", "gsm8k", "qasc", "qed", "sensemaking", "strategyqa")
COT = frozenset({"question", "answer", "rationale"})
GIVEN = {
    "question",
    "definition",
    "options",
    "inputs",
    "positive_input",
    "positive_output",
    "positive_explanation",
}
"""Fields that a direct wording may show; the others are what it asks for."""

KINDS = {
    "question": ({"rationale", "answer"}, {"question"}),
    "rationale": ({"question", "answer"}, {"rationale"}),
    "question-and-answer": ({"rationale"}, {"question", "answer"}),
    "question-and-rationale": ({"answer"}, {"question", "rationale"}),
}
"""What an inversion asks for: the fields it shows, and those it must not show."""

# The ids call a rationale by what it is in their datasets.
WORDS = {"steps": "rationale", "reason": "rationale", "facts": "rationale", "comment": "rationale"}

noise = st.text(st.characters(codec="utf-8", exclude_characters="⟦⟧"), max_size=30) | st.sampled_from(
    ["{answer}", "{", "}}", "{0}", "%s", "\\1", "Q:", "A:"]
)


def kind(wording: Wording) -> str:
    """The kind that an inverted wording's id claims, such as `question-and-rationale`."""
    asked = re.match(r"(\w+?(?:-and-\w+?)?)-(?:from|for|by|to|between)\b", wording.id)
    assert asked, wording.id
    return "-and-".join(WORDS.get(word, word) for word in asked[1].split("-and-"))


def expected(wording: Wording) -> tuple[set[str], set[str]]:
    """The fields that inputs and targets must show."""
    if wording.inverted:
        return KINDS[kind(wording)]
    asked = (
        {"targets"}
        if "inputs" in wording.fields
        else {"answer", *({"rationale"} if wording.rationale else ())}
    )
    return {name for name in wording.fields if name in GIVEN}, asked


def complaints(wording: Wording, fields: frozenset[str], around: tuple[str, str] = ("", "")) -> list[str]:
    """Fields that stand where they should not, do not stand where they should, or stand there changed;
    `around` is put about each field's mark."""
    values = {name: f"{around[0]}⟦{name}⟧{around[1]}" for name in fields}
    messages = []
    for side, pattern, expected_fields in zip(
        ("inputs", "targets"), (wording.inputs, wording.targets), expected(wording), strict=True
    ):
        text = pattern.fill(values)
        for name, value in values.items():
            if text.count(f"⟦{name}⟧") != (name in expected_fields):
                messages.append(f"{wording.id}: {name} in {side} {text.count(f'⟦{name}⟧')} times")
            elif name in expected_fields and value not in text:
                messages.append(f"{wording.id}: {name} altered in {side}")
    if not {"question", "inputs"} & set().union(*expected(wording)):
        messages.append(f"{wording.id}: no question")
    return messages


def inverted(dataset: str) -> list[Wording]:
    return [one for one in wordings_for(f"cot/{dataset}", COT, packaged_wordings()).wordings if one.inverted]


def made_up(name: str, inputs: str, targets: str) -> Wording:
    return Wording(name, Pattern.parse(inputs), Pattern.parse(targets), inverted=True, rationale=True)


@settings(deadline=None, max_examples=50)  # the first example loads the files
@given(around=st.tuples(noise, noise))
def test_every_packaged_wording_shows_what_it_should_and_never_what_it_asks_for(
    around: tuple[str, str],
) -> None:
    assert len(packaged_wordings()) >= 14
    # Muffin's data sets have fields of their own, which tests beside their row functions know.
    sets = [found for found in packaged_wordings() if not found.tasks[0].startswith("muffin/")]
    assert [
        text
        for wording_set in sets
        for wording in wording_set.wordings
        for text in complaints(wording, wording_set.fields, around)
    ] == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_has_ten_inversions_of_four_kinds(dataset: str) -> None:
    counts = Counter(kind(one) for one in inverted(dataset))
    assert set(counts) == set(KINDS)
    assert sum(counts.values()) == 10
    assert min(counts.values()) >= 2
    assert len({one.id for one in inverted(dataset)}) == 10
    assert len({(one.inputs.text, one.targets.text) for one in inverted(dataset)}) == 10


def test_what_an_inversion_shows_of_a_chain_is_known() -> None:
    assert all(one.rationale for dataset in DATASETS for one in inverted(dataset))


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_kind_can_be_shown_zero_shot_and_some_with_the_instruction_on_top(dataset: str) -> None:
    assert all(one.shots == "any" for one in inverted(dataset))
    assert {kind(one) for one in inverted(dataset) if one.instruction} >= {
        "question",
        "rationale",
        "question-and-rationale",
    }


@pytest.mark.parametrize("dataset", DATASETS)
def test_inverted_patterns_hold_no_escaped_newline_and_no_outer_blank(dataset: str) -> None:
    for wording in inverted(dataset):
        for text in (wording.inputs.text, wording.targets.text):
            assert "\\n" not in text
            assert all(line == line.strip() for line in text.split("\n")), wording.id
            assert text == text.strip()


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (
            made_up("question-from-x", "{rationale} {answer} {question}", "{question}"),
            "question in inputs 1 times",
        ),
        (made_up("question-from-x", "{rationale}", "{question}"), "answer in inputs 0 times"),
        (made_up("steps-from-x", "{question} {answer}", "{rationale} {answer}"), "answer in targets 1 times"),
        (
            made_up("question-and-answer-from-x", "{rationale} {answer}", "{question} {answer}"),
            "answer in inputs 1 times",
        ),
        (
            made_up("question-and-facts-from-x", "{answer} {answer}", "{question} {rationale}"),
            "answer in inputs 2 times",
        ),
        (
            replace(made_up("any", "{question} {rationale}", "{answer}"), inverted=False, rationale=False),
            "rationale in inputs 1 times",
        ),
        (
            replace(made_up("any", "{question}", "{question} {answer}"), inverted=False, rationale=False),
            "question in targets 1 times",
        ),
    ],
)
def test_the_check_notices(bad: Wording, complaint: str) -> None:
    assert complaints(bad, COT) == [f"{bad.id}: {complaint}"]


# The same through the renderer, exemplars and frames included


def marked(name: str, rows: int = 12) -> tuple[Task, WordingSet]:
    """A task whose rows hold nothing but marks, one a field and row, and its packaged wordings."""
    wording_set = next(found for found in packaged_wordings() if found.covers(name))
    fields = wording_set.fields - {"options"}
    items = [
        {field: f"⟦{field}{row}⟧" for field in fields}
        | ({"options": [f"⟦answer{row}⟧", "⟦other⟧"]} if "options" in wording_set.fields else {})
        for row in range(rows)
    ]
    task = Task(name, items, wording_set.fields, "marks", "testing")
    return task, wordings_for(name, task.fields, packaged_wordings())


TASKS = [
    "cot/gsm8k",
    "cot/qasc",
    "cot/creak",
    "cot/esnli",
    "niv2/task001_x",
    "microflan/a-mc",
    "microflan/a-steps",
    "microflan/a-fill",
]


@settings(deadline=None, max_examples=400)
@given(
    name=st.sampled_from(TASKS),
    style=st.sampled_from(ALL_STYLES),
    row=st.integers(0, 11),
    position=st.integers(0, 10**6),
)
def test_an_example_never_shows_what_it_asks_for(name: str, style: Style, row: int, position: int) -> None:
    task, wording_set = marked(name)
    example = Renderer(task, wording_set).render(row, style, 0, position)
    wording = next(
        item
        for item in wording_set.wordings
        if item.id == example.wording and item.inverted == example.style.inverted
    )
    shown, asked = expected(wording)
    by_marker = example.option_style is not None and bool(example.option_style.counter)
    for field in asked:
        # Options hold the answer's text, as they must; nothing else may.
        lists = field == "answer" and wording.options
        assert example.inputs.count(f"⟦{field}{row}⟧") == lists
        assert example.targets.count(f"⟦{field}{row}⟧") == (not (by_marker and field == "answer"))
        for exemplar in example.exemplars:
            assert example.inputs.count(f"⟦{field}{exemplar}⟧") == 1 + lists
    for field in shown - {"options"}:
        assert example.inputs.count(f"⟦{field}{row}⟧") == 1
        assert f"⟦{field}{row}⟧" not in example.targets
        for exemplar in example.exemplars:
            assert example.inputs.count(f"⟦{field}{exemplar}⟧") == (
                field not in (wording.instruction.fields if once(example.style, wording) else ())
            )
    # And nothing of any row that is not named in the record.
    rows = {int(number) for number in re.findall(r"⟦[a-z_]+(\d+)⟧", example.inputs + example.targets)}
    assert rows == {row, *example.exemplars}


def once(style: Style, wording: Wording) -> bool:
    return style.instruction == "top" and wording.instruction is not None
