"""Muffin's question-answering data sets: their wordings, alone and through the renderer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muffin_answering_records import DATASETS, ROWS, noise

from openflan.tasks.muffin.dataset import Dataset
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import ALL_STYLES, Style
from openflan.templates.wording import Pattern, Wording, packaged_wordings, wordings_for

NOT_INVERTED = {"bool_q", "hellaswag"}


def wordings_of(dataset: Dataset) -> tuple[Wording, ...]:
    return wordings_for(f"muffin/{dataset.name}", frozenset(dataset.fields), packaged_wordings()).wordings


def complaints(wording: Wording, fields: Iterable[str], around: tuple[str, str] = ("", "")) -> list[str]:
    """What a wording shows that it should not, or asks for that it should not; `around` is put about each
    field's mark."""
    values = {name: f"{around[0]}⟦{name}⟧{around[1]}" for name in fields}
    inputs, targets = wording.inputs.fill(values), wording.targets.fill(values)
    messages = []
    if wording.inverted:
        produced = [name for name in values if f"⟦{name}⟧" in targets]
        if len(produced) != 1 or targets != values[produced[0]] or produced == ["answer"]:
            messages.append("asks for something else than one field")
        messages += [f"shows the {name} it asks for" for name in produced if f"⟦{name}⟧" in inputs]
        if "⟦options⟧" in inputs:
            messages.append("lists options, one of which is what it shows")
    else:
        if targets != values["answer"]:
            messages.append("asks for something else than the answer")
        if "⟦answer⟧" in inputs:
            messages.append("shows the answer")
    messages += [f"shows {name} twice" for name in values if inputs.count(f"⟦{name}⟧") > 1]
    if not any(f"⟦{name}⟧" in inputs for name in values):
        messages.append("shows nothing")
    if re.search(r"[{}]|\\n", "".join((*wording.inputs.literals, *wording.targets.literals))):
        messages.append("leaves braces or an escaped newline")
    if re.search(
        r"[^\n]⟦options⟧|⟦options⟧[^\n]", wording.inputs.fill({name: f"⟦{name}⟧" for name in fields})
    ):
        messages.append("lists options in the middle of a line")
    if any(line != line.strip() for line in wording.inputs.text.split("\n")):
        messages.append("has blanks at the end of a line")
    return messages


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_every_dataset_has_enough_wordings_of_each_kind(dataset: Dataset) -> None:
    wordings = wordings_of(dataset)
    instructing = [one for one in wordings if not one.inverted and not one.labels]
    assert len(instructing) >= 10
    assert len({one.inputs.text for one in instructing}) == len(instructing)
    if "options" in dataset.fields:
        assert sum(one.options for one in instructing) >= 6
        assert sum(not one.options for one in instructing) >= 4
        assert {one.options for one in instructing if one.instruction} == {True, False}
    assert sum(one.instruction is not None for one in instructing) >= 2
    assert {one.options for one in wordings if one.bare} == {False, "options" in dataset.fields}
    assert all(one.shots == ("few" if one.labels else "any") for one in wordings)
    inverted = sum(one.inverted for one in wordings)
    assert inverted == 0 if dataset.name in NOT_INVERTED else 2 <= inverted <= 4


@settings(deadline=None, max_examples=40)  # the first example loads the files
@given(around=st.tuples(noise, noise))
def test_every_wording_shows_what_it_should_and_never_what_it_asks_for(around: tuple[str, str]) -> None:
    assert [
        (dataset.name, wording.id, actual)
        for dataset in DATASETS.values()
        for wording in wordings_of(dataset)
        for actual in complaints(wording, dataset.fields, around)
    ] == []


@pytest.mark.parametrize("name", ["bool_q", "multirc"])
def test_wordings_without_options_name_the_class_words_themselves(name: str) -> None:
    for wording in wordings_of(DATASETS[name]):
        if not (wording.inverted or wording.options or wording.labels):
            words = set(re.findall(r"\w+", "".join(wording.inputs.literals).lower()))
            assert "yes" in words, wording.id
            assert words & {"no", "not", "otherwise"}, wording.id


def test_wordings_for_squad_v2_say_what_to_write_where_the_text_has_no_answer() -> None:
    for wording in wordings_of(DATASETS["squad_v2"]):
        if not (wording.inverted or wording.labels):
            assert "unanswerable" in wording.inputs.text, wording.id


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
    wordings = wordings_for(task.name, task.fields, packaged_wordings())
    leaking = replace(wordings, wordings=(made_up("{goal} {answer}"),))
    example = Renderer(task, leaking).render(0, Style(options=False), 0, 0)
    assert example.targets in example.inputs
