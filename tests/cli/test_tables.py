"""Tables on narrow terminals."""

from __future__ import annotations

import re

import pytest

from openflan.cli import output
from openflan.cli.compare import print_comparison


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


@pytest.mark.parametrize(
    "names", [("base", "final"), ("a-rather-long-name:final", "another-name:final@short")]
)
def test_a_comparison_has_80_columns_and_every_figure_whole(
    names: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    cells = {
        "n": 14_042,
        "a": 27.24,
        "b": 39.81,
        "difference": -12.56,
        "ci95": [-14.11, -10.94],
        "only_a": 1_072,
        "only_b": 1_869,
        "p": 2.3e-49,
        "verdict": f"{names[0]} is higher",
    }
    benchmark = {
        "benchmark": "mmlu-direct-test",
        "averages": {"average": cells},
        "tasks": {"high_school_government_and_politics": cells, "virology": cells},
        "unmatched": {"a": 0, "b": 0},
        "other_targets": 0,
        "other_options": [],
        "compared_as_texts": False,
    }
    print_comparison(
        {"names": dict(zip("ab", names, strict=True)), "benchmarks": [benchmark], "left_out": []}
    )
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, printed.splitlines())) <= 80
    for figure in ("14,042", "27.24", "39.81", "-12.56", "-14.11", "-10.94", "1,072", "1,869", "2.3e-49"):
        assert printed.count(figure) == 3, figure
    assert all(name in " ".join(printed.split()) for name in names)
    # The most needed figures stand in the first table, which ends before the first column comes again.
    first_table = printed.split(" task ")[1]
    assert all(figure in first_table for figure in ("14,042", "-12.56", "-14.11", "-10.94"))
