"""The review document: varied formats, the same text each time, and nothing in a row that could be read as
markup."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks.task import Task
from openflan.templates.review import code, cut, document, escaped, examples, fenced
from openflan.templates.wording import packaged_wordings, wordings_for

RTE = Task(
    "muffin/rte",
    [
        {
            "premise": f"P{n}.",
            "hypothesis": f"H{n}.",
            "options": ["yes", "no"],
            "answer": ("yes", "no")[n % 2],
        }
        for n in range(9)
    ],
    frozenset({"premise", "hypothesis", "options", "answer"}),
    "rte",
    "natural language inference",
)
PLAIN = Task(
    "mine/x",
    [{"inputs": f"i{n}", "targets": f"t{n}"} for n in range(9)],
    frozenset({"inputs", "targets"}),
    "x",
    "testing",
)


def reviewed(task: Task, count: int = 3, seed: int = 0) -> str:
    return document(
        [examples(task, wordings_for(task.name, task.fields, packaged_wordings()), count, seed)],
        "Examples",
        "Look.",
    )


def test_three_examples_of_a_task_are_of_three_kinds() -> None:
    for seed in range(20):
        reviewed_task = examples(RTE, wordings_for(RTE.name, RTE.fields, packaged_wordings()), 3, seed)
        assert [(one.style.few_shot, one.style.inverted) for one in reviewed_task.examples[:2]] == [
            (False, False),
            (True, False),
        ]
        assert reviewed_task.examples[2].style.inverted
        assert [one.row for one in reviewed_task.examples] == [0, 1, 2]


def test_no_format_is_shown_twice_before_all_were() -> None:
    wordings = wordings_for(RTE.name, RTE.fields, packaged_wordings())
    styles = [one.style for one in examples(RTE, wordings, 9).examples]
    assert len(set(styles)) == 9
    assert (
        len(examples(PLAIN, wordings_for(PLAIN.name, PLAIN.fields, packaged_wordings()), 9).examples) == 9
    ), "a task with fewer formats repeats them"


def test_the_document_is_the_same_each_time_and_another_with_another_seed() -> None:
    assert reviewed(RTE) == reviewed(RTE)
    assert reviewed(RTE) != reviewed(RTE, seed=1)


def test_a_task_has_a_line_in_the_table_and_a_section_with_inputs_and_targets_apart() -> None:
    text = reviewed(RTE)
    assert "| `muffin/rte` | `rte` | natural language inference | " in text
    section = text[text.index("## `muffin/rte`") :]
    assert section.count("Inputs:\n\n```text\n") == section.count("\n```\n\nTargets:\n\n```text\n") == 3
    assert "exemplars: rows" in section


def test_more_examples_than_rows_are_refused() -> None:
    with pytest.raises(InputError, match=r"muffin/rte: 10 examples of 9 rows; ask for fewer with --number"):
        reviewed(RTE, 10)


hostile = st.text(st.sampled_from("`~|#*_<>[]& \\\na1"), max_size=60)


@given(hostile)
def test_nothing_ends_a_fence_before_its_time(text: str) -> None:
    """By CommonMark: a fence is closed by a line of at least as many backticks, blanks aside."""
    opening, *body = fenced(text).split("\n")
    ticks = len(opening) - len(opening.lstrip("`"))
    closing = [number for number, line in enumerate(body) if re.fullmatch(rf" {{0,3}}`{{{ticks},}} *", line)]
    assert closing == [len(body) - 1]
    assert "\n".join(body[:-1]) == text


@given(hostile)
def test_a_heading_or_a_cell_holds_no_markup(text: str) -> None:
    for mark in "`*_[]<>#|~&":
        assert re.search(rf"(?<!\\)(\\\\)*{re.escape(mark)}", escaped(text)) is None
    assert "\n" not in escaped(text)
    assert re.sub(r"\\(.)", r"\1", escaped(text)) == " ".join(text.split()), "nothing is lost"
    assert re.search(r"(?<!\\)\|", code(text)) is None


def test_the_check_on_fences_would_notice() -> None:
    assert fenced("a\n````\nb") == "`````text\na\n````\nb\n`````"
    assert code("a`b") == "``a`b``"
    assert code("`a") == "`` `a ``"


@given(st.text(max_size=80), st.integers(10, 50))
def test_a_cut_text_keeps_both_ends_and_says_how_much_is_missing(text: str, limit: int) -> None:
    shown = cut(text, limit)
    if len(text) <= limit:
        assert shown == text
        return
    head, tail = text[: limit // 2], text[len(text) - limit // 2 :]
    assert shown.startswith(head)
    assert shown.endswith(tail)
    assert f"\n[... {len(text) - 2 * (limit // 2):,} characters are not shown here ...]\n" in shown
