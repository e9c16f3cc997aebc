"""Tables on narrow terminals."""

from __future__ import annotations

import re

import pytest

from openflan.cli import output


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_a_figure_is_whole_or_its_column_is_left_out_and_named(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    columns = ["task", *(f"figure{at}" for at in range(9))]
    rows = [["cot/a_rather_long_name_of_a_task", *(123_456_789 + at for at in range(9))]]
    output.print_table("", columns, rows)
    printed = capsys.readouterr().out
    figures = re.findall(r"[\d,]*\d{3},\d{3}[\d,]*", printed)
    assert figures == [f"{123_456_789 + at:,}" for at in range(len(figures))]
    assert all((column in printed) for column in columns)
    assert ("do not fit: use a wider terminal" in printed) == (len(figures) < 9)
    assert len(figures) == 9 or width < 200
