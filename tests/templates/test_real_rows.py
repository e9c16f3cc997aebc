"""The public chain-of-thought files in every style: 33,443 rows, all of them in the slow test, every 97th in
the fast one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task
from openflan.templates.render import Rendered, Renderer
from openflan.templates.style import ALL_STYLES, Style
from openflan.templates.wording import packaged_wordings, wordings_for

DATA = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "cot"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the public chain-of-thought files are not here")


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return open_submixture("cot", DATA)


def nearest(style: Style) -> Style:
    """What a chain-of-thought dataset can show of a style: it has no options, all its inversions show chains,
    and none of them is bare."""
    inverted = style.inverted and style.rationale
    instruction = "each" if inverted and style.instruction == "none" else style.instruction
    return Style(style.few_shot, style.rationale, True, inverted, instruction)


def check(example: Rendered, style: Style) -> None:
    assert example.style == nearest(style)
    assert example.row not in example.exemplars
    assert len(example.exemplars) == (len(set(example.exemplars)) if style.few_shot else 0)
    for text in (example.inputs, example.targets):
        assert text.strip()
        assert text == text.rstrip(" ")
        assert "\\n" not in text
    assert example.targets == example.targets.strip()
    marked = example.frame is not None and example.frame.separator.strip()
    assert not marked or example.frame.separator not in example.targets


def render_all(tasks: dict[str, Task], styles: list[Style], step: int) -> int:
    count = 0
    for name, task in tasks.items():
        renderer = Renderer(task, wordings_for(name, task.fields, packaged_wordings()))
        for style in styles:
            for row in range(0, len(task.rows), step):
                check(renderer.render(row, style, 0, row), style)
                count += 1
    return count


def test_some_rows_of_every_file_render_in_every_style(tasks: dict[str, Task]) -> None:
    assert sum(len(task.rows) for task in tasks.values()) == 33_443
    assert render_all(tasks, list(ALL_STYLES), 97) > 300 * 32


@pytest.mark.slow
def test_all_rows_render_in_every_style(tasks: dict[str, Task]) -> None:
    """Without options to list, hidden options change nothing."""
    styles = [style for style in ALL_STYLES if style.options]
    assert render_all(tasks, styles, 1) == 33_443 * len(styles)
