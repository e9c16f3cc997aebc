"""The reference page of the command line is true and complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from openflan.cli import reference
from openflan.cli.main import app
from openflan.cli.verbs import VERBS, Verb

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/cli.md"


def test_the_page_is_what_the_script_prints() -> None:
    printed = subprocess.run(
        [sys.executable, ROOT / "scripts/cli_reference.py"], capture_output=True, text=True, check=True
    ).stdout
    # Whoever changes a verb renews the page with the command that its first lines name.
    assert PAGE.read_text(encoding="utf-8") == printed


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_has_a_section_with_every_flag_that_its_help_shows(verb: str) -> None:
    sections = dict(part.split("\n", 1) for part in reference.as_markdown().split("\n## ")[1:])
    section = sections[verb]
    shown = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "250"}).output
    flags = set(re.findall(r"(?<![\w`-])--[a-z][a-z0-9-]*", shown)) - {"--help"}
    for flag in flags:
        assert flag in section, flag


def test_types_bounds_defaults_and_hidden_options(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = typer.Typer(help="A made-up group.")

    @made_up.command("first")
    def first(
        name: Annotated[str, typer.Argument(help="A name | with a bar.")],
        rest: Annotated[list[str] | None, typer.Argument(help="More names.")] = None,
        many: int = typer.Option(3, min=1, max=9, help="How many."),
        quiet: bool = typer.Option(False, "--quiet", "-q", help="Print nothing."),
        former: int | None = typer.Option(None, hidden=True, help="A former name."),
    ) -> None:
        """Do the first thing."""

    @made_up.command("second", hidden=True)
    def second() -> None:
        """Do the second thing."""

    monkeypatch.setattr(reference, "VERBS", (Verb("made-up", "x", "x", "A line."),))
    monkeypatch.setattr(reference, "command_of", lambda verb: typer.main.get_command(made_up))
    page = reference.as_markdown()
    assert "## made-up" in page
    assert (
        "### made-up first\n\n    openflan made-up first NAME [REST...] [OPTIONS]\n\nDo the first thing."
        in page
    )
    assert "| `NAME` | text | required | A name \\| with a bar. |" in page
    assert "| `[REST...]` | text, repeatable |  | More names. |" in page
    assert "| `--many` | whole number (>= 1, <= 9) | `3` | How many. |" in page
    assert "| `--quiet`, `-q` | flag | off | Print nothing. |" in page
    assert "former" not in page
    assert "second" not in page
