"""Rendering: lists of options, their markers, and where an answer may stand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from render_work import CHOICE, FEW, ONE_FORMAT, ZERO, choice, renderer, task, wording, wordings

from openflan.errors import InputError
from openflan.templates.formats import PLAIN_OPTIONS, Formats, packaged_formats
from openflan.templates.render import Renderer
from openflan.templates.style import Style

BULLETS = replace(ONE_FORMAT, markers=(("* ", ""),))


# Options


@pytest.mark.parametrize("formats", [ONE_FORMAT, BULLETS, packaged_formats()])
def test_markers_are_the_answer_only_where_they_differ_and_only_zero_shot(formats: Formats) -> None:
    seen = set()
    for position in range(150):
        example = renderer(choice(6), CHOICE, formats).render(2, ZERO, 0, position)
        style = example.option_style
        assert style is not None
        line = next(line for line in example.inputs.split("\n") if "r2o1" in line)
        marker = line.removesuffix(style.ending).removesuffix("r2o1")
        if style.counter:
            assert example.answer == marker.rstrip(" =:") != "r2o1"
            assert "r2o1" not in example.targets
        else:
            assert example.answer == "r2o1"
        assert example.targets == f"[{example.answer}]"
        seen.add(bool(style.counter))

        few = renderer(choice(6), CHOICE, formats).render(2, FEW, 0, position, shots=3)
        assert few.targets == "[r2o1]"
        for index in few.exemplars:
            assert f"[r{index}o1]" in few.inputs
    assert seen == ({True, False} if formats is packaged_formats() else {bool(formats.markers[0][1])})


def test_the_markers_of_one_list_are_all_different_or_all_alike() -> None:
    for position in range(300):
        example = Renderer(choice(2, options=9), CHOICE).render(0, ZERO, 0, position)
        assert example.option_style is not None
        assert len(set(example.option_style.markers(9))) == (9 if example.option_style.counter else 1)


@pytest.mark.parametrize(
    ("counter", "marks"),
    [
        ("upper", ["(A)", "(B)", "(T)"]),
        ("lower", ["(a)", "(b)", "(t)"]),
        ("digit", ["(1)", "(2)", "(20)"]),
        ("roman", ["(I)", "(II)", "(XX)"]),
    ],
)
def test_counters_count(counter: str, marks: list[str]) -> None:
    example = renderer(
        choice(1, options=20), CHOICE, replace(ONE_FORMAT, markers=(("({}) ", counter),))
    ).render(0, ZERO, 0, 0)
    listed = example.inputs.split("\n")[2:]
    assert len(listed) == 20
    assert [listed[number].split(" ")[0] for number in (0, 1, 19)] == marks
    assert example.answer == marks[1]


@pytest.mark.parametrize("counter", ["upper", "lower", "roman"])
def test_a_list_longer_than_the_alphabet_is_bulleted(counter: str) -> None:
    formats = replace(ONE_FORMAT, markers=(("({}) ", counter),))
    example = renderer(choice(1, options=26), CHOICE, formats).render(0, ZERO, 0, 0)
    assert example.inputs.split("\n")[-1].startswith(
        {"upper": "(Z) ", "lower": "(z) ", "roman": "(XXVI) "}[counter]
    )
    more = renderer(choice(1, options=27), CHOICE, formats).render(0, ZERO, 0, 0)
    assert (more.answer, more.targets) == ("r0o1", "[r0o1]")
    assert more.inputs.count("\n- ") == 27


def test_numbers_have_no_end() -> None:
    example = renderer(
        choice(1, options=120), CHOICE, replace(ONE_FORMAT, markers=(("{}. ", "digit"),))
    ).render(0, ZERO, 0, 0)
    assert "\n120. r0o119;" in example.inputs
    assert example.targets == "[2.]"


@pytest.mark.parametrize(
    ("marker", "alone", "closed"),
    [
        ("({}) ", "(B)", "It is (B)."),
        ("{}. ", "B.", "It is B."),
        ("{}) ", "B)", "It is B)."),
        ("[{}] ", "[B]", "It is [B]."),
        ("{}: ", "B", "It is B."),
        ("<{}> ", "<B>", "It is <B>."),
        ("{} = ", "B", "It is B."),
        ("{} - ", "B", "It is B."),
    ],
)
def test_a_marker_as_an_answer_reads_well(marker: str, alone: str, closed: str) -> None:
    """Brackets and dots stay, what leads over to the option goes, and no sentence ends in two full stops."""
    formats = replace(ONE_FORMAT, markers=((marker, "upper"),))
    for targets, said in (("{answer}", alone), ("It is {answer}.", closed)):
        set_ = wordings(
            wording("w", "{question}\n{options}", targets), wording("hidden", "{question}", targets)
        )
        example = renderer(choice(2), set_, formats).render(0, ZERO, 0, 0)
        assert (example.targets, example.answer in said) == (said, True)
        assert f"\n{marker.format('B')}r0o1;" in example.inputs
        text = renderer(
            task([{"question": "q", "answer": "U.S.", "options": ["U.S.", "UK"]}]), set_, formats
        ).render(0, Style(options=False), 0, 0)
        assert text.answer == "U.S.", "an answer that is no marker is left as it is"


def test_every_packaged_marker_reads_well_as_an_answer() -> None:
    stock = packaged_formats()
    assert len({style for style in stock.markers if style[1]}) >= 24
    for marker, counter in stock.markers:
        if counter:
            answer = replace(PLAIN_OPTIONS, marker=marker, counter=counter).answer(["x", "y", "z"], "y")
            assert answer == answer.strip()
            assert answer[-1] not in "=:-"
            assert any(mark in answer for mark in ("B", "b", "2", "II"))


@settings(deadline=None)
@given(position=st.integers(0, 10**6), few_shot=st.booleans())
def test_hidden_options_never_appear(position: int, few_shot: bool) -> None:
    example = Renderer(choice(6), CHOICE).render(3, Style(few_shot, options=False), 0, position)
    assert example.wording == "hidden"
    assert (example.option_style, example.answer, example.targets) == (None, "r3o1", "[r3o1]")
    shown = [f"r{row}o{option}" for row in range(6) for option in (0, 2)]
    assert not any(option in example.inputs for option in shown)
    assert not example.style.options
    assert example.style.name.endswith("-no-options")


@pytest.mark.parametrize("few_shot", [True, False])
def test_an_answer_outside_its_options_is_named(few_shot: bool) -> None:
    rows = [{"question": "q", "answer": "zebra", "options": ["a", "b"]}] * 2
    with pytest.raises(
        InputError, match=r"test/quiz row 1: the answer `zebra` is not among its options \['a', 'b'\]"
    ):
        renderer(task(rows), CHOICE).render(1, Style(few_shot), 0, 0)
    assert renderer(task(rows), CHOICE).render(1, Style(few_shot, options=False), 0, 0).targets == "[zebra]"
