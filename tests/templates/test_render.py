"""Rendering: a pure function that shows what it says it shows, and nothing of an answer where it must not.

Wordings here are written for the tests: every field stands in marks of its own, so that a text tells how it
was made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from render_work import CHOICE, FEW, ONE_FORMAT, PLAIN, ZERO, choice, plain, renderer, task, wording, wordings

from openflan.errors import InputError
from openflan.templates.formats import packaged_formats
from openflan.templates.render import SHOTS, Rendered, Renderer, TokenBudget
from openflan.templates.style import ALL_STYLES, Style, StyleShares
from openflan.templates.wording import READY_MADE, Pattern

COT = wordings(
    wording("chain", "<{question}> think", "({rationale}) [{answer}]", rationale=True),
    wording("direct", "<{question}> now", "[{answer}]"),
)


# Golden texts


def test_golden_zero_shot_with_options() -> None:
    example = renderer(
        task([{"question": "Which is red?", "answer": "a cherry", "options": ["a leaf", "a cherry"]}]),
        wordings(
            wording("pick", "Read and choose.\n\n{question}\n\n{options}\nYour choice:", "It is {answer}")
        ),
    ).render(0, ZERO, seed=0, position=0)
    assert (
        example.inputs
        == "Read and choose.\n\nWhich is red?\n\nOptions:\n(A) a leaf;\n(B) a cherry;\nYour choice:"
    )
    assert example.targets == "It is (B)"
    assert example.answer == "(B)"


def test_golden_few_shot_with_labels() -> None:
    """One exemplar out of two rows can only be the other row."""
    rows = [{"question": "Two and two?", "answer": "4"}, {"question": "One and two?", "answer": "3"}]
    example = renderer(
        task(rows), wordings(wording("sum", "Add. {question}", "{answer}!", labels=True))
    ).render(0, FEW, seed=0, position=0, shots=1)
    assert example.inputs == "Q: Add. One and two?\nA: 3!\n\n##\n\nQ: Add. Two and two?\nA:"
    assert example.targets == "4!"
    assert example.answer == "4"
    assert example.exemplars == (1,)


def test_golden_few_shot_chain_of_thought_without_labels() -> None:
    rows = [
        {"question": "Is ice cold?", "answer": "yes", "rationale": "Ice is frozen."},
        {"question": "Is fire cold?", "answer": "no", "rationale": "Fire burns."},
    ]
    set_ = wordings(
        wording("why", "{question}\nReason first.", "{rationale}\nSo the answer is {answer}.", rationale=True)
    )
    example = renderer(
        task(rows), set_, replace(ONE_FORMAT, between=("\n=> ",), separators=("\n\n",))
    ).render(1, Style(True, True), seed=0, position=0, shots=3)
    assert example.inputs == (
        "Is ice cold?\nReason first.\n=> Ice is frozen.\nSo the answer is yes.\n\nIs fire cold?\nReason "
        "first.\n=>"
    )
    assert example.targets == "Fire burns.\nSo the answer is no."
    assert example.style.name == "few-shot-cot"


# Purity


@settings(deadline=None)
@given(
    row=st.integers(0, 29),
    style=st.sampled_from(ALL_STYLES),
    seed=st.integers(0, 2**40),
    position=st.integers(0, 2**40),
)
def test_the_same_call_gives_the_same_example(row: int, style: Style, seed: int, position: int) -> None:
    renderer = Renderer(choice(30), CHOICE)
    first = renderer.render(row, style, seed, position)
    renderer.render((row + 1) % 30, style, seed, position + 1)
    assert (
        renderer.render(row, style, seed, position)
        == first
        == Renderer(choice(30), CHOICE).render(row, style, seed, position)
    )


@pytest.mark.parametrize("style", [FEW, ZERO])
def test_another_position_seed_row_or_task_draws_anew(style: Style) -> None:
    rows = choice(30)
    base = Renderer(rows, CHOICE)
    variants: dict[str, Callable[[int], Rendered]] = {
        "position": lambda index: base.render(0, style, 0, index),
        "seed": lambda index: base.render(0, style, index, 0),
        "task": lambda index: Renderer(replace(rows, name=f"test/t{index}"), CHOICE).render(0, style, 0, 0),
    }
    for name, make in variants.items():
        assert len({make(number).inputs for number in range(40)}) > 10, name
    exemplars = [Renderer(plain(30), PLAIN).render(row, FEW, 0, 0, shots=2).exemplars for row in range(30)]
    assert len(set(exemplars)) > 20


def test_every_wording_and_number_of_exemplars_is_drawn() -> None:
    examples = [Renderer(plain(30), PLAIN).render(0, FEW, 0, position) for position in range(400)]
    counts = Counter(len(example.exemplars) for example in examples)
    assert set(counts) == {2, 3, 5} == set(SHOTS)
    assert all(abs(counts[shots] - 400 * SHOTS.count(shots) / len(SHOTS)) < 60 for shots in counts)
    assert {example.wording for example in examples} == {"bare", "asked"}
    frames = [example.frame for example in examples if example.frame]
    stock = packaged_formats()
    assert {frame.separator for frame in frames} == set(stock.separators)
    assert {frame.between for frame in frames} == set(stock.between)
    assert {frame.labels for frame in frames} == {*stock.labels, ("", "")}
    assert all(
        example.frame.labels == ("", "")
        for example in examples
        if example.frame and example.wording == "bare"
    )


# Exemplars


@settings(deadline=None)
@given(
    rows=st.integers(1, 8), data=st.data(), shots=st.none() | st.integers(0, 10), seed=st.integers(0, 2**40)
)
def test_exemplars_are_other_rows_of_the_task_each_once(
    rows: int, data: st.DataObject, shots: int | None, seed: int
) -> None:
    row = data.draw(st.integers(0, rows - 1))
    example = renderer(plain(rows), PLAIN).render(row, FEW, seed, 0, shots=shots)
    allowed_counts = SHOTS if shots is None else (shots,)
    assert len(example.exemplars) in {min(number, rows - 1) for number in allowed_counts}
    assert row not in example.exemplars
    assert len(set(example.exemplars)) == len(example.exemplars)
    # The text says the same as the record: each exemplar with its own answer, in order, then the row without
    # its answer.
    said = [f"<q{index}>" for index in (*example.exemplars, row)]
    results = [part.split(">")[0] + ">" for part in example.inputs.split("<")[1:]]
    assert ["<" + part for part in results] == said
    assert [part.split("]")[0] for part in example.inputs.split("[")[1:]] == [
        f"a{index}" for index in example.exemplars
    ]
    assert example.targets == f"[a{row}]"
    assert example.style.few_shot == bool(example.exemplars)


def test_a_task_of_one_row_becomes_zero_shot() -> None:
    example = renderer(plain(1), PLAIN).render(0, FEW, 0, 0)
    assert (example.exemplars, example.pruned, example.frame, example.style) == ((), 0, None, ZERO)
    assert example.inputs in ("<q0>", "Please: <q0>")


def test_zero_shot_has_no_frame() -> None:
    for position in range(20):
        example = renderer(plain(5), PLAIN).render(2, ZERO, 0, position)
        assert example.inputs in ("<q2>", "Please: <q2>")
        assert (example.exemplars, example.frame, example.targets) == ((), None, "[a2]")


def test_separators_and_labels_stay_out_of_targets() -> None:
    for position in range(200):
        example = Renderer(plain(10), PLAIN).render(0, FEW, 0, position)
        assert example.targets == "[a0]"
        assert example.frame is not None
        assert example.inputs.count(example.frame.separator) >= len(example.exemplars)
        assert not example.inputs.endswith(" ")


def test_wordings_for_few_or_zero_shot_are_used_there_alone() -> None:
    set_ = wordings(
        wording("z", "z<{question}>", "{answer}", shots="zero"),
        wording("f", "f<{question}>", "{answer}", shots="few"),
    )
    for position in range(20):
        assert renderer(plain(5), set_).render(0, ZERO, 0, position).wording == "z"
        example = renderer(plain(5), set_).render(0, FEW, 0, position, shots=2)
        assert (example.wording, example.inputs.count("f<"), example.inputs.count("z<")) == ("f", 3, 0)
    few_alone = renderer(plain(1), set_).render(0, FEW, 0, 0)
    assert few_alone.wording == "z"


# Styles


def test_the_recorded_style_is_what_was_shown() -> None:
    chains = task([{"question": f"q{row}", "answer": "a", "rationale": f"because{row}"} for row in range(4)])
    for style in ALL_STYLES:
        for position in range(10):
            example = renderer(chains, COT).render(0, style, 0, position)
            assert ("because0" in example.targets) == example.style.rationale == style.rationale
            assert example.style.few_shot == style.few_shot == bool(example.exemplars)
            assert example.style.options, "a task without options hides none"
            assert all(
                (f"because{index}" in example.inputs) == style.rationale for index in example.exemplars
            )
            bare = renderer(plain(4), PLAIN).render(0, style, 0, position)
            assert bare.style == Style(style.few_shot), "no chains, no options: neither is claimed"
            listed = renderer(choice(4), CHOICE).render(0, style, 0, position)
            assert listed.style == Style(style.few_shot, False, style.options)
            assert ("r0o2" in listed.inputs) == style.options


def test_a_style_has_one_name() -> None:
    names = [style.name for style in ALL_STYLES]
    assert len(set(names)) == len(names) == len(set(ALL_STYLES)) == 32
    assert {
        "zero-shot",
        "zero-shot-no-options",
        "zero-shot-cot",
        "few-shot-cot-no-options",
        "few-shot-cot-inverted",
        "few-shot-exemplars-only",
    } < set(names)
    assert "few-shot-cot-inverted-no-options-instruction-on-top" in names
    assert all(Style.parse(style.name) == style for style in ALL_STYLES)
    with pytest.raises(
        InputError,
        match=r"`few-shots` is not a style; did you mean `few-shot`\? Styles: zero-shot or few-shot, then ",
    ):
        Style.parse("few-shots")
    with pytest.raises(InputError, match=r"`zero-shot-instruction-on-top` is not a style; did you mean"):
        Style.parse("zero-shot-instruction-on-top")
    with pytest.raises(InputError, match=r"`42` is not a style\. Styles: zero-shot or few-shot, then "):
        Style.parse("42")


def test_what_needs_wordings_of_its_own_is_off_unless_asked_for() -> None:
    assert StyleShares() == StyleShares(
        few_shot=0.5, rationale=1.0, options=0.5, inverted=0.0, exemplars_only=0.0, instruction_on_top=0.0
    )


# Where an example came from


def test_provenance_is_complete_plain_and_true() -> None:
    few = renderer(choice(6), CHOICE).render(2, FEW, 0, 0, shots=3, token_budget=TokenBudget(120, len))
    assert few.pruned > 0
    assert few.exemplars
    record = few.provenance()
    assert (
        json.loads(json.dumps(record))
        == record
        == {
            "task": "test/quiz",
            "row": 2,
            "style": "few-shot",
            "wording": "listed",
            "exemplars": list(few.exemplars),
            "pruned": 3 - len(few.exemplars),
            "labels": ["", ""],
            "between": "\n",
            "separator": "\n\n##\n\n",
            "options": "Options:\n- ...",
        }
    )
    zero = renderer(choice(6), CHOICE).render(2, ZERO, 0, 0).provenance()
    assert (zero["style"], zero["options"], zero["exemplars"]) == ("zero-shot", "Options:\n(A) ...;", [])
    assert [zero[key] for key in ("labels", "between", "separator")] == [None] * 3
    assert renderer(plain(3), PLAIN).render(0, ZERO, 0, 0).provenance()["options"] is None


# Rows are data


NASTY = ["{answer}", "{{", "}}", "{", "{0}", "{question!r}", "%s", "\\n", "\\1", "$answer", "{{answer}}"]


@settings(deadline=None)
@given(
    question=st.sampled_from(NASTY) | st.text(max_size=20),
    answer=st.sampled_from(NASTY) | st.text(min_size=1, max_size=20),
    style=st.sampled_from(ALL_STYLES),
)
def test_a_row_that_looks_like_a_pattern_is_rendered_as_it_is(
    question: str, answer: str, style: Style
) -> None:
    rows = [
        {"question": question, "answer": answer, "rationale": question},
        {"question": "other", "answer": "b", "rationale": "c"},
    ]
    example = renderer(task(rows), COT).render(0, style, 0, 0, shots=1)
    assert f"<{question}>" in example.inputs
    assert example.targets == (f"({question}) [{answer}]" if style.rationale else f"[{answer}]")
    if style.few_shot:
        backwards = renderer(task(rows), COT).render(1, style, 0, 0, shots=1)
        assert f"<{question}>" in backwards.inputs
        assert f"[{answer}]" in backwards.inputs


def test_options_that_look_like_patterns_are_listed_as_they_are() -> None:
    rows = [{"question": "{options}", "answer": "{answer}", "options": ["{}", "{answer}", "{0}"]}]
    example = renderer(task(rows), CHOICE).render(0, ZERO, 0, 0)
    assert example.inputs == "<{options}>\nOptions:\n(A) {};\n(B) {answer};\n(C) {0};"
    assert example.targets == "[(B)]"


def test_rows_that_are_already_worded_pass_unchanged() -> None:
    rows = [{"inputs": f" {{x}} in {number}\n", "targets": f"out {number} "} for number in range(4)]
    example = renderer(task(rows), READY_MADE).render(1, ZERO, 0, 0)
    assert (example.inputs, example.targets, example.answer) == (" {x} in 1\n", "out 1 ", "out 1 ")
    few = renderer(task(rows), READY_MADE).render(1, FEW, 0, 0, shots=2)
    assert few.inputs.count("{x} in") == 3
    assert few.targets == "out 1 "


@pytest.mark.parametrize(
    "text",
    ["{question!r}", "{question:>5}", "{}", "{0}", "{question.upper}", "{question[0]}", "{", "}", "{a b}"],
)
def test_patterns_hold_plain_fields_only(text: str) -> None:
    with pytest.raises(ValueError, match=r"field|format|expected"):
        Pattern.parse(text)


def test_doubled_braces_are_literal() -> None:
    assert Pattern.parse("{{{question}}} {{answer}}").fill({"question": "{{q}}"}) == "{{{q}}} {answer}"
