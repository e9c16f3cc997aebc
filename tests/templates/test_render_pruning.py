"""Rendering: exemplars are pruned until the inputs fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from render_work import FEW, ONE_FORMAT, PLAIN, ZERO, choice, plain, renderer, task, wording, wordings

from openflan.templates.render import Rendered, Renderer, TokenBudget
from openflan.templates.style import Style

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
    unpruned = render(row, FEW, 0, position, shots=shots)
    example = render(row, FEW, 0, position, shots=shots, token_budget=TokenBudget(tokens, measure))
    assert example.exemplars == unpruned.exemplars[: len(example.exemplars)]
    assert len(example.exemplars) + example.pruned == len(unpruned.exemplars)
    if example.exemplars:
        assert measure(example.inputs) <= tokens
        assert example.style.few_shot
        assert unpruned.frame is not None
        assert example.inputs == unpruned.frame.separator.join(cut(unpruned, len(example.exemplars)))
    else:
        assert (example.style.few_shot, example.frame) == (False, None)
        assert replace(example, pruned=0) == render(row, ZERO, 0, position)
    if not example.pruned:
        assert example == unpruned
    else:  # and nothing was left out that would have fitted
        assert unpruned.frame is not None
        kept = len(example.exemplars) + 1
        more = unpruned.frame.separator.join(cut(unpruned, kept))
        assert measure(more) > tokens


def cut(unpruned: Rendered, kept: int) -> list[str]:
    """The texts of the first `kept` exemplars and the final inputs, made again from the record."""
    assert unpruned.frame is not None
    before, after = unpruned.frame.labels
    inputs = {"bare": "<{}>", "asked": "Please: <{}>"}[unpruned.wording]
    rows = [LONG.rows[index] for index in unpruned.exemplars[:kept]]
    exemplars = [
        f"{before}{inputs.format(row['question'])}{unpruned.frame.between}{after}[{row['answer']}]"
        for row in rows
    ]
    final = (
        f"{before}{inputs.format(LONG.rows[unpruned.row]['question'])}{unpruned.frame.between}{after}".rstrip(
            " "
        )
    )
    assert (
        kept < len(unpruned.exemplars)
        or unpruned.frame.separator.join([*exemplars, final]) == unpruned.inputs
    )
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
