"""Muffin's data sets whose answers are written: their wordings."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from muffin_generation_records import BY_NAME, NAMES

from openflan.templates.pattern import Pattern
from openflan.templates.wording import Wording, WordingSet, packaged_wordings, wordings_for


def wordings_of(name: str) -> WordingSet:
    return wordings_for(f"muffin/{name}", frozenset(BY_NAME[name].fields), packaged_wordings())


def leaks(wording: Wording, fields: tuple[str, ...]) -> list[str]:
    """Where a wording shows what it asks for, asks for the wrong thing, or shows nothing of the row."""
    marks = {name: f"⟦{name}⟧" for name in fields}
    inputs, targets = wording.inputs.fill(marks), wording.targets.fill(marks)
    asked = {name for name in fields if marks[name] in targets}
    complaints = [f"{wording.id}: shows {name}" for name in sorted(asked) if marks[name] in inputs]
    if wording.inverted == (asked == {"answer"}) or (not wording.inverted and targets != marks["answer"]):
        complaints.append(f"{wording.id}: asks for {sorted(asked)}")
    if not any(mark in inputs for mark in marks.values()):
        complaints.append(f"{wording.id}: shows nothing")
    if re.search(r"[{}]", inputs + targets) or inputs != inputs.strip() or "  " in inputs:
        complaints.append(f"{wording.id}: a brace or stray blanks")
    return complaints


@pytest.mark.parametrize("name", NAMES)
def test_wordings_never_show_what_they_ask_for(name: str) -> None:
    assert [
        leak for wording in wordings_of(name).wordings for leak in leaks(wording, BY_NAME[name].fields)
    ] == []


@pytest.mark.parametrize("name", NAMES)
def test_there_are_wordings_of_every_kind_none_of_them_twice(name: str) -> None:
    wordings = wordings_of(name).wordings
    direct = [one for one in wordings if not one.inverted]
    assert sum(not one.labels for one in direct) >= 10
    assert sum(one.instruction is not None for one in direct) >= 2
    assert sum(one.inverted for one in wordings) >= 2
    assert [one for one in direct if one.labels != one.bare or (one.labels and one.shots != "few")] == []
    assert 1 <= sum(one.labels for one in direct) <= 2
    assert [text for text, count in Counter(one.inputs.text for one in wordings).items() if count > 1] == []


@pytest.mark.parametrize("name", NAMES)
def test_direct_wordings_show_the_whole_item(name: str) -> None:
    needed = set(BY_NAME[name].fields) - {"answer", "source_language", "target_language"}
    assert [
        wording.id
        for wording in wordings_of(name).wordings
        if not wording.inverted and not needed <= wording.fields
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
