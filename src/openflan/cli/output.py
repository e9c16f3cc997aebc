"""Output that all commands share: tables for people, one JSON value for programs."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer

from openflan.cli.streams import takes_unicode
from openflan.templates.render import Rendered

_TEXT = 16
"""Characters of a line of text in a narrow table."""

_BETWEEN = 2
"""Blanks between two columns."""


def print_json(value: Any) -> None:
    """Prints one JSON value on standard output. Characters that the terminal or pipe cannot encode become
    JSON escapes."""
    typer.echo(json.dumps(value, ensure_ascii=not takes_unicode(), indent=1))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table as wide as the terminal; numbers to the right, and never shortened.

    Columns of numbers that do not fit follow in further tables under it, each with the first column.
    """
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 120))
    numeric = [
        bool(rows) and all(isinstance(row[at], int | float) or row[at] in (None, "") for row in rows)
        for at in range(len(columns))
    ]
    widths = [max([len(column), *(len(cell(row[at])) for row in rows)]) for at, column in enumerate(columns)]
    room = console.width - _BETWEEN
    is_wide = sum(widths) + (_BETWEEN + 1) * (len(widths) - 1) <= room
    for shown in _parts(widths, numeric, room):
        table = Table(
            title=escape(title),
            box=box.SIMPLE_HEAD,
            title_justify="left",
            pad_edge=False,
            padding=(0, 1) if is_wide else (0, 1, 0, 0),
        )
        for at in shown:
            if numeric[at]:
                table.add_column(escape(columns[at]), justify="right", no_wrap=True, min_width=widths[at])
            else:
                # What tells the rows apart keeps its room; other texts fold.
                least = 0 if at else min(widths[0], _TEXT)
                table.add_column(escape(columns[at]), overflow="fold", min_width=least)
        for row in rows:
            table.add_row(*(escape(cell(row[at])) for at in shown))
        console.print(table)
        title = ""


def _parts(widths: Sequence[int], numeric: Sequence[bool], width: int) -> Iterator[list[int]]:
    """The columns of each table: those that fit, numbers whole and texts folded at `_TEXT` characters. Where
    some do not, numbers from the right go into the next table, which begins with the first column again."""
    waiting = list(range(len(widths)))
    while waiting:
        visible = list(waiting)
        while sum(widths[at] if numeric[at] else min(widths[at], _TEXT) for at in visible) > (
            width - _BETWEEN * (len(visible) - 1)
        ):
            # A table of its first column alone would show no figure.
            last = next((at for at in reversed(visible[2:]) if numeric[at]), None)
            if last is None:
                break
            visible.remove(last)
        yield visible
        waiting = [at for at in waiting if at not in visible]
        waiting = [0, *waiting] if waiting else []


def cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def print_counts(title: str, counts: Mapping[str, int]) -> None:
    """Counts in one line; nothing if all are 0."""
    parts = [f"{count:,} {name}" for name, count in counts.items() if count]
    if parts:
        typer.echo(f"{title}: {', '.join(parts)}")


def print_example(example: Rendered, title: str = "", more: Mapping[str, object] | None = None) -> None:
    """Print a rendered example and where it came from; `more` follows that line."""
    if title:
        typer.secho(title, bold=True)
    for name, text in (("inputs", example.inputs), ("targets", example.targets)):
        typer.secho(name, bold=True)
        typer.echo(text)
    typer.secho("from", bold=True)
    for key, value in {**example.provenance(), **(more or {})}.items():
        if value not in (None, []):
            typer.echo(
                f"  {key}: {value!r}" if isinstance(value, str) and "\n" in value else f"  {key}: {value}"
            )
    typer.echo()


def next_command(*arguments: object, fill: str = "") -> None:
    """Prints on standard error a command to run next: `openflan` with these arguments, quoted for a shell.

    `fill` names the part that the reader replaces, such as TASK.
    """
    typer.echo(f"\nnext{f' (replace {fill})' if fill else ''}: {command_line(*arguments)}", err=True)


def command_line(*arguments: object) -> str:
    """`openflan` and its arguments as a shell reads them."""
    return shlex.join(["openflan", *map(str, arguments)])


class Bar:
    """A progress bar on standard error, silent in pipes."""

    def __init__(self, label: str, unit: str, *, hidden: bool = False) -> None:
        from tqdm import tqdm

        # None: shown if it is a terminal.
        self._bar: Any = tqdm(
            desc=label, unit=unit, file=sys.stderr, disable=True if hidden else None, dynamic_ncols=True
        )

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
