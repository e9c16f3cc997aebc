"""Tables on narrow terminals."""

from __future__ import annotations

import re

import pytest

from openflan.cli import output


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_every_figure_is_whole_in_a_table_or_in_one_under_it(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    columns = ["task", *(f"figure{at}" for at in range(9))]
    rows = [["cot/a_rather_long_name_of_a_task", *(123_456_789 + at for at in range(9))]]
    output.print_table("", columns, rows)
    printed = capsys.readouterr().out
    figures = re.findall(r"[\d,]*\d{3},\d{3}[\d,]*", printed)
    assert figures == [f"{123_456_789 + at:,}" for at in range(9)]
    assert all((column in printed) for column in columns)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines()
    assert max(map(len, lines)) <= width
    assert (sum(" task " in line for line in lines) == 1) == (width == 200)  # the head of each table
