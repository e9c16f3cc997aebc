"""Rendering: a pure function that shows what it says it shows, and nothing of an answer where it must not.

Wordings here are written for the tests: every field stands in marks of its own, so that a text tells how it
was made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks.task import Row, Task
from openflan.templates.formats import PLAIN_OPTIONS, Formats, packaged_formats
from openflan.templates.render import SHOTS, Rendered, Renderer, TokenBudget
from openflan.templates.style import ALL_STYLES, Style, StyleShares
from openflan.templates.wording import READY_MADE, Pattern, Wording, WordingSet

FEW, ZERO = Style(few_shot=True), Style()
ONE_FORMAT = Formats(
    labels=(("Q: ", "A: "),),
    between=("\n",),
    separators=("\n\n##\n\n",),
    headers=("Options:",),
    markers=(("({}) ", "upper"),),
    endings=(";",),
)
BULLETS = replace(ONE_FORMAT, markers=(("* ", ""),))


def wording(name: str, inputs: str, targets: str, **more: Any) -> Wording:
    return Wording(name, Pattern.parse(inputs), Pattern.parse(targets), **more)


def wordings(*items: Wording) -> WordingSet:
    return WordingSet(("*",), frozenset(), items)


PLAIN = wordings(
    wording("bare", "<{question}>", "[{answer}]"),
    wording("asked", "Please: <{question}>", "[{answer}]", labels=True),
)
CHOICE = wordings(
    wording("listed", "<{question}>\n{options}", "[{answer}]"),
    wording("hidden", "<{question}>", "[{answer}]"),
)
COT = wordings(
    wording("chain", "<{question}> think", "({rationale}) [{answer}]", rationale=True),
    wording("direct", "<{question}> now", "[{answer}]"),
)


def task(rows: Sequence[Row], name: str = "test/quiz") -> Task:
    return Task(name, rows, frozenset(rows[0]), "quiz", "testing")


def plain(number: int) -> Task:
    return task([{"question": f"q{row}", "answer": f"a{row}"} for row in range(number)])


def choice(number: int, options: int = 3) -> Task:
    return task(
        [
            {
                "question": f"q{row}",
                "answer": f"r{row}o1",
                "options": [f"r{row}o{option}" for option in range(options)],
            }
            for row in range(number)
        ]
    )


def renderer(of: Task, with_: WordingSet, formats: Formats = ONE_FORMAT) -> Renderer:
    return Renderer(of, with_, formats)


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
    one = Renderer(choice(30), CHOICE)
    first = one.render(row, style, seed, position)
    one.render((row + 1) % 30, style, seed, position + 1)
    assert (
        one.render(row, style, seed, position)
        == first
        == Renderer(choice(30), CHOICE).render(row, style, seed, position)
    )


@pytest.mark.parametrize("style", [FEW, ZERO])
def test_another_position_seed_row_or_task_draws_anew(style: Style) -> None:
    rows = choice(30)
    base = Renderer(rows, CHOICE)
    variants: dict[str, Callable[[int], Rendered]] = {
        "position": lambda number: base.render(0, style, 0, number),
        "seed": lambda number: base.render(0, style, number, 0),
        "task": lambda number: Renderer(replace(rows, name=f"test/t{number}"), CHOICE).render(0, style, 0, 0),
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
    wanted = SHOTS if shots is None else (shots,)
    assert len(example.exemplars) in {min(number, rows - 1) for number in wanted}
    assert row not in example.exemplars
    assert len(set(example.exemplars)) == len(example.exemplars)
    # The text says the same as the record: each exemplar with its own answer, in order, then the row without
    # its answer.
    said = [f"<q{index}>" for index in (*example.exemplars, row)]
    found = [part.split(">")[0] + ">" for part in example.inputs.split("<")[1:]]
    assert ["<" + part for part in found] == said
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


# Pruning

LONG = task([{"question": "q" * (1 + 7 * row), "answer": "a" * (3 + row)} for row in range(9)])


@settings(deadline=None, max_examples=300)
@given(
    row=st.integers(0, 8),
    position=st.integers(0, 1000),
    tokens=st.integers(0, 400),
    shots=st.none() | st.integers(1, 8),
    measure=st.sampled_from(
        [
            len,
            lambda text: len(text.split()),
            lambda text: text.count("q"),
            lambda text: (len(text) + 6) // 7,
            lambda text: 2 * len(text.encode()) // 3,
        ]
    ),
)
def test_a_few_shot_example_never_exceeds_its_room(
    row: int, position: int, tokens: int, shots: int | None, measure: Any
) -> None:
    render = Renderer(LONG, PLAIN).render
    whole = render(row, FEW, 0, position, shots=shots)
    example = render(row, FEW, 0, position, shots=shots, token_budget=TokenBudget(tokens, measure))
    assert example.exemplars == whole.exemplars[: len(example.exemplars)]
    assert len(example.exemplars) + example.pruned == len(whole.exemplars)
    if example.exemplars:
        assert measure(example.inputs) <= tokens
        assert example.style.few_shot
        assert whole.frame is not None
        assert example.inputs == whole.frame.separator.join(cut(whole, len(example.exemplars)))
    else:
        assert (example.style.few_shot, example.frame) == (False, None)
        assert replace(example, pruned=0) == render(row, ZERO, 0, position)
    if not example.pruned:
        assert example == whole
    else:  # and nothing was left out that would have fitted
        assert whole.frame is not None
        kept = len(example.exemplars) + 1
        more = whole.frame.separator.join(cut(whole, kept))
        assert measure(more) > tokens


def cut(whole: Rendered, kept: int) -> list[str]:
    """The texts of the first `kept` exemplars and the final inputs, made again from the record."""
    assert whole.frame is not None
    before, after = whole.frame.labels
    inputs = {"bare": "<{}>", "asked": "Please: <{}>"}[whole.wording]
    rows = [LONG.rows[index] for index in whole.exemplars[:kept]]
    exemplars = [
        f"{before}{inputs.format(row['question'])}{whole.frame.between}{after}[{row['answer']}]"
        for row in rows
    ]
    final = f"{before}{inputs.format(LONG.rows[whole.row]['question'])}{whole.frame.between}{after}".rstrip(
        " "
    )
    assert kept < len(whole.exemplars) or whole.frame.separator.join([*exemplars, final]) == whole.inputs
    return [*exemplars, final]


def test_the_tokens_of_separators_count() -> None:
    """Three texts of 9, 9 and 4 words would fit 22; the two separators of 3 words do not."""
    words = " ".join("w" * 8)
    rows = task([{"question": words, "answer": "x"} for _ in range(3)])
    set_ = wordings(wording("w", "{question}", "{answer}"))
    formats = replace(ONE_FORMAT, separators=("\n\n# # #\n\n",))
    token_budget = TokenBudget(26 + 6, lambda text: len(text.split()))
    assert (
        len(renderer(rows, set_, formats).render(0, FEW, 0, 0, shots=2, token_budget=token_budget).exemplars)
        == 2
    )
    tighter = replace(token_budget, tokens=26 + 5)
    example = renderer(rows, set_, formats).render(0, FEW, 0, 0, shots=2, token_budget=tighter)
    assert (len(example.exemplars), example.pruned) == (1, 1)


def test_short_examples_are_not_measured() -> None:
    """Counting tokens is the dear part: an example whose bytes fit needs no tokenizer."""

    def never(text: str) -> int:
        raise AssertionError(f"measured {text}")

    assert (
        renderer(plain(9), PLAIN).render(0, FEW, 0, 0, shots=5, token_budget=TokenBudget(1000, never)).pruned
        == 0
    )


def test_what_is_pruned_to_zero_shot_keeps_the_style_that_was_asked_for() -> None:
    set_ = wordings(
        wording("few-listed", "<{question}>\n{options}", "[{answer}]", shots="few"),
        wording("zero-hidden", "<{question}>", "[{answer}]", shots="zero"),
        wording("zero-listed", "<{question}>\n{options}", "[{answer}]", shots="zero"),
    )
    for position in range(20):
        example = renderer(choice(5), set_).render(
            0, Style(few_shot=True, options=False), 0, position, token_budget=TokenBudget(3, len)
        )
        assert (example.wording, example.style.name) == ("zero-hidden", "zero-shot-no-options")


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
    most = renderer(choice(1, options=26), CHOICE, formats).render(0, ZERO, 0, 0)
    assert most.inputs.split("\n")[-1].startswith(
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
