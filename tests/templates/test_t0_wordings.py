"""Wordings for T0-SF rows whose choices stand beside the text: every field shown where it should be, and
nothing given away.

Each field holds a mark, so that what a wording shows is seen in its text. The checks return complaints, and
are shown to fail on wordings made wrong.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.tasks.catalogue import find
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import ALL_STYLES, Style
from openflan.templates.wording import READY_MADE, Pattern, Wording, packaged_wordings, wordings_for

WITH = frozenset({"inputs", "targets", "question", "answer", "options"})
WITHOUT = WITH - {"options"}
NAMES = [entry.name for entry in find(submixture="t0_sf") if entry.options]


def wordings_of(fields: frozenset[str] = WITH) -> tuple[Wording, ...]:
    return wordings_for("t0_sf/sciq_Direct_Question", fields, packaged_wordings()).wordings


def complaints(wording: Wording, around: str = "") -> list[str]:
    values = {name: f"{around}⟦{name}⟧{around}" for name in ("question", "options", "answer")}
    inputs, targets = wording.inputs.fill(values), wording.targets.fill(values)
    messages = []
    if targets != values["answer"]:
        messages.append("asks for something else than the answer")
    if "⟦answer⟧" in inputs:
        messages.append("shows the answer")
    if inputs.count("⟦question⟧") != 1:
        messages.append("does not show the question once")
    if inputs.count("⟦options⟧") != wording.options:
        messages.append("lists options twice")
    if re.search(
        r"[^\n]⟦options⟧|⟦options⟧[^\n]", wording.inputs.fill({name: f"⟦{name}⟧" for name in values})
    ):
        messages.append("lists options in the middle of a line")
    if re.search(r":\n\{options\}", wording.inputs.text) or re.search(
        r"options?:\s*$", wording.inputs.text, re.IGNORECASE
    ):
        messages.append("introduces the list, which has a header of its own")
    if any(line != line.strip() for line in wording.inputs.text.split("\n")):
        messages.append("has blanks at the end of a line")
    if not wording.options and re.search(
        r"\b(options?|choices?|list|choose|above|below)\b", "".join(wording.inputs.literals), re.IGNORECASE
    ):
        messages.append("speaks of options that it hides")
    return messages


noise = st.text(st.characters(codec="utf-8", exclude_characters="⟦⟧"), max_size=30) | st.sampled_from(
    ["{answer}", "{", "}}", "%s", "\\1"]
)


@settings(deadline=None)  # the first example loads the files
@given(around=noise)
def test_every_wording_shows_what_it_should_and_never_the_answer(around: str) -> None:
    assert [(one.id, found) for one in wordings_of() for found in complaints(one, around)] == []


def made_up(inputs: str, targets: str = "{answer}") -> Wording:
    return Wording("made-up", Pattern.parse(inputs), Pattern.parse(targets))


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (made_up("{question} {answer}"), "shows the answer"),
        (made_up("{question}", "It is {answer}."), "asks for something else than the answer"),
        (made_up("{options}"), "does not show the question once"),
        (made_up("{question}\n{options}\n{options}"), "lists options twice"),
        (made_up("{question} {options}"), "lists options in the middle of a line"),
        (made_up("{question}\nThe list:\n{options}"), "introduces the list, which has a header of its own"),
        (made_up("{question} \n{options}"), "has blanks at the end of a line"),
        (made_up("{question}\nChoose."), "speaks of options that it hides"),
    ],
)
def test_the_check_notices(bad: Wording, complaint: str) -> None:
    assert complaint in complaints(bad)


def test_there_are_ten_that_list_options_and_some_that_hide_them() -> None:
    wordings = [one for one in wordings_of() if not one.labels]
    assert sum(one.options for one in wordings) == 10
    assert sum(not one.options for one in wordings) == 4
    assert len({one.inputs.text for one in wordings}) == 14
    assert {one.options for one in wordings_of() if one.bare} == {True, False}
    assert {one.options for one in wordings if one.instruction} == {True, False}


def test_they_are_for_the_tasks_whose_rows_carry_options_and_no_others() -> None:
    assert len(NAMES) == 19
    for name in NAMES:
        assert wordings_for(name, WITH, packaged_wordings()).wordings == wordings_of()
    for fields in (WITHOUT, READY_MADE.fields):
        assert [
            wording.id
            for wording in wordings_for("t0_sf/sciq_Multiple_Choice", fields, packaged_wordings()).wordings
        ] == [READY_MADE.wordings[0].id]


def marked(count: int = 8) -> Task:
    rows = [
        {
            "inputs": f"⟦q{n}⟧",
            "targets": f"⟦a{n}⟧",
            "question": f"⟦q{n}⟧",
            "answer": f"⟦a{n}⟧",
            "options": [f"⟦other{n}⟧", f"⟦a{n}⟧"],
        }
        for n in range(count)
    ]
    return Task(NAMES[0], rows, WITH, "sciq", "testing")


@settings(deadline=None, max_examples=200)
@given(style=st.sampled_from(ALL_STYLES), row=st.integers(0, 7), position=st.integers(0, 10**6))
def test_a_style_lists_the_options_or_hides_them(style: Style, row: int, position: int) -> None:
    task = marked()
    example = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings())).render(
        row, style, 0, position
    )
    assert example.style.options == style.options
    assert example.inputs.count(f"⟦q{row}⟧") == 1
    assert (f"⟦other{row}⟧" in example.inputs) == style.options
    assert example.inputs.count(f"⟦a{row}⟧") == style.options
    if not style.options:
        assert example.targets == f"⟦a{row}⟧"
