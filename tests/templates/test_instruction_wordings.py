"""The packaged wordings of natural instructions, and what they make of 236 real tasks."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.task_reports.check import check_tasks
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import Pattern, packaged_wordings, wordings_for

DATA = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "niv2"
FIELDS = frozenset(
    {"definition", "question", "answer", "positive_input", "positive_output", "positive_explanation"}
)
STYLES = [Style(), *(Style(few_shot=True, instruction=where) for where in ("each", "none", "top"))]

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the natural-instructions files are not here")


def run_on(pattern: Pattern) -> list[str]:
    """The fields that words follow on the same line: any text may stand there, without a full stop."""
    return [
        f"{name}: {literal!r}"
        for name, literal in zip(pattern.fields, pattern.literals[1:], strict=True)
        if re.match(r"[^\n]*\w", literal)
    ]


def test_no_words_follow_a_field_on_its_line() -> None:
    wordings = wordings_for("niv2/task1_x", FIELDS, packaged_wordings()).wordings
    assert {one.id: found for one in wordings if (found := run_on(one.inputs))} == {}
    assert run_on(Pattern.parse("Do: {definition} Now: {question}")) == ["definition: ' Now: '"], (
        "the control"
    )


@settings(max_examples=60, deadline=None)
@given(
    ending=st.sampled_from(["", ".", "?", ":", " etc", "\n- a list"]),
    style=st.sampled_from(STYLES),
    position=st.integers(0, 10_000),
)
def test_a_definition_ends_its_line_whatever_it_ends_in(ending: str, style: Style, position: int) -> None:
    definition = f"Say it backwards{ending}"
    row = {name: f"⟦{name}⟧" for name in FIELDS} | {"definition": definition}
    task = Task("niv2/task1_x", [row] * 8, FIELDS, "x", "x")
    renderer = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings()))
    example = renderer.render(0, style, 3, position)
    behind = [text.split("\n")[0] for text in example.inputs.split(definition)[1:]]
    assert all(not re.search(r"\w", text) for text in behind), example.inputs


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return open_submixture("niv2", DATA)


@needs_data
def test_every_real_task_passes_the_check_but_for_rows_that_are_counted() -> None:
    results = check_tasks(DATA, max_missing=5)
    assert {result.status for result in results} == {"works", "missing"}
    works = [result for result in results if result.status == "works"]
    assert len(works) == 236
    assert {result.task: result.detail for result in works if "left out" in result.detail}.keys() == {
        "niv2/task388_torque_token_classification",
        "niv2/task924_event2mind_word_generation",
    }
    assert all("2 left out (empty output: 2)" in one.detail for one in works if "left out" in one.detail)


@needs_data
def test_rows_of_every_real_task_render_in_every_style(tasks: dict[str, Task]) -> None:
    assert len(tasks) == 236
    for number, (name, task) in enumerate(tasks.items()):
        renderer = Renderer(task, wordings_for(name, task.fields, packaged_wordings()), shots=(2,))
        definition = str(task.rows[0]["definition"])
        for style in STYLES:
            row = (number + len(style.name)) % len(task.rows)
            example = renderer.render(row, style, seed=1, position=number)
            assert example.targets == task.rows[row]["answer"], name
            assert example.style.instruction == "none" or definition in example.inputs, name
            assert example.inputs == example.inputs.rstrip(" "), name
            assert len(example.exemplars) in ((0, 2) if style.few_shot else (0,)), name


@needs_data
def test_files_with_a_dot_in_their_name_are_tasks_of_the_public_list(tasks: dict[str, Task]) -> None:
    assert {"niv2/task1530_scitail1", "niv2/task1637_doqa2", "niv2/task1638_doqa2"} <= tasks.keys()
