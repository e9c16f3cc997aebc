"""Muffin's classification data sets: their wordings."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from muffin_classification_records import CLASSES, DATASETS, RECORDS

from openflan.tasks.task import Task
from openflan.templates.pattern import Pattern
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import Wording, WordingSet, packaged_wordings, wordings_for

NEVER_INVERTED = {
    "wsc",
    "wic",
    "winogrande",
    "mnli_matched",
    "mnli_mismatched",
    "glue_mrpc",
    "glue_qqp",
    "paws_wiki",
}


def found_for(name: str) -> WordingSet:
    return wordings_for(f"muffin/{name}", frozenset(DATASETS[name].fields), packaged_wordings())


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_enough_wordings_of_every_kind(name: str) -> None:
    wordings = found_for(name).wordings
    direct = [one for one in wordings if not one.inverted]
    assert len([one for one in direct if not one.labels]) >= 10
    assert len([one for one in direct if one.options and not one.labels]) >= 6
    assert len([one for one in direct if not one.options and not one.labels]) >= 4
    assert Counter((one.bare, one.shots, one.options) for one in direct if one.labels) == {
        (True, "few", True): 1,
        (True, "few", False): 1,
    }
    assert {one.options for one in direct if one.instruction is not None} == {True, False}
    assert len(wordings) - len(direct) in ((0,) if name in NEVER_INVERTED else (2, 3, 4))


@pytest.mark.parametrize("name", DATASETS)
def test_no_wording_is_repeated(name: str) -> None:
    wordings = found_for(name).wordings
    assert [one for one, count in Counter(one.id for one in wordings).items() if count > 1] == []
    assert [
        item for item, count in Counter(one.inputs.text.lower() for one in wordings).items() if count > 1
    ] == []


def field_complaints(wording: Wording, fields: tuple[str, ...]) -> list[str]:
    """What of a filled wording shows a field that it must not, lacks one that it needs, or is left
    unfilled."""
    values = {name: f"⟦{name}⟧" for name in fields}
    inputs, targets = wording.inputs.fill(values), wording.targets.fill(values)
    complaints = []
    if wording.inverted:
        if len(wording.targets.fields) != 1 or wording.targets.fields[0] in ("answer", "options"):
            complaints.append("an inverted wording asks for one of the other fields")
        if "⟦options⟧" in inputs:
            complaints.append("options in inverted inputs")
    else:
        if wording.targets.text != "{answer}":
            complaints.append("targets are not the answer alone")
        needed = set(fields) - {"answer", "options", "pronoun"}
        complaints += [
            f"{name} is not in the inputs" for name in sorted(needed) if values[name] not in inputs
        ]
        if wording.options and f"\n{values['options']}\n" not in f"\n{inputs}\n":
            complaints.append("options are not on a line of their own")
    complaints += [
        f"{name} is in the inputs and asked for"
        for name in sorted(set(wording.targets.fields))
        if values[name] in inputs
    ]
    if re.search(r"[{}]|\\n", inputs + targets) or inputs != inputs.strip() or re.search(r"[ \t]\n", inputs):
        complaints.append("braces, an escaped newline or outer blanks are left")
    return complaints


@pytest.mark.parametrize("name", DATASETS)
def test_fields_stand_where_they_belong(name: str) -> None:
    fields = DATASETS[name].fields
    assert [
        (wording.id, complaint)
        for wording in found_for(name).wordings
        for complaint in field_complaints(wording, fields)
    ] == []


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (
            Wording("bad", Pattern.parse("{text} {answer}"), Pattern.parse("{answer}")),
            "answer is in the inputs and asked for",
        ),
        (Wording("bad", Pattern.parse("Hello"), Pattern.parse("{answer}")), "text is not in the inputs"),
        (
            Wording("bad", Pattern.parse("{text}"), Pattern.parse("It is {answer}")),
            "targets are not the answer alone",
        ),
        (
            Wording("bad", Pattern.parse("{text} {options}"), Pattern.parse("{answer}")),
            "options are not on a line of their own",
        ),
        (
            Wording("bad", Pattern.parse("{text} {{x}}"), Pattern.parse("{answer}")),
            "braces, an escaped newline or outer blanks are left",
        ),
        (
            Wording("bad", Pattern.parse("{text} {answer}"), Pattern.parse("{text}"), inverted=True),
            "text is in the inputs and asked for",
        ),
        (
            Wording("bad", Pattern.parse("{options}"), Pattern.parse("{text}"), inverted=True),
            "options in inverted inputs",
        ),
    ],
)
def test_the_field_check_notices(bad: Wording, complaint: str) -> None:
    assert field_complaints(bad, ("text", "options", "answer")) == [complaint]


def misspelt(text: str, classes: list[str]) -> list[str]:
    """Class words that a text spells in another form."""
    return [
        actual[0]
        for word in classes
        for actual in re.finditer(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
        if actual[0] != word
    ]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_wordings_spell_class_words_as_the_options_do(name: str) -> None:
    classes = CLASSES[name][0]
    wordings = found_for(name).wordings
    assert [
        (wording.id, word)
        for wording in wordings
        for word in misspelt("".join(wording.inputs.literals), classes)
    ] == []
    assert misspelt("Answer Yes or no.", ["yes", "no"]) == ["Yes"]


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"stsb"}))
def test_wordings_without_options_name_every_class(name: str) -> None:
    for wording in found_for(name).wordings:
        if not (wording.inverted or wording.options or wording.labels):
            said = "".join(wording.inputs.literals)
            assert [
                word for word in CLASSES[name][0] if not re.search(rf"\b{re.escape(word)}\b", said)
            ] == [], wording.id


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("few_shot", [False, True])
@pytest.mark.parametrize("options", [False, True])
def test_rows_render_in_every_style(name: str, few_shot: bool, options: bool) -> None:
    row = DATASETS[name].row(RECORDS[name][0])
    assert row is not None
    task = Task(f"muffin/{name}", [row] * 8, frozenset(DATASETS[name].fields), dataset=name, category="test")
    renderer = Renderer(task, found_for(name))
    for position in range(20):
        example = renderer.render(0, Style(few_shot=few_shot, options=options), seed=3, position=position)
        assert example.targets == row["answer"] or (options and not few_shot)
        assert all(option in example.inputs for option in row["options"]) or not options
